"""Maps that run the model themselves: perturbation, sampling, and what other libraries make."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.transform import resize
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError, PluginError
from interpfer.maps import MAPS, perturbation, select_maps
from interpfer.maps.base import MapContext
from interpfer.maps.capture import capture
from interpfer.maps.compute import compute_maps
from interpfer.maps.rise import draw_masks, rise_map
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "sadness"]
SIZE = 16
PERTURBING = ["scorecam", "ss-cam", "is-cam", "ablationcam", "smoothgradcam++", "rise-1000", "occlusion"]
FOREIGN = ["fullgrad", "kpca-cam", "finer-cam", "shapley-cam", "integrated-gradients", "saliency", "input-x-gradient",
           "deeplift", "guided-backprop", "guided-gradcam", "lrp"]  # fmt: skip


def network(inplace: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=inplace), nn.Conv2d(6, 70, 3, 1, 1), nn.ReLU(inplace=inplace),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(70, 3),
    )  # fmt: skip


@pytest.fixture
def model() -> Model:
    return load_model(network(), classes=CLASSES, input_size=SIZE, mean=0.5, std=0.25)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbation, "SS_SAMPLES", 2)
    monkeypatch.setattr(perturbation, "IS_STEPS", 3)
    monkeypatch.setattr(perturbation, "SMOOTH_SAMPLES", 3)


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def scene(model: Model, layer: str = "3", targets: tuple[int, ...] = (1, 2)) -> MapContext:
    x = model.preprocess(images(len(targets)))
    return MapContext(model, x, torch.tensor(targets), layer, tuple(range(len(targets))), 0)


@torch.no_grad()
def test_scorecam_and_is_cam_one_channel_at_a_time(model: Model) -> None:
    at = scene(model)
    model.module.eval()
    a = capture(model, at.x, ["3"], gradients=False).layers["3"].activation
    for name, steps in {"scorecam": [1.0], "is-cam": [1 / 3, 2 / 3, 1.0]}.items():
        raw = MAPS.get(name).compute(at)
        for i, target in enumerate([1, 2]):
            scores = []
            for channel in a[i]:
                mask = F.interpolate(channel[None, None], size=SIZE, mode="bilinear")[0, 0]
                span = mask.max() - mask.min()
                mask = (mask - mask.min()) / span if span > 0 else mask * 0
                scores.append(np.mean([model.logits(at.x[i : i + 1] * mask * s)[0, target].item() for s in steps]))
            weights = np.exp(scores) / np.exp(scores).sum()
            expected = np.maximum(sum(w * c.numpy() for w, c in zip(weights, a[i], strict=True)), 0)
            np.testing.assert_allclose(raw[i], expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_ablationcam_where_the_logit_is_negative(model: Model) -> None:
    # trap: dividing the fall of the logit by the signed logit turns the map inside out where it is negative
    model.module[6].bias -= 5
    at = scene(model)
    a = capture(model, at.x, ["3"], gradients=False).layers["3"].activation
    assert (model.logits(at.x) < 0).all()
    weight = model.module[6].weight[[1, 2]]  # GAP + linear: the fall is exactly weight times mean activation
    expected = torch.einsum("nc,nchw->nhw", weight * a.mean((2, 3)), a).relu()
    torch.testing.assert_close(MAPS.get("ablationcam").compute(at), expected, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_occlusion_one_window_at_a_time(model: Model) -> None:
    at = scene(model)
    raw, cell = MAPS.get("occlusion").compute(at), SIZE / 14
    for i, target in enumerate([1, 2]):
        whole = model.logits(at.x[i : i + 1])[0, target]
        for row, column in [(0, 0), (5, 9), (13, 13)]:
            hidden = at.x[i : i + 1].clone()
            top, left = (max(round((place + 0.5 - 1.5) * cell), 0) for place in (row, column))
            bottom, right = (round((place + 0.5 + 1.5) * cell) for place in (row, column))
            hidden[:, :, top:bottom, left:right] = hidden.mean((2, 3), keepdim=True)
            assert raw[i, row, column].item() == pytest.approx(
                (whole - model.logits(hidden)[0, target]).item(), abs=1e-4
            )


def test_smooth_gradcam_plus_plus_without_noise_is_gradcam_plus_plus(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perturbation, "NOISE", 0.0)
    maps = compute_maps(model, images(), ["gradcam++", "smoothgradcam++"], layers=["3"], targets=[1, 2])
    torch.testing.assert_close(maps["smoothgradcam++", "3"], maps["gradcam++", "3"], rtol=1e-3, atol=1e-6)


def test_smooth_gradcam_plus_plus_averages_activations_too(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    # trap: torchcam's uses the last noisy activation; with a linear head gradients are constant, so only they matter
    seen: list[Tensor] = []

    def watch(*arguments: object, **keywords: object) -> object:
        found = capture(*arguments, **keywords)
        seen.append(found.layers["3"].activation)
        return found

    monkeypatch.setattr(perturbation, "capture", watch)
    raw = MAPS.get("smoothgradcam++").compute(scene(model))
    assert len(seen) == 3
    mean = torch.stack(seen).mean(0)
    g = model.module[6].weight[[1, 2]].detach()[:, :, None, None] / mean[0, 0].numel()
    weight = (g.relu() / (2 + g * mean.sum((2, 3), keepdim=True))).sum((2, 3)) * mean[0, 0].numel()
    torch.testing.assert_close(raw, torch.einsum("nc,nchw->nhw", weight, mean).relu(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [16, 50, 56])
def test_masks_of_rise_are_those_of_its_code_one_at_a_time(size: int) -> None:
    # restated: 7 x 7 cells, enlarged to 8 x 8 cells of the picture by scikit-image, cut out at a random place
    masks = draw_masks(9, size, torch.Generator().manual_seed(4))
    again = torch.Generator().manual_seed(4)
    cells, cell = (torch.rand(9, 7, 7, generator=again) < 0.5).double().numpy(), math.ceil(size / 7)
    for mask, grid, row, column in zip(masks, cells, *torch.randint(0, cell, (2, 9), generator=again), strict=True):
        large = resize(grid, (8 * cell, 8 * cell), order=1, mode="reflect", anti_aliasing=False)
        np.testing.assert_allclose(mask, large[row : row + size, column : column + size], atol=1e-5)
    many = draw_masks(3000, size, torch.Generator().manual_seed(0))
    assert ((many >= 0) & (many <= 1)).all()
    np.testing.assert_allclose(many.mean(0), 0.5, atol=0.06)


@torch.no_grad()
def test_rise_one_mask_at_a_time_divided_by_its_expectation(model: Model) -> None:
    at, masks = scene(model), []
    random = torch.Generator().manual_seed(at.seed)
    for count in (64, 36):
        masks += list(draw_masks(count, SIZE, random))
    raw = rise_map(100).compute(at)
    for i, target in enumerate([1, 2]):
        total = np.zeros((SIZE, SIZE))
        for mask in masks:
            total += model.logits(at.x[i : i + 1] * mask).softmax(1)[0, target].item() * mask.numpy()
        np.testing.assert_allclose(raw[i], total / 100 / 0.5, rtol=1e-4)


def test_rise_has_the_masks_that_its_name_says(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def count(context: MapContext, masks: int) -> Tensor:
        counts.append(masks)
        return context.x[:, 0]

    monkeypatch.setattr("interpfer.maps.rise._compute", count)
    for name in ("rise", "rise-250", "rise-8000"):
        MAPS.get(name).compute(scene(model))
    assert counts == [4000, 250, 8000]
    assert MAPS.get("rise").summary.startswith("Mean of 4,000 random masks, ")
    assert MAPS.get("rise-8000") is rise_map(8000)
    assert select_maps("rise-250,rise") == ("rise-250", "rise")
    assert MAPS.origin("rise-250") == "interpfer"
    assert "rise-250" not in select_maps("everything")
    for name in ("rise-0", "rise-", "rise-1e3", "rise-x"):
        with pytest.raises(PluginError, match=f"unknown map or group of maps '{name}'. Did you mean rise"):
            select_maps(name)


def test_rise_finds_the_one_bright_spot() -> None:
    class Corner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.conv(x)
            bright = 8 * x[:, :, 2:6, 9:13].mean((1, 2, 3))
            return torch.stack([bright, 0 * bright, 0 * bright], 1)

    corner = load_model(Corner(), classes=CLASSES, input_size=SIZE)
    picture = torch.zeros(1, 3, SIZE, SIZE)
    picture[:, :, 2:6, 9:13] = 1
    raw = compute_maps(corner, picture, ["rise", "occlusion"], targets=[0])
    row, column = divmod(int(raw["rise", "input"][0].argmax()), SIZE)
    assert row < SIZE / 2 <= column
    row, column = divmod(int(raw["occlusion", "input"][0].argmax()), 14)
    assert 1 <= row <= 6
    assert 7 <= column <= 12


@pytest.mark.parametrize("name", PERTURBING + FOREIGN)
def test_any_map_is_finite_repeatable_and_its_own_whatever_the_batch(model: Model, name: str) -> None:
    model.module.train()
    model.module[0].weight.grad = torch.ones_like(model.module[0].weight)
    one, two = (compute_maps(model, images(3), [name], ["3"], [0, 1, 2], batch_size=size) for size in (3, 2))
    (key, raw), method = next(iter(one.items())), MAPS.get(name)
    assert key[1] == ("input" if not getattr(method, "layer", True) else "3")
    assert raw.isfinite().all()
    assert (raw.amax((1, 2)) > raw.amin((1, 2))).any()
    torch.testing.assert_close(raw, two[key], rtol=1e-3, atol=1e-4 * float(raw.abs().max()))
    assert model.module.training
    assert all(p.requires_grad for p in model.module.parameters())
    assert (model.module[0].weight.grad == 1).all()
    assert model.module[2].weight.grad is None
    assert all(m.inplace for m in model.module if isinstance(m, nn.ReLU))
    for module in model.module.modules():
        assert not {**module._forward_hooks, **module._forward_pre_hooks, **module._backward_hooks}


@pytest.mark.parametrize("name", ["scorecam", "guided-backprop", "finer-cam", "input-x-gradient"])
def test_a_class_specific_map_depends_on_the_class(model: Model, name: str) -> None:
    one, two = (compute_maps(model, images(1), [name], ["3"], [target]) for target in (0, 1))
    assert all(not torch.allclose(one[key], two[key], rtol=1e-5, atol=1e-9) for key in one)


def test_what_a_library_raises_names_the_map() -> None:
    class Reused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.relu, self.fc = (
                nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Linear(4, 3),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.relu(self.two(self.relu(self.one(x)))).mean((2, 3)))

    reused = load_model(Reused(), classes=CLASSES, input_size=SIZE)
    with pytest.raises(
        ModelError, match="map 'deeplift' cannot be computed for model Reused at input: captum cannot compute"
    ):
        compute_maps(reused, images(), ["deeplift"])
    assert not any(module._forward_hooks for module in reused.module.modules())


def test_pytorch_grad_cam_sees_the_layer_and_not_what_works_on_it_in_place() -> None:
    found = []
    for inplace in (True, False):
        model = load_model(network(inplace), classes=CLASSES, input_size=SIZE)
        found.append(compute_maps(model, images(), ["shapley-cam", "finer-cam"], ["2"], [1, 2]))
    for key, raw in found[0].items():
        torch.testing.assert_close(raw, found[1][key])


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "batch size must be at least 1, got 0"),
        (-1, "batch size must be at least 1, got -1"),
        ("many", "batch size must be a whole number or auto, got 'many'"),
    ],
)
def test_a_batch_holds_an_image(model: Model, size: int | str, message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        compute_maps(model, torch.rand(1, 3, SIZE, SIZE), batch_size=size)
