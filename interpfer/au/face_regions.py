"""Named regions of a face: mouth, eyes, brows, nose, cheeks, chin, and what lies outside of them.

``SHAPES`` lists them as polygons of the 68 landmarks. A pixel belongs to a shape where it lies in the polygon or within
the shape's margin of its outline, and to the first region of the table that has it, so that the regions are disjoint;
``outside`` is everything else (forehead, the groove above the lip, hair, background). Of pairs, only the left one of an
upright picture is listed: the other is the same shape of the mirrored landmarks, so that a mirrored face has the
mirrored regions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.landmarks.points import MIRRORED
from interpfer.types import CANVAS


class Shape(NamedTuple):
    """An area around landmarks.

    Attributes:
        points: landmarks in order.
        margin: distance up to which the surroundings of the outline belong to it, in inter-ocular distances.
        is_closed: whether the points are the corners of a polygon; else those of a line.
        is_paired: whether the same shape of the mirrored landmarks belongs to the region too.
    """

    points: tuple[int, ...]
    margin: float = 0.0
    is_closed: bool = True
    is_paired: bool = False


SHAPES: dict[str, Shape] = {
    "eyes": Shape((36, 37, 38, 39, 40, 41), margin=0.12, is_paired=True),
    "brows": Shape((17, 18, 19, 20, 21), margin=0.12, is_closed=False, is_paired=True),
    "mouth": Shape((48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59), margin=0.1),
    "nose": Shape((27, 31, 32, 33, 34, 35), margin=0.1),
    "cheeks": Shape((36, 1, 2, 3, 4, 48, 31, 39, 40, 41), is_paired=True),
    "chin": Shape((48, 4, 5, 6, 7, 8, 9, 10, 11, 12, 54, 55, 56, 57, 58, 59)),
}
"""Region -> its shape; where two overlap, the first one has the pixel."""

OUTSIDE = "outside"

FACE_REGIONS: tuple[str, ...] = ("mouth", "eyes", "brows", "nose", "cheeks", "chin", OUTSIDE)
"""The names, in the order of tables."""


def locate_face_regions(points: Float[Tensor, "n 68 2"], size: int = CANVAS) -> Int[Tensor, "n {size} {size}"]:
    """Return which of ``FACE_REGIONS`` each pixel belongs to; -1 everywhere for a face without landmarks.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image; a face with a non-finite coordinate has none.
        size: side of the image in pixels.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> points = DemoDataset("test", count=1, size=224).landmarks().locate(["test_0001.png"]).points
        >>> regions = locate_face_regions(points)[0]
        >>> FACE_REGIONS[int(regions[0, 0])], int(regions.min()), int(regions.max())
        ('outside', 0, 6)
    """
    found = points.isfinite().flatten(1).all(1)
    regions = torch.full((len(points), size, size), -1, dtype=torch.int8, device=points.device)
    regions[found] = FACE_REGIONS.index(OUTSIDE)
    rows = found.nonzero()[:, 0]
    if not len(rows):
        return regions
    known = points[rows].double()
    eyes = known[:, 42:48].mean(1) - known[:, 36:42].mean(1)
    located = regions[rows]
    for name, shape in reversed(SHAPES.items()):
        outlines = [shape.points, *([tuple(MIRRORED[point] for point in shape.points)] if shape.is_paired else [])]
        for outline in outlines:
            margin = shape.margin * eyes.norm(dim=-1)
            _fill_(located, known[:, list(outline)], margin, shape.is_closed, FACE_REGIONS.index(name))
    regions[rows] = located
    return regions


def _fill_(
    regions: Int[Tensor, "n s s"],
    corners: Float[Tensor, "n k 2"],
    margin: Float[Tensor, " n"],
    is_closed: bool,
    index: int,
) -> None:
    """Write ``index`` into the pixels of a shape; only a window around all faces' shapes is looked at."""
    size = regions.shape[-1]
    low = (corners - margin[:, None, None]).amin((0, 1)).floor().clamp(0, size).long().tolist()
    high = ((corners + margin[:, None, None]).amax((0, 1)).ceil() + 1).clamp(0, size).long().tolist()
    if low[0] >= high[0] or low[1] >= high[1]:
        return
    x = torch.arange(low[0], high[0], dtype=torch.float64, device=corners.device)
    y = torch.arange(low[1], high[1], dtype=torch.float64, device=corners.device)[:, None]
    inside = torch.zeros(len(corners), len(y), len(x), dtype=torch.bool, device=corners.device)
    ends = corners.roll(-1, 1)
    for edge in range(corners.shape[1] - (not is_closed)):
        start, end = corners[:, edge, :, None, None], ends[:, edge, :, None, None]
        if margin.any():
            inside |= _is_near(x, y, start, end, margin[:, None, None])
    if is_closed:
        inside |= _is_enclosed(x, y, corners, ends)
    window = regions[:, low[1] : high[1], low[0] : high[0]]
    window[inside] = index


def _is_near(
    x: Float[Tensor, " w"],
    y: Float[Tensor, "h 1"],
    start: Float[Tensor, "n 2 1 1"],
    end: Float[Tensor, "n 2 1 1"],
    distance: Float[Tensor, "n 1 1"],
) -> Bool[Tensor, "n h w"]:
    """Return which pixels lie within a distance of the line from ``start`` to ``end``."""
    along = end - start
    dx, dy = x - start[:, 0], y - start[:, 1]
    length = along.square().sum(1)
    at = ((dx * along[:, 0] + dy * along[:, 1]) / length.where(length > 0, 1)).clamp(0, 1)
    apart: Tensor = (dx - at * along[:, 0]).square() + (dy - at * along[:, 1]).square()
    return apart <= distance.square()


def _is_enclosed(
    x: Float[Tensor, " w"], y: Float[Tensor, "h 1"], corners: Float[Tensor, "n k 2"], ends: Float[Tensor, "n k 2"]
) -> Bool[Tensor, "n h w"]:
    """Return which pixels lie in a polygon: a line to the right crosses its outline an odd number of times."""
    odd = torch.zeros(len(corners), len(y), len(x), dtype=torch.bool, device=corners.device)
    for edge in range(corners.shape[1]):
        (x0, y0), (x1, y1) = (side[:, edge, :, None, None].unbind(1) for side in (corners, ends))
        spans = (y0 <= y) != (y1 <= y)
        rise = y1 - y0
        crossing = x0 + (y - y0) * (x1 - x0) / rise.where(rise != 0, 1)
        odd ^= spans & (crossing > x)
    return odd
