"""Localisation of the AU heatmap by maps of a whole data set: pixels in the mask."""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interpfer.metrics.base import MapBatch, dataset_metric, defined, pixelwise
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import LEVELS, LEVELS_NOTE, joint_histogram, joint_levels, mask_offset, reaching
from interpfer.metrics.planes import PlaneCounter
from interpfer.truth.planes import Planes

BINS = LEVELS
"""Number of thresholds: i / 1000, from 0 to 1."""

CHOE = "Choe et al. 2020, arXiv 2001.07437"

Counts = Int[Tensor, f"*b {2 * BINS}"]


@cached_per_batch
def pxap_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {2 * BINS}"]:
    """Return per image the histogram of map values outside the mask, then of those inside it.

    Args:
        maps: in [0, 1]; NaN where undefined, which counts nothing.
        heat: AU heatmaps, or masks of 0 and 1.
    """
    return joint_histogram(maps, heat).flatten(1) * defined(maps, heat)[:, None]


def _inside_planes(maps: MapBatch, heat: MapBatch, planes: Planes) -> Int[Tensor, f"q {BINS}"]:
    """Return the histogram of map values inside the mask of each plane, by the levels of ``pxap_counts``."""
    place, plane = planes.mask
    keys = joint_levels(maps, heat).take(place) + _shifts(heat, place, plane)
    counts = torch.bincount(keys, minlength=len(planes.maps) * BINS).view(-1, BINS)
    return counts * maps[:, 0, 0].isfinite()[planes.face, None]


@cached_per_batch
def _shifts(heat: MapBatch, place: Int[Tensor, " k"], plane: Int[Tensor, " k"]) -> Int[Tensor, " k"]:
    """Return what makes of the joint level of each pixel its level in the histogram of its plane."""
    return plane.to(torch.int32) * BINS - mask_offset(heat).take(place).to(torch.int32)


def _add_outside(
    faces: NDArray[np.unsignedinteger], inside: NDArray[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    """Return the counts of planes: outside is what of the whole face is not inside."""
    return np.concatenate([faces[:, :BINS] + faces[:, BINS:] - inside, inside], 1)


IN_PLANES = PlaneCounter(_inside_planes, _add_outside)


@pixelwise
@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 100.0), source=CHOE, decimals=1, planes=IN_PLANES)
def pxap(counts: Counts) -> Float[Tensor, "*b"]:
    """Pixel average precision of the map for the mask heatmap >= 0.5, over the whole data set, in percent.

    Sum of precision times the gain in recall, from the highest of 1000 thresholds down. Called with maps and heatmaps,
    or masks, it returns the score of all of them together.

    Examples:
        The highest of four pixels is in the mask, then one is not, then one is: 100 (1 + 2/3) / 2.

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> round(pxap(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])), 4)
        83.3333
    """
    hits, misses = _passed(counts)
    inside = counts[..., BINS:].double()
    precision = hits / (hits + misses).clamp_(min=1)
    percent: Tensor = 100 * torch.linalg.vecdot(precision, inside) / hits[..., 0]
    return percent


@pixelwise
@dataset_metric(
    pxap_counts, higher_is_better=True, bounds=(0.0, 1.0), source=CHOE, difference=LEVELS_NOTE, planes=IN_PLANES
)
def iou_best(counts: Counts) -> Float[Tensor, "*b"]:
    """Intersection over union with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold.

    Examples:
        At the threshold 0.25, three pixels reach it, two of them in the mask of two:

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> round(iou_best(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])), 4)
        0.6667
    """
    return _best_iou(counts)


@pixelwise
@dataset_metric(
    pxap_counts,
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source="Dice 1945, doi 10.2307/1932409",
    difference=LEVELS_NOTE,
    planes=IN_PLANES,
)
def dice_best(counts: Counts) -> Float[Tensor, "*b"]:
    """Dice with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold.

    Examples:
        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> dice_best(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
        0.8
    """
    best = _best_iou(counts)
    return 2 * best / (1 + best)


@cached_per_batch
def _best_iou(counts: Counts) -> Float[Tensor, "*b"]:
    hits, misses = _passed(counts)
    union = misses + hits[..., :1]
    return (hits / union.where(union > 0, torch.nan)).amax(-1)


@cached_per_batch
def _passed(counts: Counts) -> tuple[Float[Tensor, f"*b {BINS}"], Float[Tensor, f"*b {BINS}"]]:
    """Return the number of pixels inside and outside the mask that reach each threshold."""
    outside, inside = reaching(counts.view(*counts.shape[:-1], 2, BINS)).unbind(-2)
    return inside, outside
