"""Side by side with pytorch-grad-cam, torchcam and captum: equal where definitions are; else, how they differ."""

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam as peer
import timm
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision.models import resnet18

from interpfer.errors import ModelError
from interpfer.maps.canvas import normalise
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "sadness", "surprise"]
SIZE, N = 64, 3
SHARED = {
    "gradcam": peer.GradCAM,
    "gradcam++": peer.GradCAMPlusPlus,
    "layercam": peer.LayerCAM,
    "xgradcam": peer.XGradCAM,
    "hirescam": peer.HiResCAM,
    "gradcam-elementwise": peer.GradCAMElementWise,
    "eigencam-centred": peer.EigenCAM,
    "eigengradcam": peer.EigenGradCAM,
}


@pytest.fixture(autouse=True)
def _third_party_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Small(nn.Module):
    """A small CNN whose head is no linear one, so that no two CAMs coincide at its last layer."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 8, 12, 16]
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.ReLU()) for i, o in pairwise(widths))
        )
        self.head = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16 * 36, 4))

    def forward(self, x: Tensor) -> Tensor:
        return 30 * self.head(self.blocks(x))


def build(name: str) -> tuple[Model, list[str]]:
    torch.manual_seed(0)
    if name == "small":
        network: nn.Module = Small()
        layers = ["blocks.0", "blocks.1", "blocks.2"]
    elif name == "resnet18":
        network = resnet18(num_classes=4)
        network.fc.weight.data *= 300  # gradients large against pytorch-grad-cam's absolute epsilons
        layers = ["layer1", "layer2", "layer3", "layer4"]
    elif name == "swin":
        small = {"embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4, "num_classes": 4}
        network = timm.create_model("swin_tiny_patch4_window7_224", img_size=SIZE, **small)
        network.head.fc.weight.data *= 1e5
        layers = ["layers.0", "layers.1"]
    else:
        network = timm.create_model(
            "vit_tiny_patch16_224", img_size=SIZE, patch_size=8, depth=3, embed_dim=48, num_heads=3, num_classes=4
        )
        network.head.weight.data *= 3000
        layers = ["blocks.0", "blocks.1", "blocks.2.norm1"]
    with torch.no_grad():
        network.train()
        for _ in range(5):
            network(torch.rand(8, 3, SIZE, SIZE))
    return load_model(network.eval(), classes=CLASSES, input_size=SIZE, name=name), layers


MODELS = ("small", "resnet18", "vit", "swin")


@pytest.fixture(scope="module", params=MODELS)
def subject(request: pytest.FixtureRequest) -> tuple[Model, list[str]]:
    return build(request.param)


def images(n: int = N) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


TARGETS = [1, 3, 0]


def theirs(method: Any, model: Model, layer: str, x: Tensor, **options: Any) -> Tensor:
    """Their map before it is enlarged."""
    grid = model.layer(layer).grid
    made = method(model.module, [model.module.get_submodule(layer)], lambda t: model.to_grid(layer, t), **options)
    with made as cam:
        cam.get_target_width_height = lambda _: grid[::-1]
        drawn = cam(x, [ClassifierOutputTarget(target) for target in TARGETS[: len(x)]])
    return torch.from_numpy(np.asarray(drawn, np.float32))


def unit(raw: Tensor) -> Tensor:
    return normalise(raw)[0].nan_to_num().flatten(1)


@pytest.mark.parametrize("name", SHARED)
def test_equal_to_pytorch_grad_cam_per_image_and_layer(subject: tuple[Model, list[str]], name: str) -> None:
    model, layers = subject
    ours = compute_maps(model, images(), [name], layers, TARGETS)
    compared = 0
    for layer in layers:
        raw, drawn = ours[name, layer], theirs(SHARED[name], model, layer, model.preprocess(images())).flatten(1)
        for one, other in zip(unit(raw), drawn, strict=True):
            if name.startswith("eigen") and torch.cosine_similarity(one, other, 0) < 0.999:
                continue  # their sign is arbitrary; see below
            if one.any() or other.any():
                assert torch.cosine_similarity(one, other, 0) > 0.999, layer
                compared += 1
    assert compared >= (1 if name.startswith("eigen") else 3)


@pytest.mark.parametrize("name", ["eigencam-centred", "eigengradcam"])
def test_eigen_maps_of_pytorch_grad_cam_have_an_arbitrary_sign(name: str) -> None:
    # trap: a ReLU then deletes the map in some images; ours equals theirs or theirs with the other sign
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    model, layers = build("small")
    ours = compute_maps(model, images(), [name], layers, TARGETS)
    shown = capture(model, model.preprocess(images()), layers, torch.tensor(TARGETS))
    for layer in layers:
        seen = shown.layers[layer]
        features = seen.activation if name == "eigencam-centred" else seen.product
        projected = torch.from_numpy(get_2d_projection(features.numpy()))
        for raw, signed in zip(ours[name, layer], projected, strict=True):
            signs = [torch.cosine_similarity(raw.flatten(), (s * signed).relu().flatten(), 0) for s in (1, -1)]
            assert max(signs) > 0.999
            assert (signs[0] > signs[1]) == (signed.max() > -signed.min())


def test_scorecam_and_ablationcam_of_pytorch_grad_cam() -> None:
    # theirs enlarges masks with align_corners, which moves them; and ablates with -1e7 where a layer is never zero
    model, layers = build("small")
    model.module.head[3].bias.data += 5  # positive logits: theirs divides by the signed logit
    with torch.no_grad():
        x = model.preprocess(images())
        assert (model.logits(x).gather(1, torch.tensor(TARGETS)[:, None]) > 0).all()
    ours = compute_maps(model, images(), ["scorecam", "ablationcam"], layers[1:], TARGETS)
    for layer in layers[1:]:
        for name, method in {"scorecam": peer.ScoreCAM, "ablationcam": peer.AblationCAM}.items():
            drawn = theirs(method, model, layer, x).flatten(1)
            close = torch.cosine_similarity(unit(ours[name, layer]), drawn)
            assert close.min() > (0.999 if name == "ablationcam" else 0.95), (name, layer)


def test_ablationcam_of_pytorch_grad_cam_is_inside_out_for_a_negative_logit() -> None:
    model, _ = build("small")
    model.module.head[3].bias.data -= 8
    x = model.preprocess(images())
    with torch.no_grad():
        assert (model.logits(x).gather(1, torch.tensor(TARGETS)[:, None]) < 0).all()
    ours = compute_maps(model, images(), ["ablationcam"], ["blocks.2"], TARGETS)["ablationcam", "blocks.2"]
    drawn = theirs(peer.AblationCAM, model, "blocks.2", x).flatten(1)
    assert torch.cosine_similarity(unit(ours), drawn).max() < 0.9


def test_pytorch_grad_cam_averages_layers_and_leaves_gradients_behind() -> None:
    # traps: several target layers become one map; .grad is filled on every parameter; ours does neither
    model, layers = build("small")
    ours = compute_maps(model, images(), ["gradcam"], layers, TARGETS)
    assert len(ours) == 3
    assert all(p.grad is None for p in model.module.parameters())
    with peer.GradCAM(model.module, [model.module.get_submodule(layer) for layer in layers]) as cam:
        assert cam(images(), [ClassifierOutputTarget(t) for t in TARGETS]).shape == (N, SIZE, SIZE)
    assert all(p.grad is not None for p in model.module.parameters())


def test_images_without_a_target_of_their_own_are_no_zeros() -> None:
    # trap: with fewer targets than images pytorch-grad-cam's other maps are silently zero; ours is an error
    model, layers = build("small")
    with peer.GradCAM(model.module, [model.module.get_submodule(layers[1])]) as cam:
        drawn = cam(images(), [ClassifierOutputTarget(1)])
    assert drawn[0].any()
    assert not drawn[1:].any()
    with pytest.raises(ModelError, match="1 targets for 3 images"):
        compute_maps(model, images(), ["gradcam"], layers[1:2], [1])


def test_an_index_error_is_not_swallowed() -> None:
    # trap: the context of pytorch-grad-cam swallows IndexError, and the code continues without a map
    model, layers = build("small")

    def broken(*_: object) -> None:
        raise IndexError("a hole in the network")

    model.module.blocks[2].register_forward_hook(broken)
    drawn = None
    with peer.GradCAM(model.module, [model.module.get_submodule(layers[0])]) as cam:
        drawn = cam(images(), [ClassifierOutputTarget(target) for target in TARGETS])
    assert drawn is None
    with pytest.raises(ModelError, match="its forward raised IndexError: a hole in the network"):
        compute_maps(model, images(), ["gradcam"], layers[:1], TARGETS)


def test_gradcam_is_captums_layer_gradcam_with_a_relu() -> None:
    for name in ("small", "resnet18"):
        model, layers = build(name)
        ours = compute_maps(model, images(), ["gradcam"], layers, TARGETS)
        for layer in layers:
            made = LayerGradCam(model.module, model.module.get_submodule(layer))
            signed = made.attribute(images(), torch.tensor(TARGETS))[:, 0].detach()
            torch.testing.assert_close(ours["gradcam", layer], signed.relu(), rtol=1e-3, atol=1e-4 * signed.abs().max())


def test_captums_layer_gradcam_of_a_transformer_adds_up_tokens() -> None:
    # trap: it takes the tokens for channels, and returns no picture
    model, _ = build("vit")
    made = LayerGradCam(model.module, model.module.blocks[1])
    assert made.attribute(images(), torch.tensor(TARGETS)).shape == (N, 1, 48)
    ours = compute_maps(model, images(), ["gradcam"], ["blocks.1"], TARGETS)
    assert ours["gradcam", "blocks.1"].shape == (N, 8, 8)


def torchcam(name: str, model: Model, layers: list[str]) -> list[Tensor]:
    from torchcam import methods

    with getattr(methods, name)(model.module, layers, input_shape=(3, SIZE, SIZE)) as cam:
        scores = model.module(images().requires_grad_())
        return [drawn.detach() for drawn in cam(TARGETS, scores)]


@pytest.mark.parametrize("name", ["gradcam", "layercam", "xgradcam", "gradcam++"])
def test_torchcam(name: str) -> None:
    peers = {"gradcam": "GradCAM", "layercam": "LayerCAM", "xgradcam": "XGradCAM", "gradcam++": "GradCAMpp"}
    model, layers = build("small")
    ours = compute_maps(model, images(), [name, "gradcam++compat"], layers, TARGETS)
    for layer, drawn in zip(layers, torchcam(peers[name], model, layers), strict=True):
        # its Grad-CAM++ has lost a division: that form of ours is called gradcam++compat
        raw = ours["gradcam++compat" if name == "gradcam++" else name, layer]
        assert torch.cosine_similarity(unit(raw), drawn.flatten(1)).min() > 0.999, layer


def test_torchcam_cam_is_signed_ours_too() -> None:
    model, _ = build("resnet18")
    from torchcam.methods import CAM

    with CAM(model.module, "layer4", "fc", input_shape=(3, SIZE, SIZE)) as cam:
        model.module(images())
        (drawn,) = cam(TARGETS)
    ours = compute_maps(model, images(), ["cam"], ["layer4"], TARGETS)["cam", "layer4"]
    assert torch.cosine_similarity(unit(ours), drawn.flatten(1)).min() > 0.999


def test_gradcam_plus_plus_with_small_gradients() -> None:
    # pytorch-grad-cam adds 1e-6 to a denominator of squared gradients: where they are small its alpha is lost, and its
    # weights become those of gradcam++compat; ours tend to the limit of the formula, half the positive gradients
    model, layers = build("small")
    model.module.head[3].weight.data *= 1e-5
    drawn = theirs(peer.GradCAMPlusPlus, model, layers[0], model.preprocess(images())).flatten(1)
    ours = compute_maps(model, images(), ["gradcam++", "gradcam++compat"], layers[:1], TARGETS)
    assert torch.cosine_similarity(unit(ours["gradcam++compat", layers[0]]), drawn).min() > 0.999
    seen = capture(model, model.preprocess(images()), layers[:1], torch.tensor(TARGETS)).layers[layers[0]]
    limit = (seen.gradient.relu().sum((2, 3), keepdim=True) / 2 * seen.activation).sum(1).relu()
    assert torch.cosine_similarity(ours["gradcam++", layers[0]].flatten(1), limit.flatten(1)).min() > 0.999
    assert torch.cosine_similarity(unit(ours["gradcam++", layers[0]]), drawn).min() < 0.999


def test_enlarging_differs_captum_takes_the_nearest() -> None:
    from captum.attr import LayerAttribution

    model, _ = build("small")
    signed = compute_maps(model, images(), ["gradcam"], ["blocks.2"], TARGETS)["gradcam", "blocks.2"][:, None]
    theirs = LayerAttribution.interpolate(signed, (SIZE, SIZE))
    torch.testing.assert_close(theirs, F.interpolate(signed, (SIZE, SIZE), mode="nearest"))
