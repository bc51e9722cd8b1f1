"""Planes of action units on a grid of 28 x 28: which to draw, how far ellipses cover the cells, and their union.

Sampling reads 4 of every 64 pixels, so ellipses are tested only at those, and only the union is held at full size.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.au.codebook import SIDES, ActionUnit
from interpfer.au.geometry import Regions
from interpfer.types import CANVAS

GRID = 28
"""Side of the grid to which the reference samples its ellipses."""

STRIDE = CANVAS // GRID
SAMPLED = (STRIDE // 2 - 1, STRIDE // 2)
"""The pixels of every ``STRIDE`` that bilinear sampling to ``GRID`` reads, with equal weight."""

RASTER_MARGIN = 0.5
"""Pixels added to a half-axis so that the pixels inside are those that an integer rasteriser fills."""

GPU_CHUNK = 512
"""Number of planes enlarged at a time on an accelerator."""


class Planes(NamedTuple):
    """The (face, AU) pairs to draw, ordered by face.

    Attributes:
        face: (p,) row of the face.
        unit: (p,) column of the AU in ``Regions``.
        weight: (p,) factor on the plane.
        side: (p,) ellipse to draw: 0, 1, or 2 for both.
    """

    face: Int[Tensor, " p"]
    unit: Int[Tensor, " p"]
    weight: Float[Tensor, " p"]
    side: Int[Tensor, " p"]


def plan_planes(
    entries: Sequence[Sequence[tuple[int, ActionUnit]]], row: Int[Tensor, " n"], wanted: Bool[Tensor, " n"]
) -> Planes:
    """List the planes of n faces.

    Args:
        entries: action units of each distinct expression, with their columns.
        row: the entry of each face.
        wanted: the faces to draw.
    """
    slots = max([len(units) for units in entries], default=0)
    lines = [[(1, column, unit.weight, (*SIDES, None).index(unit.side)) for column, unit in units] for units in entries]
    filled = [[*line, *[(0, 0, 0, 0)] * (slots - len(line))] for line in lines]
    table = torch.tensor(filled, dtype=torch.float64).view(len(entries), slots, 4).to(row.device)[row]
    face, slot = (table[..., 0].bool() & wanted[:, None]).nonzero(as_tuple=True)
    _, columns, weight, side = table[face, slot].unbind(-1)
    return Planes(face, columns.long(), weight.float(), side.long())


def cover_cells(regions: Regions, planes: Planes) -> tuple[Float[Tensor, "p 28 28"], Bool[Tensor, " p"]]:
    """Return per cell the share of sampled pixels inside the ellipses, and whether any pixel lies inside the image."""
    pair = regions.ellipses[planes.face, planes.unit]
    only = planes.side[:, None].clamp(max=1)
    left_right = torch.arange(2, device=pair.device).expand(len(pair), 2)
    pair = pair.gather(1, torch.where(planes.side[:, None] == 2, left_right, only)[..., None].expand(-1, -1, 4))
    centre, axes = pair[..., :2], pair[..., 2:] + RASTER_MARGIN
    roll = regions.roll[planes.face]
    is_rotated = bool(roll.any())
    cos, sin = roll.cos()[:, None, None], roll.sin()[:, None, None]

    inside = centre.clamp(0, CANVAS - 1) - centre
    along = torch.stack([cos[..., 0] * inside[..., 0] + sin[..., 0] * inside[..., 1],
                         cos[..., 0] * inside[..., 1] - sin[..., 0] * inside[..., 0]], -1)  # fmt: skip
    drawn = ((along / axes).square().sum(-1) <= 1).any(1)

    grid = torch.arange(GRID, dtype=pair.dtype, device=pair.device) * STRIDE
    dx, dy = ([grid + place - centre[..., axis, None] for place in SAMPLED] for axis in (0, 1))
    across, down = ([(d / axes[..., axis, None]).square().float() for d in ds] for axis, ds in enumerate((dx, dy)))
    coverage = torch.zeros(len(pair), GRID, GRID, device=pair.device)
    for row, column in product(range(len(SAMPLED)), repeat=2):
        if is_rotated:
            distance = _rotated_distance(dx[column], dy[row], axes, cos, sin)
        else:
            distance = across[column][..., None, :] + down[row][..., None]
        nearest = torch.minimum(distance[:, 0], distance[:, 1])
        coverage += torch.le(nearest, 1, out=nearest)  # five times faster than a cast
    return coverage / len(SAMPLED) ** 2, drawn


def _rotated_distance(
    dx: Float[Tensor, "p 2 28"], dy: Float[Tensor, "p 2 28"], axes: Float[Tensor, "p 2 2"], cos: Tensor, sin: Tensor
) -> Float[Tensor, "p 2 28 28"]:
    """Return the distances of sampled pixels from the centres of rotated ellipses, relative to their borders."""
    u = (cos * dx)[..., None, :] + (sin * dy)[..., None]
    v = (cos * dy)[..., None] - (sin * dx)[..., None, :]
    distance = (u.float() / axes[..., :1, None].float()).square_()
    return distance.add_((v.float() / axes[..., 1:, None].float()).square_())


def merge_enlarged(
    coverage: Float[Tensor, "p 28 28"], planes: Planes, faces: int, size: int, normalise: bool = False
) -> Float[Tensor, "n {size} {size}"]:
    """Blur and enlarge all planes, merge those of each face by their maximum, and normalise."""
    merged = empty_maps(faces, size, coverage.device)
    if coverage.is_cuda:
        _merge_chunks_(merged, coverage, planes, normalise)
    else:  # one face at a time stays in the cache
        ends = torch.bincount(planes.face, minlength=faces).cumsum(0).tolist()
        for start, end, target in zip([0, *ends], ends, merged, strict=False):
            part = slice(start, end)
            if end > start:
                maps = enlarge(coverage[part], size)
                torch.amax(peak_at_weight(maps, planes.weight[part]) if normalise else maps, 0, out=target)
            else:
                target.zero_()
            normalise_(target[None])
    return merged


def peak_at_weight(maps: Float[Tensor, "p S S"], weight: Float[Tensor, " p"]) -> Float[Tensor, "p S S"]:
    """Scale each plane so that its largest value is its weight; an empty one stays empty."""
    top = maps.amax((1, 2))
    return maps * (weight / top.where(top > 0, 1))[:, None, None]


def _merge_chunks_(
    merged: Float[Tensor, "n S S"], coverage: Float[Tensor, "p 28 28"], planes: Planes, normalise: bool = False
) -> None:
    """Fill in the heatmaps of all faces, ``GPU_CHUNK`` planes at a time."""
    merged.zero_()
    for start in range(0, len(coverage), GPU_CHUNK):
        part = slice(start, start + GPU_CHUNK)
        enlarged = enlarge(coverage[part], merged.shape[-1])
        enlarged = peak_at_weight(enlarged, planes.weight[part]) if normalise else enlarged
        merged.scatter_reduce_(0, planes.face[part, None, None].expand_as(enlarged), enlarged, "amax")
    normalise_(merged)


def normalise_(maps: Float[Tensor, "n S S"]) -> None:
    """Stretch each map to [0, 1] in place; a constant one becomes NaN."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    maps.sub_(low).mul_(1 / (high - low))


