"""Localisation of the AU heatmap by maps of a whole data set: pixels in the mask, and boxes around both."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch, dataset_metric, defined
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import LEVELS, joint_histogram, reaching

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


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 100.0), source=CHOE, decimals=1)
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
    precision = hits / (hits + misses).clamp(min=1)
    percent: Tensor = 100 * torch.linalg.vecdot(precision, inside) / hits[..., 0]
    return percent


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 1.0), source=CHOE)
def iou_best(counts: Counts) -> Float[Tensor, "*b"]:
    """Intersection over union with the mask heatmap >= 0.5 of all pixels, at the data set's best threshold.

    Examples:
        At the threshold 0.25, three pixels reach it, two of them in the mask of two:

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> round(iou_best(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])), 4)
        0.6667
    """
    return _best_iou(counts)


@dataset_metric(pxap_counts, higher_is_better=True, bounds=(0.0, 1.0), source="Dice 1945, doi 10.2307/1932409")
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


TONES = 255
"""Number of thresholds of a box: i / 255, the levels of an 8-bit map."""
OVERLAP = 0.5
"""Least intersection over union of a correct box."""


class Boxes(NamedTuple):
    """Boxes of n pictures at k thresholds: first pixel, and the one behind the last; all 0 for an empty box.

    Attributes:
        left: (n, k) first column.
        top: (n, k) first row.
        right: (n, k) column behind the last.
        bottom: (n, k) row behind the last.
    """

    left: Float[Tensor, "n k"]
    top: Float[Tensor, "n k"]
    right: Float[Tensor, "n k"]
    bottom: Float[Tensor, "n k"]

    @property
    def area(self) -> Float[Tensor, "n k"]:
        """Number of pixels in each box."""
        return (self.right - self.left) * (self.bottom - self.top)


@cached_per_batch
def box_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {TONES + 1}"]:
    """Return per image whether its box is correct at each threshold, and last a 1; zeros where undefined."""
    thresholds = torch.arange(1, TONES + 1, device=maps.device, dtype=maps.dtype) / TONES
    box, expected = boxes(maps, thresholds), _mask_box(heat)
    width = torch.minimum(box.right, expected.right) - torch.maximum(box.left, expected.left)
    height = torch.minimum(box.bottom, expected.bottom) - torch.maximum(box.top, expected.top)
    both = width.clamp(min=0) * height.clamp(min=0)
    correct = both >= OVERLAP * (box.area + expected.area - both)
    valid = defined(maps, heat) & (expected.area[:, 0] > 0)
    return torch.cat([correct, torch.ones_like(correct[:, :1])], 1).long() * valid[:, None]


@dataset_metric(box_counts, higher_is_better=True, bounds=(0.0, 1.0), source=CHOE)
def maxboxacc(counts: Int[Tensor, f"*b {TONES + 1}"]) -> Float[Tensor, "*b"]:
    """Share of images whose box overlaps that of the mask by half (IoU >= 0.5), at the data set's best threshold.

    A box holds all pixels that reach the threshold, of map and mask, since there are several AU regions; Choe et al.
    draw it around the largest connected part, for pictures of one object.

    Examples:
        The box of the map at its highest value is the mask, in the first of two pictures:

        >>> maps = torch.eye(4).reshape(2, 2, 4) / 2
        >>> maxboxacc(maps, torch.stack([maps[0] * 2, maps[0] * 2]))
        0.5
    """
    images = counts[..., -1].double()
    return counts[..., :-1].amax(-1) / images.where(images > 0, torch.nan)


@cached_per_batch
def _mask_box(heat: MapBatch) -> Boxes:
    return boxes(heat, heat.new_tensor([MASK_LEVEL]))


def boxes(maps: MapBatch, thresholds: Float[Tensor, " k"]) -> Boxes:
    """Return the smallest box around all pixels that reach each threshold."""
    height, width = maps.shape[1:]
    highest = maps.new_full((4, len(maps), max(height, width)), torch.inf)  # per column, per row, both reversed
    for side, (axis, length) in zip(highest[:2], ((1, width), (2, height)), strict=True):
        side[:, :length] = maps.amax(axis).nan_to_num(0)
    highest[2, :, :width] = highest[0, :, :width].flip(1)
    highest[3, :, :height] = highest[1, :, :height].flip(1)
    thresholds = thresholds.expand(4, len(maps), -1).contiguous()
    left, top, right, bottom = torch.searchsorted(highest.cummax(2).values, thresholds).to(maps.dtype)
    right, bottom = width - right, height - bottom
    empty = right <= left
    return Boxes(*(end.masked_fill(empty, 0) for end in (left, top, right, bottom)))
