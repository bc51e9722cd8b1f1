"""Every agreement metric against its oracle, on tiny exact cases, and by its properties."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu
from torch import Tensor

from interpfer.metrics import METRICS
from interpfer.metrics.base import ImageMetric
from interpfer.metrics.overlap import otsu_mask
from tests.oracles import metrics_more as oracles

NAMES = ("pearson", "spearman", "ssim", "kl", "ap", "auroc", "iou", "dice", "hausdorff", "ebpg", "rra")
NAMES += ("pointing", "pointing_strict")
TOLERANCE = {"spearman": 3e-3, "auroc": 2e-3, "ap": 2e-3, "iou": 1e-6, "dice": 1e-6, "rra": 2e-3, "ssim": 1e-4}
NEEDS_CONTRAST = {"pearson", "spearman", "hausdorff"}
DIFFERENTIABLE = ("cosine", "pearson", "ssim", "kl", "ebpg")


def smooth(seed: int, n: int, size: int = 56, grid: int = 5) -> Tensor:
    """Maps as a layer gives them: a coarse random grid enlarged, stretched to [0, 1]."""
    raw = torch.rand(n, 1, grid, grid, generator=torch.Generator().manual_seed(seed))
    maps = F.interpolate(raw, size=(size, size), mode="bilinear")[:, 0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def get(name: str) -> ImageMetric:
    metric = METRICS.get(name)
    assert isinstance(metric, ImageMetric)
    return metric


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ties", [False, True])
def test_each_metric_agrees_with_its_oracle(name: str, seed: int, ties: bool) -> None:
    maps, heat = smooth(seed, 3), smooth(seed + 10, 3, grid=9)
    if ties:  # as a ReLU leaves them
        maps, heat = (maps - 0.4).clamp(min=0) / 0.6, (heat - 0.4).clamp(min=0) / 0.6
    expected = [getattr(oracles, name)(a.double().numpy(), h.double().numpy()) for a, h in zip(maps, heat, strict=True)]
    np.testing.assert_allclose(get(name)(maps, heat).numpy(), expected, atol=TOLERANCE.get(name, 2e-5), rtol=1e-4)


def test_best_overlap_agrees_with_its_oracle() -> None:
    maps, heat = smooth(3, 4, size=28), smooth(4, 4, size=28, grid=9)
    expected = oracles.iou_best([a.double().numpy() for a in maps], [h.double().numpy() for h in heat])
    found = METRICS.get("iou_best")(maps, heat)
    assert found == pytest.approx(expected, abs=1e-9)
    assert METRICS.get("dice_best")(maps, heat) == pytest.approx(2 * expected / (1 + expected), abs=1e-9)


FOUR = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
LEFT = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
FOUR_PIXELS = {
    "pearson": 0.375 / math.sqrt(0.546875),
    "spearman": 1 / math.sqrt(5),
    "ap": (1 + 2 / 3) / 2,
    "auroc": 0.75,
    "ebpg": 1.25 / 1.75,
    "pointing": 1.0,
    "pointing_strict": 1.0,
    "rra": 0.5,
}


@pytest.mark.parametrize(("name", "value"), FOUR_PIXELS.items())
def test_four_pixels_have_a_known_score(name: str, value: float) -> None:
    assert get(name)(FOUR, LEFT).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ["ap", "auroc", "ebpg", "pointing_strict", "rra"])
def test_a_uniform_map_scores_what_chance_does(name: str) -> None:
    heat = smooth(0, 2)
    prevalence = (heat >= 0.5).double().mean((1, 2))
    expected = torch.full_like(prevalence, 0.5) if name == "auroc" else prevalence
    torch.testing.assert_close(get(name)(torch.ones_like(heat), heat).double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in METRICS if isinstance(METRICS.get(name), ImageMetric)])
def test_what_is_undefined_is_nan_and_spoils_no_other(name: str) -> None:
    maps, heat = smooth(0, 4), smooth(1, 4)
    alone = get(name)(maps[2:3].clone(), heat[2:3].clone())
    maps[0], heat[1] = math.nan, math.nan
    found = get(name)(maps, heat)
    assert found[:2].isnan().all()
    torch.testing.assert_close(found[2:3], alone)
    if name in NEEDS_CONTRAST:
        assert get(name)(torch.ones_like(heat), heat).isnan().all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.125, 0.5]))
def test_bounds_scaling_and_mirroring(seed: int, scale: float) -> None:
    maps, heat = smooth(seed, 2, size=28), smooth(seed + 1, 2, size=28)
    for name in (*NAMES, "cosine", "cosine_skill"):
        metric = get(name)
        found = metric(maps, heat)
        low, high = metric.facts.bounds
        assert ((found >= low - 1e-6) & (found <= high + 1e-6)).all(), name
        torch.testing.assert_close(metric(maps.flip(2), heat.flip(2)), found, atol=1e-5, rtol=1e-4, msg=name)
        tolerance = 0.02 if metric.unit else 1e-5  # fewer levels are left of a dimmer map
        torch.testing.assert_close(metric(maps * scale, heat), found, atol=tolerance, rtol=1e-3, msg=name)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_map_nearer_to_the_heatmap_scores_better(seed: int) -> None:
    maps, heat = smooth(seed, 2, size=28), smooth(seed + 1, 2, size=28)
    nearer, same = 0.5 * maps + 0.5 * heat, heat.clone()
    for name in ("pearson", "ssim", "kl", "cosine", "auroc"):
        sign = 1 if get(name).facts.higher_is_better else -1
        scores = [sign * get(name)(item, heat) for item in (maps, nearer, same)]
        assert (scores[1] >= scores[0] - 1e-3).all(), name
        assert (scores[2] >= scores[1] - 1e-3).all(), name


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_climb(name: str) -> None:
    maps, heat = smooth(0, 2).requires_grad_(), smooth(1, 2)
    sign = 1 if get(name).facts.higher_is_better else -1
    before = sign * get(name)(maps, heat)
    (slope,) = torch.autograd.grad(before.sum(), maps)
    assert slope.isfinite().all()
    step = 1e-3 / slope.abs().amax()
    assert (sign * get(name)((maps + step * slope).detach().clamp(min=0), heat) > before).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_otsu_mask_is_that_of_scikit_image(seed: int) -> None:
    maps = smooth(seed, 3)
    expected = [one > threshold_otsu(one, nbins=256) for one in maps.double().numpy()]
    assert np.array_equal(otsu_mask(maps).view_as(maps).numpy(), expected)


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-30, 1e30])
def test_overlap_of_maps_of_any_size(scale: float) -> None:
    maps, heat = torch.rand(2, 16, 16), torch.rand(2, 16, 16)
    found = METRICS.get("iou")(maps * scale, heat)
    assert ((found >= 0) & (found <= 1)).all()
    if scale in (1e-30, 1e30):
        torch.testing.assert_close(found, METRICS.get("iou")(maps, heat), atol=0.02, rtol=0)
