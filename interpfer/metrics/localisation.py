"""Localisation of the AU heatmap by a map, over a whole data set: pixels against the mask, and boxes around both."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch, dataset_metric, defined
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import LEVELS, joint_histogram, reaching

BINS = LEVELS
"""Thresholds i / 1000, from 0 to 1."""

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


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 100.0), source=CHOE, decimals=1)
def pxap(counts: Counts) -> Float[Tensor, "*b"]:
    """Pixel average precision of the map for the mask heatmap >= 0.5, over the whole data set, in percent.

    Sum of precision times the gain in recall, from the highest of 1000 thresholds down.
    """
    hits, misses = _passed(counts)
    inside = counts[..., BINS:].double()
    precision = hits / (hits + misses).clamp(min=1)
    percent: Tensor = 100 * torch.linalg.vecdot(precision, inside) / hits[..., 0]
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


@cached_per_batch
def _best_iou(counts: Counts) -> Float[Tensor, "*b"]:
    hits, misses = _passed(counts)
    union = misses + hits[..., :1]
    return (hits / union.where(union > 0, torch.nan)).amax(-1)


@cached_per_batch
def _passed(counts: Counts) -> tuple[Float[Tensor, f"*b {BINS}"], Float[Tensor, f"*b {BINS}"]]:
    """Return per threshold how many pixels inside and outside the mask reach it."""
    outside, inside = reaching(counts.view(*counts.shape[:-1], 2, BINS)).unbind(-2)
    return inside, outside


TONES = 255
"""Thresholds of a box: i / 255. An 8-bit map has no more levels, so that finer ones would repeat the same boxes."""
OVERLAP = 0.5
"""Intersection over union from which on a box is right."""


class Boxes(NamedTuple):
    """Boxes of n pictures at k thresholds: first pixel and the one behind the last, (n, k) each; empty: all 0."""

    left: Float[Tensor, "n k"]
    top: Float[Tensor, "n k"]
    right: Float[Tensor, "n k"]
    bottom: Float[Tensor, "n k"]

    @property
    def area(self) -> Float[Tensor, "n k"]:
        """Pixels in each box."""
        return (self.right - self.left) * (self.bottom - self.top)


@cached_per_batch
def box_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {TONES + 1}"]:
    """Return per image whether its box is right at each threshold, and last a 1; zeros where undefined."""
    thresholds = torch.arange(1, TONES + 1, device=maps.device, dtype=maps.dtype) / TONES
    found, wanted = boxes(maps, thresholds), _wanted(heat)
    width = torch.minimum(found.right, wanted.right) - torch.maximum(found.left, wanted.left)
    height = torch.minimum(found.bottom, wanted.bottom) - torch.maximum(found.top, wanted.top)
    both = width.clamp(min=0) * height.clamp(min=0)
    right = both >= OVERLAP * (found.area + wanted.area - both)
    valid = defined(maps, heat) & (wanted.area[:, 0] > 0)
    return torch.cat([right, torch.ones_like(right[:, :1])], 1).long() * valid[:, None]


@dataset_metric(box_counts, higher_is_better=True, bounds=(0.0, 1.0), source=CHOE)
def maxboxacc(counts: Int[Tensor, f"*b {TONES + 1}"]) -> Float[Tensor, "*b"]:
    """Share of images whose box overlaps that of the mask by half (IoU >= 0.5), at the data set's best threshold.

    A box holds all pixels that reach the threshold, on both sides, as AU regions are several; Choe et al. draw it
    around the largest connected part, for pictures of one object.
    """
    known = counts[..., -1].double()
    return counts[..., :-1].amax(-1) / known.where(known > 0, torch.nan)


@cached_per_batch
def _wanted(heat: MapBatch) -> Boxes:
    return boxes(heat, heat.new_tensor([MASK_LEVEL]))


def boxes(maps: MapBatch, thresholds: Float[Tensor, " k"]) -> Boxes:
    """Return the least box around all pixels that reach each threshold."""
    height, width = maps.shape[1:]
    highest = maps.new_full((4, len(maps), max(height, width)), torch.inf)  # of each column, row, and from behind
    for side, (axis, length) in zip(highest[:2], ((1, width), (2, height)), strict=True):
        side[:, :length] = maps.amax(axis).nan_to_num(0)
    highest[2, :, :width] = highest[0, :, :width].flip(1)
    highest[3, :, :height] = highest[1, :, :height].flip(1)
    wanted = thresholds.expand(4, len(maps), -1).contiguous()
    left, top, right, bottom = torch.searchsorted(highest.cummax(2).values, wanted).to(maps.dtype)
    right, bottom = width - right, height - bottom
    empty = right <= left
    return Boxes(*(end.masked_fill(empty, 0) for end in (left, top, right, bottom)))
