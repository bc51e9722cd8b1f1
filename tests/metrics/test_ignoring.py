"""Pixels to ignore count in no metric: each is compared with numpy, sklearn or skimage on the kept pixels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from scipy.stats import spearmanr
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.metrics import hausdorff_distance, structural_similarity
from sklearn.metrics import average_precision_score, roc_auc_score

from interpfer.metrics import METRICS
from interpfer.metrics.base import DatasetMetric, ImageMetric, image_metric
from interpfer.metrics.ignoring import undefined_where_ignored
from interpfer.metrics.queries import ModelProbe

SIDE, IMAGES = 32, 4
Array = NDArray[np.float64]


def _pictures() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps and heatmaps at the middles of the 1,000 levels, smooth so that they have parts; two rows without ignore."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    bumps = [[np.exp(-((x - a) ** 2 + (y - b) ** 2) / 60) for a, b in random.integers(4, 28, (3, 2))] for _ in range(8)]
    smooth = np.array([sum(each) for each in bumps]) + 0.02 * random.random((8, SIDE, SIDE))
    smooth = (smooth - smooth.min((1, 2), keepdims=True)) / np.ptp(smooth, axis=(1, 2), keepdims=True)
    values = torch.from_numpy((np.floor(smooth * 999) + 0.5) / 1000)
    ignore = torch.from_numpy(random.random((IMAGES, SIDE, SIDE)) < 0.15)
    ignore[0, 10:20, :9] = True
    ignore[2] = False
    maps, heat = values[:IMAGES].clone(), values[IMAGES:].clone()
    maps[1, 3, 3] = 1.0  # the highest pixel of this map is ignored
    ignore[1, 3, 3] = True
    return maps, heat.masked_fill(ignore, 0), ignore


MAPS, HEAT, IGNORE = _pictures()


def kept(row: int) -> tuple[Array, Array]:
    keep = ~IGNORE[row].numpy()
    return MAPS[row].numpy()[keep], HEAT[row].numpy()[keep]


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def skill(a: Array, b: Array) -> float:
    uniform = cosine(np.ones_like(a), b)
    return (cosine(a, b) - uniform) / (1 - uniform)


def divergence(a: Array, b: Array) -> float:
    q, p = 0.999 * a / a.sum() + 0.001 / len(a), b / b.sum()
    return float(np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0).sum())


def rank_accuracy(a: Array, b: Array) -> float:
    size = int((b >= 0.5).sum())
    edge = np.sort(a)[-size]
    above, tied = a > edge, a == edge
    share = (size - above.sum()) / tied.sum()
    return float(((b >= 0.5) & above).sum() + share * ((b >= 0.5) & tied).sum()) / size


def otsu(a: Array) -> NDArray[np.bool_]:
    return a > threshold_otsu(a)


def overlap(a: Array, b: Array) -> float:
    one, other = otsu(a), otsu(b)
    return float((one & other).sum() / (one | other).sum())


ORACLES = {
    "cosine": cosine,
    "cosine_skill": skill,
    "pearson": lambda a, b: np.corrcoef(a, b)[0, 1],
    "kl": divergence,
    "ebpg": lambda a, b: a[b >= 0.5].sum() / a.sum(),
    "spearman": lambda a, b: spearmanr(a, b).statistic,
    "ap": lambda a, b: average_precision_score(b >= 0.5, a),
    "auroc": lambda a, b: roc_auc_score(b >= 0.5, a),
    "rra": rank_accuracy,
    "iou": overlap,
    "dice": lambda a, b: 2 * overlap(a, b) / (1 + overlap(a, b)),
    "pointing_strict": lambda a, b: (b[a == a.max()] >= 0.5).mean(),
}


@pytest.mark.parametrize("name", ORACLES)
def test_scores_are_those_of_the_kept_pixels(name: str) -> None:
    metric = METRICS.get(name)
    assert isinstance(metric, ImageMetric)
    expected = [ORACLES[name](*kept(row)) for row in range(IMAGES)]
    np.testing.assert_allclose(metric(MAPS, HEAT, IGNORE), expected, atol=1e-5)
    whole = metric(MAPS, HEAT)
    assert whole[2] == pytest.approx(expected[2], abs=1e-5)
    assert not np.allclose(whole[[0, 1, 3]], np.array(expected)[[0, 1, 3]], atol=1e-5)


def joined() -> tuple[Array, NDArray[np.bool_]]:
    rows = [kept(row) for row in range(IMAGES)]
    return np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows]) >= 0.5


def best_overlap(values: Array, mask: NDArray[np.bool_]) -> float:
    reached = [values >= step / 1000 for step in range(1, 1000)]
    return float(max((one & mask).sum() / (one | mask).sum() for one in reached))


def test_data_set_metrics_count_the_kept_pixels() -> None:
    values, mask = joined()
    best = best_overlap(values, mask)
    expected = {
        "pxap": 100 * average_precision_score(mask, values),
        "iou_best": best,
        "dice_best": 2 * best / (1 + best),
    }
    for name, value in expected.items():
        metric = METRICS.get(name)
        assert isinstance(metric, DatasetMetric)
        assert metric(MAPS, HEAT, IGNORE) == pytest.approx(value, abs=1e-6), name


def test_pointing_takes_the_highest_kept_pixel_and_its_distance_to_the_mask() -> None:
    expected = []
    for row in range(IMAGES):
        keep, values = ~IGNORE[row].numpy(), MAPS[row].numpy()
        y, x = np.argwhere(keep & (values == values[keep].max())).T
        rows, columns = np.nonzero(HEAT[row].numpy() >= 0.5)
        near = np.hypot(y[:, None] - rows, x[:, None] - columns).min(1) <= 15 / 224 * SIDE
        expected.append(near.mean())
    metric = METRICS.get("pointing")
    assert isinstance(metric, ImageMetric)
    np.testing.assert_allclose(metric(MAPS, HEAT, IGNORE), expected)


def box_share(is_largest: bool) -> float:
    correct = np.zeros((IMAGES, 255))
    for row in range(IMAGES):
        values = np.where(IGNORE[row].numpy(), 0, MAPS[row].numpy())
        rows, columns = np.nonzero(HEAT[row].numpy() >= 0.5)
        want = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        for step in range(1, 256):
            mask = np.floor(values.astype(np.float32) * np.float32(255)) >= step if is_largest else values >= step / 255
            parts = regionprops(label(mask, connectivity=2) if is_largest else mask.astype(int))
            if parts:
                top, left, bottom, right = max(parts, key=lambda part: part.area).bbox
                both = max(min(bottom, want[2]) - max(top, want[0]), 0) * max(
                    min(right, want[3]) - max(left, want[1]), 0
                )
                areas = (bottom - top) * (right - left) + (want[2] - want[0]) * (want[3] - want[1])
                correct[row, step - 1] = both >= 0.5 * (areas - both)
    return float(correct.mean(0).max())


@pytest.mark.parametrize(("name", "is_largest"), [("maxboxacc", True), ("maxboxacc_all", False)])
def test_boxes_hold_no_ignored_pixel(name: str, is_largest: bool) -> None:
    metric = METRICS.get(name)
    assert isinstance(metric, DatasetMetric)
    assert metric(MAPS, HEAT, IGNORE) == pytest.approx(box_share(is_largest))


def test_structural_similarity_leaves_out_windows_with_an_ignored_pixel() -> None:
    sparse = IGNORE.clone()
    sparse[[1, 3]] = False
    sparse[1, 3, 3], sparse[3, 20:24, 8:12] = True, True
    heat = HEAT.masked_fill(sparse, 0)
    expected = []
    for row in range(IMAGES):
        a, b = (np.where(sparse[row], 0, each[row].numpy()) for each in (MAPS, heat))
        similarity = structural_similarity(a / a.max(), b / b.max(), win_size=7, data_range=1, full=True)[1]
        whole = minimum_filter((~sparse[row].numpy()).astype(int), 7)[3:-3, 3:-3] == 1
        expected.append(similarity[3:-3, 3:-3][whole].mean() if whole.any() else np.nan)
    metric = METRICS.get("ssim")
    assert isinstance(metric, ImageMetric)
    np.testing.assert_allclose(metric(MAPS, heat, sparse), expected, atol=1e-6)


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wide = np.pad(mask, 1)
    return mask & ~(wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:])


def test_outlines_hold_no_ignored_pixel() -> None:
    expected = []
    for row in range(IMAGES):
        keep = ~IGNORE[row].numpy()
        above = np.zeros((SIDE, SIDE), bool)
        above[keep] = otsu(kept(row)[0])
        one, other = outline(above), outline(HEAT[row].numpy() >= 0.5)
        expected.append(hausdorff_distance(one, other, method="modified") / (SIDE * 2**0.5))
    metric = METRICS.get("hausdorff")
    assert isinstance(metric, ImageMetric)
    np.testing.assert_allclose(metric(MAPS, HEAT, IGNORE), expected, atol=1e-6)


def test_every_metric_of_interpfer_says_what_it_does_without_a_pixel() -> None:
    assert undefined_where_ignored({name: METRICS.get(name) for name in METRICS.builtin}) == ()


def test_a_metric_that_does_not_say_is_undefined_and_named() -> None:
    @image_metric(higher_is_better=True, bounds=(0.0, 1.0), source="here")
    def corner(maps: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        """First pixel."""
        return maps[:, 0, 0] * heat[:, 0, 0]

    scores = corner(MAPS, HEAT, IGNORE)
    assert scores.isnan().tolist() == [True, True, False, True]
    assert undefined_where_ignored({"corner": corner, "cosine": METRICS.get("cosine")}) == ("corner",)


@pytest.mark.parametrize("name", [*ORACLES, "pointing", "ssim", "hausdorff"])
def test_nothing_to_ignore_changes_nothing(name: str) -> None:
    metric = METRICS.get(name)
    assert isinstance(metric, ImageMetric)
    torch.testing.assert_close(metric(MAPS, HEAT, torch.zeros_like(IGNORE)), metric(MAPS, HEAT), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", [*ORACLES, "pointing", "ssim", "hausdorff"])
def test_undefined_maps_and_pictures_without_a_kept_pixel_are_undefined(name: str) -> None:
    maps, ignore = MAPS.clone(), IGNORE.clone()
    maps[0], ignore[1], ignore[3] = torch.nan, False, True
    ignore[1, 3, 3] = True
    metric = METRICS.get(name)
    assert isinstance(metric, ImageMetric)
    assert metric(maps, HEAT.masked_fill(ignore, 0), ignore).isfinite().tolist() == [False, True, True, False]


def test_regions_to_compare_with_hold_no_ignored_pixel() -> None:
    ignore = torch.zeros(1, 32, 32, dtype=torch.bool)
    ignore[:, :, 16:] = True
    heat = torch.zeros(1, 32, 32)
    heat[:, :16, :8] = 1
    seen: list[torch.Tensor] = []

    def probabilities(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return torch.full((len(images), 1), 0.5)

    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    probe = ModelProbe(probabilities, images, heat, torch.tensor([0]), (0,), 0, ignore=ignore)
    metric = METRICS.get("au_occlusion")
    assert metric(torch.ones(1, 32, 32), probe).tolist() == [0.0]  # type: ignore[operator]
    changed = torch.cat(seen) != images
    assert changed.any()
    assert not changed[..., 16:].any()
