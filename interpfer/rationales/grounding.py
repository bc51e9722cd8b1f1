"""Compares the boxes that texts give to action units with the boxes of their regions.

The box of an action unit is the bounding box of its region on the face, of each side and of both together, cut at the
border of the picture. A single box of a text is compared with the side or the whole that it fits best; several boxes of
one unit with one side each. A box of a unit that is not on the face, and a unit on the face without a box, count as 0.
Boxes are (left, top, right, bottom) as shares of the width and the height of the picture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.au.codebook import ActionUnit
from interpfer.au.geometry import load_geometry
from interpfer.types import CANVAS

Array = NDArray[np.float64]

HIT = 0.5
"""Smallest intersection over union of a hit."""

LEFT, RIGHT, BOTH = range(3)


class Grounding(NamedTuple):
    """Sums over the boxes of each action unit on each face.

    Attributes:
        iou: (n, a) sum of the intersections over union.
        hits: (n, a) number of boxes with at least ``HIT``.
        pointing: (n, a) number of boxes whose centre lies in the box of the unit.
        boxes: (n, a) number of boxes, and of units on the face without one.
    """

    iou: Array
    hits: Array
    pointing: Array
    boxes: Array


def region_boxes(
    points: Float[Tensor, "n 68 2"],
    units: Sequence[Sequence[ActionUnit]],
    aus: Sequence[int],
    geometry: str = "scaled",
) -> Array:
    """Return the boxes of the action units on each face.

    Args:
        points: landmarks in pixels of the canvas, NaN for no face.
        units: those on each face.
        aus: the a FACS numbers to return.
        geometry: how regions are placed.

    Returns:
        (n, a, 3, 4) boxes of the left side of the picture, its right side (NaN where there is one region only), and
        both together; NaN where a unit is not on the face, has no region, or lies outside of the picture.
    """
    regions = load_geometry(geometry)(points.double())
    x, y, rx, ry = regions.ellipses.unbind(-1)
    cos, sin = regions.roll.cos()[:, None, None], regions.roll.sin()[:, None, None]
    width, height = ((rx * cos) ** 2 + (ry * sin) ** 2).sqrt(), ((rx * sin) ** 2 + (ry * cos) ** 2).sqrt()
    sides = (torch.stack([x - width, y - height, x + width, y + height], -1) / CANVAS).clamp(0, 1).numpy()
    sides = np.where(((sides[..., 2:] - sides[..., :2]) > 0).all(-1, keepdims=True), sides, np.nan)
    boxes = np.full((len(points), len(aus), 3, 4), np.nan)
    columns = {au: place for place, au in enumerate(aus)}
    own = {au: place for place, au in enumerate(regions.aus)}
    is_single = [np.array_equal(sides[:, place, 0], sides[:, place, 1], equal_nan=True) for place in range(len(own))]
    for row, face in enumerate(units):
        for unit in face:
            if unit.au in own and unit.au in columns:
                place, target = own[unit.au], boxes[row, columns[unit.au]]
                if is_single[place] or unit.side != "right":
                    target[LEFT] = sides[row, place, LEFT]
                if not is_single[place] and unit.side != "left":
                    target[RIGHT] = sides[row, place, RIGHT]
    boxes[:, :, BOTH] = _around(boxes[:, :, LEFT], boxes[:, :, RIGHT])
    return boxes


def _around(first: Array, second: Array) -> Array:
    """Return the smallest box around two; the other one where one is NaN."""
    low, high = np.fmin(first[..., :2], second[..., :2]), np.fmax(first[..., 2:], second[..., 2:])
    return np.concatenate([low, high], -1)


def intersection_over_union(first: Array, second: Array) -> Array:
    """Return the intersection over union of (..., 4) boxes; 0 where one is NaN.

    Examples:
        >>> intersection_over_union(np.array([0.0, 0, 1, 1]), np.array([0.5, 0, 1.5, 1])).round(4).item()
        0.3333
    """
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    area = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (first, second)]
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Array = np.where(shared > 0, shared / (area[0] + area[1] - shared), 0.0)
    return value


def contains_centre(boxes: Array, given: Array) -> NDArray[np.bool_]:
    """Return whether the centre of each (..., 4) given box lies in a box; False where one is NaN."""
    centre = (given[..., :2] + given[..., 2:]) / 2
    inside: NDArray[np.bool_] = np.logical_and.reduce((centre >= boxes[..., :2]) & (centre <= boxes[..., 2:]), -1)
    return inside


def ground(boxes: Array, rows: NDArray[np.intp], columns: NDArray[np.intp], given: Array) -> Grounding:
    """Compare b given boxes with those of n faces.

    Args:
        boxes: (n, a, 3, 4) of ``region_boxes``.
        rows: (b,) face of each given box.
        columns: (b,) its action unit.
        given: (b, 4).
    """
    shape = boxes.shape[:2]
    sums = Grounding(*(np.zeros(shape) for _ in Grounding._fields))
    own = boxes[rows, columns]
    iou = intersection_over_union(own, given[:, None])
    inside = contains_centre(own, given[:, None]).any(1)
    cell = rows * shape[1] + columns
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0]) if len(cell) else np.zeros(0, np.intp)
    ends = np.r_[starts[1:], len(cell)] if len(cell) else starts
    best = iou.max(1, initial=0.0)
    for start, end in zip(starts[(ends - starts) > 1], ends[(ends - starts) > 1], strict=True):
        several = order[start:end]
        best[several] = _share_out(iou[several])
    np.add.at(sums.iou, (rows, columns), best)
    np.add.at(sums.hits, (rows, columns), best >= HIT)
    np.add.at(sums.pointing, (rows, columns), inside)
    np.add.at(sums.boxes, (rows, columns), 1)
    has_region = np.isfinite(boxes[:, :, BOTH, 0])
    sums.boxes[has_region & (sums.boxes == 0)] = 1
    return sums


def _share_out(iou: Array) -> Array:
    """Match k boxes of one action unit with its sides, or one of them with both together: (k,) from (k, 3)."""
    k = len(iou)
    whole = np.zeros(k)
    whole[iou[:, BOTH].argmax()] = iou[:, BOTH].max()
    best = whole
    for left in range(k):
        for right in range(k):
            if left != right:
                pair = np.zeros(k)
                pair[left], pair[right] = iou[left, LEFT], iou[right, RIGHT]
                best = pair if pair.sum() > best.sum() else best
    return best
