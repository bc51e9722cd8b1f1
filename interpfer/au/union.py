"""Union of the planes of each face, enlarged once.

The largest of several enlarged planes is the enlarged largest plane, except in cells that planes cross: where none is
the largest at all four corners. Those cells alone are enlarged plane by plane.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.au.raster import GRID, Planes, blur, empty_maps, merge_enlarged

CELLS = GRID + 1
"""Cells between the centres of the grid along each side; those at the border lie half outside the picture."""


FACES_AT_ONCE = 16
"""Faces that are enlarged at a time, so that they stay in the cache."""


def merge_planes(
    coverage: Float[Tensor, "p 28 28"], planes: Planes, faces: int, size: int, normalise: bool = False
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Return the union of the planes of each face in [0, 1], and whether it is defined; else it is NaN.

    Args:
        coverage: share of each cell that a plane covers, times its weight.
        planes: which they are, ordered by face.
        faces: number of faces n.
        size: side of the maps in pixels.
        normalise: whether each plane peaks at its weight first, which takes all of them at full size.
    """
    has_even_cells = size % (2 * GRID) == 0  # half of a cell at the border is whole pixels
    if normalise or coverage.is_cuda or not has_even_cells or not len(coverage):
        merged = merge_enlarged(coverage, planes, faces, size, normalise)
    else:
        merged = _unite(coverage, planes, faces, size)
    return merged, merged[:, 0, 0].isfinite()


def _unite(
    coverage: Float[Tensor, "p 28 28"], planes: Planes, faces: int, size: int
) -> Float[Tensor, "n {size} {size}"]:
    """Enlarge the largest plane of each face, mend the cells that planes cross, and normalise."""
    stacked = _stack(blur(coverage), planes.face, faces)
    largest = stacked.amax(0)
    crossed = _crossed(stacked, largest)
    step = size // GRID
    mended = torch.split(_enlarge_cells(stacked, crossed, step), crossed.sum((1, 2)).tolist())
    rows, weight = largest @ _widening(step, coverage.device), _weights(step, coverage.device)[:, None]
    padded = rows.new_empty(min(faces, FACES_AT_ONCE), CELLS, step, CELLS * step)
    result = empty_maps(faces, size, coverage.device)
    for start in range(0, faces, FACES_AT_ONCE):
        part = slice(start, start + FACES_AT_ONCE)
        large = padded[: len(rows[part])]
        torch.lerp(rows[part, :-1, None], rows[part, 1:, None], weight, out=large)
        large.view(*large.shape[:3], CELLS, step).transpose(2, 3)[crossed[part]] = torch.cat(mended[part])
        low, high = large.flatten(1).amin(1)[:, None, None], large.flatten(1).amax(1)[:, None, None]
        inside = large.flatten(1, 2)[:, step // 2 : -(step // 2), step // 2 : -(step // 2)]
        torch.sub(inside, low, out=result[part]).mul_(1 / (high - low))
    return result


def _stack(grids: Float[Tensor, "p 30 30"], face: Int[Tensor, " p"], faces: int) -> Float[Tensor, "s n 30 30"]:
    """Return the planes of each face one after the other; faces with fewer than others have empty ones."""
    counts = torch.bincount(face, minlength=faces)
    slots = int(counts.max()) if len(face) else 1
    slot = torch.arange(len(face), device=face.device) - (counts.cumsum(0) - counts)[face]
    stacked = grids.new_zeros(slots, faces, *grids.shape[1:])
    stacked[slot, face] = grids
    return stacked


def _crossed(stacked: Float[Tensor, "s n 30 30"], largest: Float[Tensor, "n 30 30"]) -> Bool[Tensor, "n 29 29"]:
    """Return the cells in which no plane is the largest at all four corners."""
    below = stacked - largest
    below = torch.minimum(below[..., 1:, :], below[..., :-1, :])
    below = torch.minimum(below[..., 1:], below[..., :-1])
    return below.amax(0) < 0


def _enlarge_cells(
    stacked: Float[Tensor, "s n 30 30"], cells: Bool[Tensor, "n 29 29"], step: int
) -> Float[Tensor, "k {step} {step}"]:
    """Return the pixels of some cells, the largest of all planes."""
    face, row, column = cells.nonzero(as_tuple=True)
    first = (face * (CELLS + 1) + row) * (CELLS + 1) + column
    corners = torch.stack([first, first + 1, first + CELLS + 1, first + CELLS + 2], -1).flatten()
    values = stacked.flatten(1).index_select(1, corners)
    weight = _weights(step, stacked.device)
    ends = torch.stack([1 - weight, weight])
    of_corner = (ends[:, None, :, None] * ends[:, None, :]).reshape(4, -1)
    return (values.view(-1, 4) @ of_corner).view(len(stacked), -1, step, step).amax(0)


@cache
def _weights(step: int, device: torch.device) -> Float[Tensor, " {step}"]:
    """Return how far the pixels of a cell lie between its first corner and its second."""
    return (torch.arange(step, device=device) + 0.5) / step


@cache
def _widening(step: int, device: torch.device) -> Float[Tensor, "30 w"]:
    """Return the matrix that enlarges a row of the grid to the pixels of all its cells."""
    eye = torch.eye(CELLS + 1, device=device)
    return torch.lerp(eye[:, :-1, None], eye[:, 1:, None], _weights(step, device)).flatten(1)
