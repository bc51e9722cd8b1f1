"""Pixel-wise localisation of the AU heatmap by a map, over a whole data set."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MapBatch, dataset_metric, defined
from interpfer.metrics.levels import LEVELS, joint_histogram
from interpfer.metrics.memo import remembered

BINS = LEVELS
"""Thresholds i / 1000, from 0 to 1."""

CHOE = "Choe et al. 2020, arXiv 2001.07437"

Counts = Int[Tensor, f"*b {2 * BINS}"]


@remembered
def pxap_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {2 * BINS}"]:
    """Return per image the histogram of map values outside the mask, then of those inside it.

    Args:
        maps: in [0, 1]; NaN where undefined, which counts nothing.
        heat: AU heatmaps, or masks of 0 and 1.
    """
    return joint_histogram(maps, heat).flatten(1) * defined(maps, heat)[:, None]


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 100.0), source=CHOE, decimals=1)
def pxap(counts: Counts) -> Float[Tensor, "*b"]:
    """Pixel average precision of the map for the mask heatmap >= 0.5, over the whole data set, in percent.

    Sum of precision times the gain in recall, from the highest of 1000 thresholds down.
    """
    hits, misses = _passed(counts)
    inside = hits.diff(dim=-1, prepend=hits.new_zeros(*hits.shape[:-1], 1))
    precision = hits / (hits + misses).clamp(min=1)
    percent: Tensor = 100 * torch.linalg.vecdot(precision, inside) / hits[..., -1]
    return percent


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 1.0), source=CHOE)
def iou_best(counts: Counts) -> Float[Tensor, "*b"]:
    """Intersection over union with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold."""
    return _best_iou(counts)


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 1.0), source="Dice 1945, doi 10.2307/1932409")
def dice_best(counts: Counts) -> Float[Tensor, "*b"]:
    """Dice with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold."""
    best = _best_iou(counts)
    return 2 * best / (1 + best)


@remembered
def _best_iou(counts: Counts) -> Float[Tensor, "*b"]:
    hits, misses = _passed(counts)
    union = misses + hits[..., -1:]
    return (hits / union.where(union > 0, torch.nan)).amax(-1)


@remembered
def _passed(counts: Counts) -> tuple[Float[Tensor, f"*b {BINS}"], Float[Tensor, f"*b {BINS}"]]:
    """Return per threshold, from the highest down, how many pixels inside and outside the mask reach it."""
    outside, inside = counts.double().view(*counts.shape[:-1], 2, BINS).flip(-1).cumsum(-1).unbind(-2)
    return inside, outside
