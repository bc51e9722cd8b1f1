"""Pixel-wise localisation of the AU heatmap by a map, over a whole data set."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import DatasetMetric, Facts, MapBatch, defined
from interpfer.metrics.levels import STEPS, joint_histogram
from interpfer.metrics.memo import remembered

THRESHOLDS = 1000
BINS = THRESHOLDS + 1
FINER = STEPS // THRESHOLDS


@remembered
def pxap_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {2 * BINS}"]:
    """Return per image the histogram of map values outside the mask, then of those inside it.

    Args:
        maps: in [0, 1]; NaN where undefined, which counts nothing.
        heat: AU heatmaps, or masks of 0 and 1.
    """
    fine = F.pad(joint_histogram(maps, heat), (0, FINER - 1))
    counts = fine.view(-1, 2 * BINS, FINER).sum(2)
    return counts * defined(maps, heat)[:, None]


def pxap_of_counts(counts: Int[Tensor, f"*b {2 * BINS}"]) -> Float[Tensor, "*b"]:
    """Return PxAP in percent: sum of precision times the gain in recall, from the highest threshold down."""
    outside, inside = counts.double().view(*counts.shape[:-1], 2, BINS).flip(-1).unbind(-2)
    hits = inside.cumsum(-1)
    precision = hits / (hits + outside.cumsum(-1)).clamp(min=1)
    percent: Tensor = 100 * torch.linalg.vecdot(precision, inside) / hits[..., -1]
    return percent


def best_iou_of_counts(counts: Int[Tensor, f"*b {2 * BINS}"]) -> Float[Tensor, "*b"]:
    """Return intersection over union of all pixels together, at the threshold where that is largest."""
    both, one = _overlaps(counts)
    return (both / one.where(one > 0, torch.nan)).amax(-1)


def best_dice_of_counts(counts: Int[Tensor, f"*b {2 * BINS}"]) -> Float[Tensor, "*b"]:
    """Return the Dice coefficient of all pixels together, at the threshold where that is largest."""
    best = best_iou_of_counts(counts)
    return 2 * best / (1 + best)


def _overlaps(counts: Int[Tensor, f"*b {2 * BINS}"]) -> tuple[Float[Tensor, f"*b {BINS}"], Float[Tensor, f"*b {BINS}"]]:
    """Return per threshold the size of the intersection and of the union."""
    outside, inside = counts.double().view(*counts.shape[:-1], 2, BINS).flip(-1).cumsum(-1).unbind(-2)
    return inside, outside + inside[..., -1:]


pxap = DatasetMetric(
    pxap_counts,
    pxap_of_counts,
    Facts(
        higher_is_better=True,
        bounds=(0.0, 100.0),
        source="Choe et al. 2020, arXiv 2001.07437",
        summary="Pixel average precision of the map for the mask heatmap >= 0.5, over the whole data set, in percent.",
    ),
)

iou_best = DatasetMetric(
    pxap_counts,
    best_iou_of_counts,
    Facts(
        higher_is_better=True,
        bounds=(0.0, 1.0),
        source="Choe et al. 2020, arXiv 2001.07437",
        summary="Intersection over union with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold.",
    ),
)

dice_best = DatasetMetric(
    pxap_counts,
    best_dice_of_counts,
    Facts(
        higher_is_better=True,
        bounds=(0.0, 1.0),
        source="Dice 1945, doi 10.2307/1932409",
        summary="Dice with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold.",
    ),
)
