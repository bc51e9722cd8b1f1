"""Folders whose config.json names another network than their weights, or code of its own that is not run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import interpfer
from interpfer.errors import ModelError, TrustError

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def convnext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ConvNeXt V2 whose config.json says ``convnext``, as some of the hub do."""
    folder = tmp_path_factory.mktemp("odd") / "net"
    torch.manual_seed(0)
    sizes = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "image_size": 32}
    labels = {0: "angry", 1: "happy"}
    config = transformers.ConvNextV2Config(**sizes, id2label=labels, label2id={"angry": 0, "happy": 1})
    network = transformers.ConvNextV2ForImageClassification(config)
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.2)
    network.save_pretrained(folder)
    return folder


def change_config(folder: Path, to: Path, **fields: Any) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | fields
    (to / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return to


def test_another_type_than_that_of_the_weights(convnext: Path, tmp_path: Path) -> None:
    odd = change_config(convnext, tmp_path / "net", model_type="convnext")
    plain, fitted = interpfer.load_model(convnext), interpfer.load_model(odd)
    assert type(fitted.module).__name__ == "ConvNextV2ForImageClassification"
    assert fitted.classes == ("anger", "happiness")
    torch.testing.assert_close(fitted.logits(plain.noise), plain.logits(plain.noise))
    assert any("says model_type 'convnext', but every weight fits convnextv2" in note for note in fitted.notes)


def test_a_class_of_its_own_is_fitted_without_its_code(convnext: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = {"AutoModelForImageClassification": "own.Own"}
    odd = change_config(convnext, tmp_path / "net", model_type="own", auto_map=code)
    (odd / "own.py").write_text(f"open({str(trace)!r}, 'w')")
    plain, fitted = interpfer.load_model(convnext), interpfer.load_model(odd)
    torch.testing.assert_close(fitted.logits(plain.noise), plain.logits(plain.noise))
    assert any("own code (own.Own) was not run" in note for note in fitted.notes)
    assert not trace.exists()


def test_a_class_of_its_own_with_the_weights_of_a_known_network(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18(num_classes=7).eval()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}))
    model = interpfer.load_model(tmp_path, classes="fer2013", input_size=64)
    torch.testing.assert_close(model.logits(model.noise), network(model.noise))
    torch.save({"strange.weight": torch.ones(2, 3)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(TrustError, match=r"own code \(own\.Own\); review it, .*; without its code: no network of"):
        interpfer.load_model(tmp_path, classes="fer2013")


def test_weights_that_fit_no_known_network(convnext: Path, tmp_path: Path) -> None:
    odd = change_config(convnext, tmp_path / "net", depths=[2, 1, 1, 1])
    with pytest.raises(ModelError, match=r"the weights of .* do not fit its config\.json: \d+ are missing"):
        interpfer.load_model(odd)
