"""Heads on networks: the same trunk, the same logits after saving, and maps that are proven on the batch."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from interpfer import compute_maps, load_model
from interpfer.errors import ModelError, PluginError
from interpfer.finetuning.checkpoints import write_model
from interpfer.models.heads import HEADS
from interpfer.models.heads.attach import attach_head, strided_modules
from interpfer.models.heads.network import HeadedNetwork
from interpfer.models.heads.wildcat import WildcatHead
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

CLASSES = ("anger", "fear", "sadness")


def small() -> Model:
    torch.manual_seed(0)
    return load_model(
        SmallCNN(3, width=4), classes=CLASSES, input_size=32, arch="interpfer:small", arch_args={"width": 4}
    )


def resnet() -> Model:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=3)
    return load_model(network, classes=CLASSES, input_size=64, arch="torchvision:resnet18")


def vit() -> Model:
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, **sizes)
    return load_model(network, classes=CLASSES, input_size=32, arch="timm:vit_tiny_patch16_224", arch_args=sizes)


def features_of(model: Model, layer: str, x: Tensor) -> Tensor:
    """The grid of the layer of the original network, by a hook of the test's own."""
    found = []
    handle = model.module.get_submodule(layer).register_forward_hook(lambda *args: found.append(args[2]))
    model.module.eval()
    with torch.no_grad():
        model.module(x)
    handle.remove()
    (output,) = found
    return output if output.dim() == 4 else output[:, 1:].transpose(1, 2).reshape(len(x), -1, 4, 4)


@pytest.mark.parametrize(("build", "layer"), [(small, "stages.3"), (resnet, "layer4"), (vit, "norm")])
def test_a_head_sees_the_features_of_the_original_network(build, layer: str) -> None:
    model = build()
    x = torch.randn(2, 3, model.card.input.size, model.card.input.size)
    headed = attach_head(model, "lse")
    assert headed.layers("last") == (f"trunk.{layer}",)
    headed.module.eval()
    with torch.no_grad():
        torch.testing.assert_close(headed.module(x), headed.module.head(features_of(model, layer, x)))
    assert not isinstance(model.module, HeadedNetwork)


@pytest.mark.parametrize(("build", "head"), [(small, "wgap"), (small, "acol"), (resnet, "wildcat"), (vit, "prm")])
def test_a_saved_head_gives_the_same_logits_and_maps_without_trust(build, head: str, tmp_path: Path) -> None:
    arguments = {"acol": {"width": 6}, "wildcat": {"modalities": 2, "kmin": 0.1}}.get(head, {})
    headed = attach_head(build(), head, **arguments)
    write_model(tmp_path / "model.pt", headed.module, headed.card)
    again = load_model(tmp_path / "model.pt")
    side = headed.card.input.size
    images = torch.rand(3, 3, side, side)
    torch.testing.assert_close(again.predict_logits(images), headed.predict_logits(images), atol=1e-6, rtol=0)
    for maps in ("cam", "gradcam"):
        (one,), (two,) = (compute_maps(each, images, maps, targets="fear").values() for each in (headed, again))
        torch.testing.assert_close(one, two)
        assert one.isfinite().all()


