"""Boxes around thresholded maps, compared with the box of the mask, over a whole data set."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch, dataset_metric, defined
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.components import largest_boxes
from interpfer.metrics.ignoring import Ignore, fill
from interpfer.metrics.localisation import CHOE

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


BoxCounts = Int[Tensor, f"n {TONES + 1}"]


@cached_per_batch
def box_counts(maps: MapBatch, heat: MapBatch) -> BoxCounts:
    """Return per image whether the box of its largest part is correct at each threshold, and last a 1.

    Zeros where undefined.
    """
    parts = [largest_boxes(picture.cpu().numpy(), TONES) for picture in maps.detach().float().nan_to_num(0)]
    ends = maps.new_tensor(np.array(parts).reshape(-1, 4, TONES)).unbind(1)
    return _count_correct(Boxes(*ends), maps, heat)


@cached_per_batch
def box_counts_all(maps: MapBatch, heat: MapBatch) -> BoxCounts:
    """Return the same for the box around all parts."""
    thresholds = torch.arange(1, TONES + 1, device=maps.device, dtype=maps.dtype) / TONES
    return _count_correct(boxes(maps, thresholds), maps, heat)


def _count_correct(box: Boxes, maps: MapBatch, heat: MapBatch) -> BoxCounts:
    expected = _mask_box(heat)
    width = torch.minimum(box.right, expected.right) - torch.maximum(box.left, expected.left)
    height = torch.minimum(box.bottom, expected.bottom) - torch.maximum(box.top, expected.top)
    both = width.clamp(min=0) * height.clamp(min=0)
    correct = both >= OVERLAP * (box.area + expected.area - both)
    valid = defined(maps, heat) & (expected.area[:, 0] > 0)
    return torch.cat([correct, torch.ones_like(correct[:, :1])], 1).long() * valid[:, None]


@dataset_metric(
    box_counts,
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source=CHOE,
    difference="the true box surrounds all AU regions of the mask; parts are compared by their pixels, not by contours",
    definition=2,
)
def maxboxacc(counts: Int[Tensor, f"*b {TONES + 1}"]) -> Float[Tensor, "*b"]:
    """Share of images where the box of the map's largest part has IoU >= 0.5 with that of the mask, at best threshold.

    The largest part is that of the most pixels, connected also diagonally, that reach the threshold; the threshold is
    the best of the data set.

    Examples:
        The largest part of the first map is the mask, that of the second is not:

        >>> heat, maps = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
        >>> heat[:, :2, :2], maps[0, :2, :2], maps[:, 3, 3], maps[1, 3, :] = 1, 1, 1, 1
        >>> maxboxacc(maps, heat)
        0.5
    """
    return _best_share(counts)


@dataset_metric(
    box_counts_all,
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source="interpfer",
    difference="as Choe et al. 2020, but the box surrounds all parts of the map, not the largest",
)
def maxboxacc_all(counts: Int[Tensor, f"*b {TONES + 1}"]) -> Float[Tensor, "*b"]:
    """Share of images where the box around all parts of a map has IoU >= 0.5 with that of the mask, at best threshold.

    For truths of several regions, as those of action units are.

    Examples:
        The box of the map at its highest value is the mask, in the first of two pictures:

        >>> maps = torch.eye(4).reshape(2, 2, 4) / 2
        >>> maxboxacc_all(maps, torch.stack([maps[0] * 2, maps[0] * 2]))
        0.5
    """
    return _best_share(counts)


@maxboxacc.for_kept
def _largest_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> BoxCounts:
    """Return the counts where pixels to ignore belong to no part and to no box."""
    return box_counts(fill(maps, ignore), heat)


@maxboxacc_all.for_kept
def _all_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> BoxCounts:
    return box_counts_all(fill(maps, ignore), heat)


def _best_share(counts: Int[Tensor, f"*b {TONES + 1}"]) -> Float[Tensor, "*b"]:
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
