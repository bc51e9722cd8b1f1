from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import interpfer
from interpfer.errors import ModelError, PluginError
from interpfer.maps import DEFAULT_MAPS, MAPS, select_maps
from interpfer.maps.capture import LayerCapture
from interpfer.maps.compute import compute_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from tests.oracles import maps as oracle

CLASSES = ["anger", "fear", "sadness"]
ORACLES: dict[str, Callable[..., np.ndarray]] = {
    "attention": oracle.attention,
    "gradcam": oracle.gradcam,
    "gradcam++": oracle.gradcam_plus_plus,
    "layercam": oracle.layercam,
}
PEERS: dict[str, type[BaseCAM]] = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM}


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    negative=st.booleans(),
    name=st.sampled_from(sorted(ORACLES)),
)
def test_maps_are_the_plain_loops(seed: int, shape: tuple[int, ...], negative: bool, name: str) -> None:
    rng = np.random.default_rng(seed)
    a, g = rng.normal(size=shape), rng.normal(size=shape)
    a = a if negative else np.maximum(a, 0)
    g[rng.random(shape) < 0.3] = 0
    ours = MAPS.get(name)(LayerCapture(torch.from_numpy(a), torch.from_numpy(g)))
    for row in range(shape[0]):
        np.testing.assert_allclose(ours[row], ORACLES[name](a[row], g[row]), rtol=1e-6, atol=1e-9)


def small() -> nn.Module:
    """A plain CNN with a head of two layers, so that the CAMs differ."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(48, 10), nn.Tanh(), nn.Linear(10, 3),
    )  # fmt: skip
    nn.init.normal_(network[-1].weight, std=100)  # the peer adds 1e-6 where gradients are squared
    return network


def resnet18() -> nn.Module:
    from torchvision.models import resnet18

    return resnet18(num_classes=3)


@pytest.fixture(scope="module", params=[(small, 32, ["1", "3"]), (resnet18, 64, ["layer2", "layer3", "layer4"])])
def peer(request: pytest.FixtureRequest) -> tuple[Model, Tensor, list[str]]:
    torch.manual_seed(3)
    build, size, layers = request.param
    return load_model(build(), classes=CLASSES, input_size=size), torch.rand(3, 3, size, size), layers


@pytest.mark.parametrize("name", PEERS)
def test_maps_are_those_of_pytorch_grad_cam(peer: tuple[Model, Tensor, list[str]], name: str) -> None:
    model, images, layers = peer
    targets = [2, 0, 1]
    ours = compute_maps(model, images, [name], layers, torch.tensor(targets))
    model.module.eval()
    for layer in layers:
        with PEERS[name](model.module, [model.module.get_submodule(layer)]) as cam:
            logits = cam.activations_and_grads(images)
            loss = sum(ClassifierOutputTarget(t)(row) for t, row in zip(targets, logits, strict=True))
            model.module.zero_grad()
            loss.backward()
            a, g = (cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0])
            theirs = cam.get_cam_image(images, None, targets, a.numpy(), g.numpy(), False)
        ours_flat = ours[name, layer].flatten(1).double()
        theirs_flat = torch.from_numpy(np.maximum(theirs, 0)).flatten(1).double()
        alive = theirs_flat.norm(dim=1) > 0
        assert alive.any()
        assert torch.equal(ours_flat.norm(dim=1) > 0, alive)
        assert (torch.cosine_similarity(ours_flat, theirs_flat)[alive] > 0.999).all()


def test_a_dead_channel_makes_no_nan() -> None:
    shown = LayerCapture(torch.rand(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    for name in PEERS:
        assert torch.equal(MAPS.get(name)(shown), torch.zeros(1, 2, 2))


def test_compute_maps_returns_every_map_of_every_layer_at_its_own_grid() -> None:
    model = load_model(small(), classes=CLASSES, input_size=32)
    images = torch.rand(2, 3, 50, 40)
    maps = compute_maps(model, images, maps="gradcam,attention", layers=["1", "3"], targets=["sadness", "fear"])
    assert {key: tuple(value.shape) for key, value in maps.items()} == {
        ("gradcam", "1"): (2, 14, 14),
        ("gradcam", "3"): (2, 12, 12),
        ("attention", "1"): (2, 14, 14),
        ("attention", "3"): (2, 12, 12),
    }
    numbered = interpfer.compute_maps(model, images, ["gradcam"], "3", torch.tensor([2, 1]))
    assert torch.equal(numbered["gradcam", "3"], maps["gradcam", "3"])
    predicted = compute_maps(model, images, ["gradcam"], "3")
    best = model.logits(model.preprocess(images)).argmax(1)
    assert torch.equal(predicted["gradcam", "3"], compute_maps(model, images, ["gradcam"], "3", best)["gradcam", "3"])


def test_targets_in_any_spelling_and_of_no_class() -> None:
    model = load_model(small(), classes=CLASSES, input_size=32)
    images = torch.rand(2, 3, 32, 32)
    spelt = compute_maps(model, images, ["gradcam"], "3", ["Sad", "angry"])
    assert torch.equal(spelt["gradcam", "3"], compute_maps(model, images, ["gradcam"], "3", [2, 0])["gradcam", "3"])
    assert (compute_maps(model, images, ["gradcam"], "3", [-1, 0])["gradcam", "3"][0] == 0).all()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["happy", "sad"], r"model Sequential has no class 'happiness'; it has anger, fear, sadness"),
        (["sad"], "1 targets for 2 images; pass one per image"),
        ([3, 0], r"target must be between -1 and 2 for model Sequential, got 3"),
    ],
)
def test_targets_that_do_not_fit(targets: Sequence[Any], message: str) -> None:
    model = load_model(small(), classes=CLASSES, input_size=32)
    with pytest.raises(ModelError, match=message):
        compute_maps(model, torch.rand(2, 3, 32, 32), ["gradcam"], "3", targets)


def test_groups_of_maps() -> None:
    assert select_maps("gradcam, attention,gradcam") == ("gradcam", "attention")
    assert set(select_maps("baselines")) == {name for name in MAPS if name.startswith("baseline:")}
    assert set(DEFAULT_MAPS) <= set(MAPS)
    with pytest.raises(PluginError, match=r"unknown map or group of maps 'gradcan'\. Did you mean gradcam"):
        select_maps("gradcan")


def test_a_baseline_needs_a_data_set() -> None:
    model = load_model(small(), classes=CLASSES, input_size=32)
    with pytest.raises(PluginError, match="map 'baseline:uniform' is a baseline: it needs a data set"):
        compute_maps(model, torch.rand(1, 3, 32, 32), "baseline:uniform")


@pytest.mark.parametrize("name", MAPS.builtin)
def test_facts(name: str) -> None:
    method = MAPS.get(name)
    assert method.source
    assert method.summary.endswith(".")