@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_is_saved_loaded_and_gives_the_same_logits(head: str, tmp_path: Path) -> None:
    build = vit if HEADS.get(head).needs_class_token else small
    headed = attach_head(build(), head, **({"width": 6} if head in ("acol", "expand-shrink") else {}))
    for name, value in headed.module.head.named_parameters():
        if not value.any():  # offsets, which begin at zero
            torch.nn.init.normal_(value, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    write_model(tmp_path / "model.pt", headed.module, headed.card)
    images = torch.rand(3, 3, 32, 32)
    logits = load_model(tmp_path / "model.pt").predict_logits(images)
    torch.testing.assert_close(logits, headed.predict_logits(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("head", [name for name in HEADS if not HEADS.get(name).needs_class_token])
def test_cam_is_the_map_that_the_head_was_made_for(head: str) -> None:
    headed = attach_head(small(), head, **({"width": 6} if head == "acol" else {}))
    images = torch.rand(3, 3, 32, 32)
    (cam,) = compute_maps(headed, images, "cam", targets=["fear", "anger", "sadness"]).values()
    with torch.no_grad():
        captured = []
        handle = headed.module.trunk.stages[3].register_forward_hook(lambda *args: captured.append(args[2]))
        headed.predict_logits(images)
        handle.remove()
        features = captured[0]
        wanted = headed.module.head.class_map(features, torch.tensor([1, 0, 2]))
    torch.testing.assert_close(cam, wanted)


def test_modules_after_the_layer_are_left_out() -> None:
    headed = attach_head(resnet(), "max")
    assert not [name for name, _ in headed.module.named_parameters() if "fc" in name]
    assert headed.card.arch_args["unused"] == ["fc"]
    x = torch.randn(2, 3, 64, 64)
    headed.module.train()
    headed.module(x).sum().backward()
    assert all(parameter.grad is not None for parameter in headed.module.parameters())


def test_large_maps_keep_the_grid_of_the_second_stage() -> None:
    model = resnet()
    assert set(strided_modules(model)) == {
        "layer3.0.conv1",
        "layer3.0.downsample.0",
        "layer4.0.conv1",
        "layer4.0.downsample.0",
    }
    headed = attach_head(model, "wgap", large_maps=True)
    assert headed.layer(headed.layers("last")[0]).grid == (8, 8)
    assert model.layer("layer4").grid == (2, 2)


def test_large_maps_survive_saving(tmp_path: Path) -> None:
    headed = attach_head(resnet(), "gap", large_maps=True)
    write_model(tmp_path / "model.pt", headed.module, headed.card)
    again = load_model(tmp_path / "model.pt")
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again.predict_logits(images), headed.predict_logits(images))
    assert compute_maps(again, images, "cam", targets="fear").popitem()[1].shape == (1, 8, 8)


def test_what_takes_no_head_is_refused() -> None:
    with pytest.raises(ModelError, match="has a head of interpfer .AverageHead., whose grid is kept: --large-maps is"):
        attach_head(attach_head(small(), "gap"), "max", large_maps=True)
    with pytest.raises(ModelError, match="--large-maps removes strides"):
        attach_head(vit(), "gap", large_maps=True)


def test_a_head_of_interpfer_is_replaced_on_the_same_layer(tmp_path: Path) -> None:
    first = attach_head(small(), "wildcat", modalities=2)
    second = attach_head(first, "lse", ("fear", "anger"), r=5.0)
    assert second.notes[-1] == "lse head with random weights in place of the WildcatHead of SmallCNN"
    assert (second.classes, second.layers("last")) == (("fear", "anger"), ("trunk.stages.3",))
    write_model(tmp_path / "model.pt", second.module, second.card)
    again, images = load_model(tmp_path / "model.pt"), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again.predict_logits(images), second.predict_logits(images), atol=1e-6, rtol=0)
    torch.testing.assert_close(again.module.trunk.state_dict(), first.module.trunk.state_dict())
    assert isinstance(first.module.head, WildcatHead)


def own_weights(network: HeadedNetwork) -> dict[str, Tensor]:
    """The tensors as code of one's own may name them: the trunk's as they are, a linear layer for the convolution."""
    state = network.state_dict()
    trunk = {name.removeprefix("trunk."): value for name, value in state.items() if name.startswith("trunk.")}
    return trunk | {
        "classifier.weight": state["head.conv.weight"][:, :, 0, 0],
        "classifier.bias": state["head.conv.bias"],
    }


@pytest.mark.parametrize("names", ["ours", "own"])
def test_a_card_names_the_head_of_a_checkpoint(names: str, tmp_path: Path) -> None:
    headed = attach_head(small(), "lse", r=5.0)
    torch.save(headed.module.state_dict() if names == "ours" else own_weights(headed.module), tmp_path / "net.pt")
    options = {"arch": "interpfer:small", "arch_args": {"width": 4}, "classes": CLASSES, "input_size": 32}
    again = load_model(tmp_path / "net.pt", head="lse", head_args={"r": 5.0}, **options)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again.predict_logits(images), headed.predict_logits(images), atol=1e-6, rtol=0)
    write_model(tmp_path / "copy.pt", again.module, again.card)
    copied = load_model(tmp_path / "copy.pt")
    assert (copied.card.head, copied.card.head_args) == ("lse", {"r": 5.0})
    torch.testing.assert_close(copied.predict_logits(images), headed.predict_logits(images), atol=1e-6, rtol=0)
    other = attach_head(copied, "wildcat", modalities=3)
    write_model(tmp_path / "other.pt", other.module, other.card)
    assert load_model(tmp_path / "other.pt").card.head_args == {"modalities": 3}
    write_model(tmp_path / "headed.pt", headed.module, headed.card)
    same = load_model(tmp_path / "headed.pt", head="lse")
    torch.testing.assert_close(same.predict_logits(images), headed.predict_logits(images), atol=1e-6, rtol=0)
    with pytest.raises(ModelError, match="a head already .LogSumExpHead., so it takes no --head gap:"):
        load_model(tmp_path / "headed.pt", head="gap")
    with pytest.raises(PluginError, match="unknown head 'lsf'. Did you mean lse?"):
        load_model(tmp_path / "net.pt", head="lsf", **options)


def test_other_classes_and_a_network_of_unknown_origin() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model = load_model(network, classes=["anger", "fear"], input_size=16)
    headed = attach_head(model, "gap", CLASSES)
    assert headed.classes == CLASSES
    assert headed.card.arch is None
    assert headed.predict_logits(torch.rand(2, 3, 16, 16)).shape == (2, 3)
