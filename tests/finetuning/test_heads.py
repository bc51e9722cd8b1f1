"""`finetune --head`: other heads on networks, from the option to a checkpoint that scores without flags."""

from pathlib import Path

import pytest
import torch

from interpfer import load_model
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import InterpferError, ModelError
from interpfer.finetuning.accelerator import TrainingForward
from interpfer.finetuning.attention_dropout import FeatureDropout
from interpfer.finetuning.data import Inputs
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.models.heads import HEADS
from interpfer.models.heads.acol import AcolHead
from interpfer.models.heads.attach import attach_head
from interpfer.models.heads.network import HeadedNetwork
from interpfer.models.model import Model
from interpfer.models.new_network import new_network
from interpfer.models.small import SmallCNN
from interpfer.scoring.score import score

FACES = DemoDataset("train", count=14, size=32)
UNTRAINED = "before is the network with that untrained head"


def small(classes: int = 7) -> Model:
    torch.manual_seed(0)
    card = {"arch": "interpfer:small", "arch_args": {"width": 4}}
    return load_model(SmallCNN(classes, width=4), classes=FACES.classes[:classes], input_size=32, **card)


def train(model: Model | str, out: Path, **choices: object) -> FinetuneResult:
    choices = {"epochs": 2, "batch_size": 7, "blend": 0.0, "freeze": "none", "device": "cpu", "test": None} | choices
    return finetune(model, FACES, out=out, **choices)


@pytest.mark.parametrize(("head", "arguments"), [("wildcat", {"modalities": 2}), ("acol", {"width": 8}), ("prm", {})])
def test_a_new_head_is_trained_saved_and_scored_without_flags(
    head: str, arguments: dict[str, int], tmp_path: Path
) -> None:
    result = train(small(), tmp_path / "tuned", head=head, head_args=arguments, precision="bf16", adl="0.5,0.9")
    assert result.notes[0] == f"{head} head with random weights in place of the head of SmallCNN; {UNTRAINED}"
    again = load_model(tmp_path / "tuned" / "model.pt")
    assert isinstance(again.module, HeadedNetwork)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again.predict_logits(images), result.model.predict_logits(images))
    assert ("head" in result.history) == (head == "acol")
    run = score(tmp_path / "tuned" / "model.pt", FACES, maps="cam", metrics="cosine", device="cpu")
    assert run.scores["value"].notna().any()


def test_a_resumed_training_of_a_head_ends_with_the_same_bits(tmp_path: Path) -> None:
    choices = {"head": "acol", "head_args": {"width": 6}, "seed": 3}
    whole = train(small(), tmp_path / "whole", **choices)

    class StoppedError(Exception):
        pass

    def stop(_: dict[str, object]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(small(), tmp_path / "cut", report=stop, **choices)
    resumed = train(small(), tmp_path / "cut", resume=True, **choices)
    for one, two in zip(whole.model.module.parameters(), resumed.model.module.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.fixture(scope="module")
def networks() -> tuple[Model, Model]:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    return small(), new_network("timm:vit_tiny_patch16_224", classes=FACES.classes, input_size=32, arch_args=sizes)


@pytest.mark.parametrize("name", list(HEADS))
@pytest.mark.parametrize("kind", ["cnn", "vit"])
def test_every_head_trains_on_both_kinds_of_networks_under_mixed_precision(
    name: str, kind: str, networks: tuple[Model, Model]
) -> None:
    network = networks[kind == "vit"]
    if HEADS.get(name).needs_class_token and kind == "cnn":
        return
    model = attach_head(network, name, **({"width": 6} if name == "acol" else {}))
    for parameter in model.module.parameters():
        parameter.requires_grad_()
    forward = TrainingForward(model.module, {}, [FeatureDropout(model, (0.5, 0.9))]).train()
    x, targets = torch.rand(3, 3, 32, 32), torch.tensor([0, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        logits, own = forward(x, [(1.0, targets)])
        loss = torch.nn.functional.cross_entropy(logits, targets) + (0 if own is None else own)
    loss.backward()
    gradients = {key: value.grad for key, value in model.module.named_parameters()}
    assert all(each is not None and each.isfinite().all() for each in gradients.values())
    assert any(bool(each.any()) for key, each in gradients.items() if key.startswith("trunk."))


def test_the_loss_of_a_head_weighs_both_faces_of_a_mixture() -> None:
    torch.manual_seed(0)
    head = AcolHead(4, 3, width=5)
    forward, features = TrainingForward(head, {}), torch.rand(2, 4, 4, 4)
    first, second = torch.tensor([0, 1]), torch.tensor([2, -1])
    logits, loss = forward(features, [(0.7, first), (0.3, second)])
    torch.testing.assert_close(logits, head(features))
    losses = [head.training_loss(features, classes) for classes in (first, second)]
    assert loss is not None
    torch.testing.assert_close(loss, 0.7 * losses[0] + 0.3 * losses[1])
    assert not head._forward_pre_hooks


def test_the_seed_decides_the_random_weights(tmp_path: Path) -> None:
    inputs = Inputs(small(), FACES, None, None)
    weights = []
    for seed in (0, 0, 1):
        state = torch.random.get_rng_state()
        options = FinetuneOptions(model="small.pt", dataset="demo", out=tmp_path, head="gap", seed=seed)
        weights.append(inputs.open_model(options).module.head.conv.weight)
        assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_network_of_a_library_starts_with_random_weights_and_the_usual_normalisation() -> None:
    model = new_network("torchvision:resnet18", classes="rafdb", input_size=64)
    assert model.name == "resnet18"
    assert model.card.input.size == 64
    assert model.card.input.mean == pytest.approx((0.485, 0.456, 0.406))
    assert model.notes == ("torchvision:resnet18 starts with random weights",)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"large_maps": True}, "--large-maps and head_args need a head: pass --head NAME"),
        ({"head": "wildcatt"}, "unknown head 'wildcatt'. Did you mean wildcat?"),
        ({"head": "gap", "head_args": {"nothing": 1}}, "head gap: "),
    ],
)
def test_options_that_do_not_fit_are_refused(choices: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InterpferError) as caught:
        train(small(), tmp_path / "out", **choices)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_pretrained_weights_are_for_networks_of_libraries(tmp_path: Path) -> None:
    with pytest.raises(InterpferError, match="--pretrained needs torchvision:NAME or timm:NAME as MODEL"):
        train(str(tmp_path / "model.pt"), tmp_path / "out", pretrained=True)


def test_pretrained_weights_that_are_not_at_hand_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(ModelError, match=r"weights of torchvision:resnet18 are not in .* and cannot be downloaded"):
        new_network("torchvision:resnet18", True, classes="rafdb")


def test_pretrained_weights_fill_all_but_the_last_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    published = torchvision.models.resnet18(num_classes=1000).state_dict()
    monkeypatch.setattr("interpfer.models.new_network._torchvision_weights", lambda name: published)
    model = new_network("torchvision:resnet18", True, classes="rafdb", input_size=64)
    own = model.module.state_dict()
    assert all(torch.equal(own[name], published[name]) for name in own if not name.startswith("fc."))
    assert own["fc.weight"].shape == (7, 512)
