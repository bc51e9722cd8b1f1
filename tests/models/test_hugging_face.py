"""Networks of transformers as architectures of a card, and their fine-tuned checkpoints, which need no trust."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

from interpfer.cli import group
from interpfer.errors import ModelError, TrustError
from interpfer.finetuning.checkpoints import needs_trust, read_model, require_writable, write_model
from interpfer.inspection.checkpoint import inspect_checkpoint
from interpfer.models.hugging_face import describe_network, from_hugging_face
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
LABELS: dict[str, Any] = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: i for i, name in enumerate(CLASSES)}}
NETWORKS: dict[str, Any] = {
    "vit": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(
            hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32,
            patch_size=8, **LABELS,
        )
    ),
    "resnet": lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", **LABELS)
    ),
}  # fmt: skip


@pytest.fixture(params=NETWORKS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    NETWORKS[request.param]().save_pretrained(tmp_path / request.param)
    processor = {"size": {"height": 32, "width": 32}, "do_resize": True, "do_rescale": True, "do_normalize": True}
    fields = {"image_processor_type": "ViTImageProcessor", "image_mean": [0.4] * 3, "image_std": [0.3] * 3}
    (tmp_path / request.param / "preprocessor_config.json").write_text(json.dumps(processor | fields))
    return tmp_path / request.param


def test_a_fine_tuned_network_is_read_without_trust(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    assert model.card.arch is None
    with torch.no_grad():
        for value in model.module.parameters():
            value.add_(0.1 * torch.randn_like(value))
    path = tmp_path / "model.pt"
    require_writable(model)
    write_model(path, model.module, model.card)
    assert not needs_trust(model.module, model.card)
    x = torch.rand(2, 3, 40, 40)
    expected = model.logits(model.preprocess(x))
    again = load_model(path)
    assert again.card.arch == f"hf:{folder.name}"
    assert again.classes == CLASSES
    assert again.card.input == model.card.input
    assert torch.equal(again.logits(again.preprocess(x)), expected)
    _, inspected = inspect_checkpoint(path)
    assert inspected is not None
    assert torch.equal(inspected.logits(inspected.preprocess(x)), expected)
    best = read_model(path, load_model(folder))
    assert torch.equal(best.logits(best.preprocess(x)), expected)
    assert (best.sha256, again.layers("last")) == (again.sha256, model.layers("last"))
    written = tmp_path / "second.pt"  # of a network that was read this way
    write_model(written, again.module, again.card)
    assert torch.equal(load_model(written).logits(again.preprocess(x)), expected)


def test_other_networks_are_pickled_and_need_trust(tmp_path: Path) -> None:
    card = load_model(SmallCNN(2), classes="anger,fear").card
    assert describe_network(SmallCNN(2)) is None
    assert needs_trust(SmallCNN(2), card)
    assert needs_trust(SmallCNN(2), replace(card, arch="net.py:Net"))
    assert needs_trust(SmallCNN(2), replace(card, arch="package.module:Net"))
    assert not needs_trust(SmallCNN(2), replace(card, arch="interpfer:small"))
    write_model(tmp_path / "model.pt", SmallCNN(2), card)
    with pytest.raises(TrustError):
        load_model(tmp_path / "model.pt")
    assert load_model(tmp_path / "model.pt", trust=True).classes == ("anger", "fear")


def test_a_network_that_its_config_does_not_build_is_pickled() -> None:
    network = NETWORKS["vit"]()
    network.classifier = nn.Sequential(nn.Linear(24, 24), nn.Linear(24, 7))
    assert describe_network(network) is None

    class Own(transformers.ViTForImageClassification):  # type: ignore[misc,name-defined]
        pass

    assert describe_network(Own(NETWORKS["vit"]().config)) is None


def test_architectures_that_cannot_be_built(tmp_path: Path) -> None:
    network = from_hugging_face("vit", 3, hidden_size=24, num_hidden_layers=1, num_attention_heads=2)
    assert network.classifier.out_features == 3
    with pytest.raises(ModelError, match="arch 'hf:nothing': transformers has no model of this type"):
        from_hugging_face("nothing", 3)
    for fields in ({"auto_map": {"AutoModel": "own.Own"}}, {"model_args": {"checkpoint_path": "own.Own"}}):
        with pytest.raises(TrustError, match=r"arch 'hf:vit' contains its own code \(own\.Own\)"):
            from_hugging_face("vit", 3, **fields)
    card = {"arch": "hf:vit", "arch_args": {"auto_map": {"AutoModel": "own.Own"}}, "classes": ["anger", "fear"]}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
    torch.save(SmallCNN(2).state_dict(), tmp_path / "m.pt")
    with pytest.raises(TrustError, match="contains its own code"):
        load_model(tmp_path / "m.pt")


def test_finetune_names_a_command_that_works(folder: Path, faces: Path, tmp_path: Path) -> None:
    common = ["--dataset", "csv", "--data-root", str(faces), "--landmarks", str(faces / "landmarks.txt")]
    options = ["--epochs", "1", "--test-split", "none", "--device", "cpu", "--out", str(tmp_path / "tuned")]
    done = CliRunner().invoke(group, ["finetune", str(folder), *common, *options])
    assert done.exit_code == 0, done.output
    command = f"score it: interpfer score {tmp_path / 'tuned' / 'model.pt'} ..."
    assert command in done.stderr.replace("\n", " ") or command in done.stderr
    model, original = load_model(tmp_path / "tuned" / "model.pt"), load_model(folder)
    assert model.card.input == original.card.input
    weights = torch.load(tmp_path / "tuned" / "model.pt", weights_only=True)
    changed = [name for name, value in original.module.state_dict().items() if not torch.equal(value, weights[name])]
    assert changed
    assert all(torch.equal(value, weights[name]) for name, value in model.module.state_dict().items())
    scored = [*common, "--maps", "gradcam", "--no-report", "--limit", "4", "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(group, ["score", str(tmp_path / "tuned"), *scored]).exit_code == 0