def enlarge(coverage: Float[Tensor, "p 28 28"], size: int) -> Float[Tensor, "p {size} {size}"]:
    """Blur the grid and enlarge it bilinearly.

    The columns are enlarged by interpolating between the enlarged rows. If each cell has an even number of pixels, the
    weights repeat from cell to cell, and one broadcast interpolation is five times faster than a matrix or gathers.
    """
    grid = blur(coverage)
    if size == GRID:
        return grid[:, 1:-1, 1:-1]
    rows = grid @ _widening(size, grid.device)
    if size % (2 * GRID):
        at = _places(size, rows.device)
        above = at.long()
        return torch.lerp(rows[:, above], rows[:, above + 1], (at - above)[:, None])
    step = size // GRID
    weight = ((torch.arange(step, device=rows.device) + 0.5) / step)[:, None]
    cells = torch.lerp(rows[:, :-1, None], rows[:, 1:, None], weight).flatten(1, 2)
    return cells[:, step // 2 : step // 2 + size]


def blur(coverage: Float[Tensor, "p 28 28"]) -> Float[Tensor, "p 30 30"]:
    """Return planes blurred by a 3 x 3 box, their borders repeated."""
    x = F.pad(coverage[:, None], (1, 1, 1, 1), mode="reflect")
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    x = (x[..., :-2] + x[..., 1:-1] + x[..., 2:]).mul_(1 / 9)
    return F.pad(x, (1, 1, 1, 1), mode="replicate")[:, 0]


def _places(size: int, device: torch.device) -> Float[Tensor, " {size}"]:
    """Return where on the grid with repeated borders the pixels of a side lie."""
    return ((torch.arange(size, device=device) + 0.5) * GRID / size + 0.5).clamp(1, GRID)


@cache
def _widening(size: int, device: torch.device) -> Float[Tensor, "30 {size}"]:
    """Return the matrix that enlarges a row of the grid with repeated borders."""
    at = _places(size, device)
    before, eye = at.long(), torch.eye(GRID + 2, device=device)
    return torch.lerp(eye[:, before], eye[:, before + 1], at - before)


def empty_maps(faces: int, size: int, device: torch.device) -> Float[Tensor, "n {size} {size}"]:
    """Return memory for maps."""
    if device.type == "cpu":  # numpy requests huge pages, which makes the first writes several times cheaper
        return torch.from_numpy(np.empty((faces, size, size), np.float32))
    return torch.empty(faces, size, size, device=device)
