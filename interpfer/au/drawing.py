"""Drawing of action-unit heatmaps for a batch of faces.

The method is that of Belharbi et al. 2024 (arXiv 2402.00281): for each AU, filled ellipses on the 224 px canvas are
sampled down to 28 x 28 (bilinear, without antialiasing), blurred by a 3 x 3 box and enlarged again (bilinear); the
planes of an expression are merged by their maximum and min-max normalised.

Sampling reads 4 of every 64 pixels, so ellipses are tested only at those, and only the union is held at full size.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.au.codebook import SIDES, ActionUnit, Codebook, load_codebook
from interpfer.au.geometry import Geometry, Regions, load_geometry
from interpfer.errors import DataError, nearest
from interpfer.labels import canonical, class_indices
from interpfer.types import CANVAS, AUHeatmaps

GRID = 28
"""Side of the grid to which the reference samples its ellipses."""

STRIDE = CANVAS // GRID
SAMPLED = (STRIDE // 2 - 1, STRIDE // 2)
"""The pixels of every ``STRIDE`` that bilinear sampling to ``GRID`` reads, with equal weight."""

RASTER_MARGIN = 0.5
"""Pixels added to a half-axis so that the pixels inside are those that an integer rasteriser fills."""

GPU_CHUNK = 512
"""Number of planes enlarged at a time on an accelerator."""


class _Planes(NamedTuple):
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


def au_heatmaps(
    points: Float[Tensor, "n 68 2"],
    classes: Sequence[str],
    size: int = CANVAS,
    codebook: str | Codebook = "belharbi2024",
    geometry: str | Geometry = "reference",
    normalise: bool = False,
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Draw the heatmap of the expression of each face, as Belharbi et al. 2024 (arXiv 2402.00281) do.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image; a face with a non-finite coordinate has none.
        classes: n expressions in any known spelling; "" if unknown.
        size: side of the heatmaps in pixels.
        codebook: name, YAML file, or ``Codebook``.
        geometry: name or function.
        normalise: divide the plane of each AU by its largest value before the union. Without, as in the reference, the
            planes of thin regions are faint (eyelids peak at about a third) and drop out of a mask of values over .5.

    Returns:
        maps: (n, size, size) in [0, 1]; NaN everywhere if undefined.
        valid: (n,) False for a face without landmarks, an expression without action units (neutral), and a face with no
            action unit inside the image.

    Raises:
        DataError: a class is not an expression, or the geometry has no region for an action unit of the codebook.
        PluginError: the codebook or the geometry is unknown.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> faces = DemoDataset("test", count=2, size=224)
        >>> points = faces.landmarks().locate(["test_0001.png", "test_0002.png"]).points
        >>> maps, valid = au_heatmaps(points, ["happy", "neutral"])
        >>> maps.shape, valid.tolist()
        (torch.Size([2, 224, 224]), [True, False])
    """
    if len(points) != len(classes):
        raise DataError(f"classes must be one per face, got {len(classes)} for {len(points)} faces.")
    codebook = load_codebook(codebook) if isinstance(codebook, str) else codebook
    has_landmarks = points.isfinite().flatten(1).all(1)
    regions = _regions(points, size, geometry)
    names = sorted(set(classes))
    entries = [_distinct(codebook.units(canonical(name)) if name else (), regions) for name in names]
    row = torch.tensor(class_indices(classes, names), dtype=torch.long, device=points.device)
    planes = _plan(entries, row, has_landmarks)
    coverage, _ = _cover(regions, planes)
    return _merge(coverage * planes.weight[:, None, None], planes, len(points), size, normalise)


def au_planes(
    points: Float[Tensor, "n 68 2"],
    aus: Iterable[int],
    size: int = CANVAS,
    geometry: str | Geometry = "reference",
) -> AUHeatmaps:
    """Draw one plane per action unit and face, regardless of the expression.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image; a face with a non-finite coordinate has none.
        aus: u FACS numbers.
        size: side of the planes in pixels.
        geometry: name or function.

    Returns:
        (n, u, size, size) planes in [0, 1], in the order of ``aus``; NaN where a plane could not be drawn (see
        ``drawn``).

    Raises:
        DataError: the geometry has no region for an action unit.
        PluginError: the geometry is unknown.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> points = DemoDataset("test", count=1, size=224).landmarks().locate(["test_0001.png"]).points
        >>> planes = au_planes(points, [12, 25])
        >>> planes.aus, planes.maps.shape, planes.drawn.tolist()
        ((12, 25), torch.Size([1, 2, 224, 224]), [[True, True]])
    """
    numbers = tuple(aus)
    has_landmarks = points.isfinite().flatten(1).all(1)
    regions = _regions(points, size, geometry)
    entries = tuple((_column(number, regions), ActionUnit(number)) for number in numbers)
    all_faces = torch.ones_like(has_landmarks)
    planes = _plan([entries], torch.zeros_like(has_landmarks, dtype=torch.long), all_faces)
    coverage, drawn = _cover(regions, planes)
    shape = len(points), len(numbers)
    maps = _enlarge(coverage, size).reshape(*shape, size, size)
    visible = drawn.view(shape) & has_landmarks[:, None]
    return AUHeatmaps(numbers, torch.where(visible[..., None, None], maps, torch.nan), visible)


def _regions(points: Float[Tensor, "n 68 2"], size: int, geometry: str | Geometry) -> Regions:
    locate_regions = load_geometry(geometry) if isinstance(geometry, str) else geometry
    return locate_regions(points.double().nan_to_num(0, 0, 0) * (CANVAS / size))


def _column(number: int, regions: Regions) -> int:
    if number not in regions.aus:
        known = [str(au) for au in regions.aus]
        raise DataError(
            f"AU {number} has no region in this geometry.{nearest(str(number), known)} Known: {', '.join(known)}."
        )
    return regions.aus.index(number)


def _distinct(entries: Sequence[ActionUnit], regions: Regions) -> tuple[tuple[int, ActionUnit], ...]:
    """Return the entries with their columns, without those that draw the same plane as an earlier one."""
    planes: dict[tuple[int, float, str | None], tuple[int, ActionUnit]] = {}
    for entry in entries:
        column = regions.shared[_column(entry.au, regions)]
        planes.setdefault((column, entry.weight, entry.side), (column, entry))
    return tuple(planes.values())


def _plan(
    entries: Sequence[Sequence[tuple[int, ActionUnit]]], row: Int[Tensor, " n"], wanted: Bool[Tensor, " n"]
) -> _Planes:
    """List the planes of n faces.

    Args:
        entries: action units of each distinct expression, with their columns.
        row: the entry of each face.
        wanted: the faces to draw.
    """
    slots = max([len(units) for units in entries], default=0)
    table = torch.zeros(len(entries), slots, 4, dtype=torch.float64)
    for units, target in zip(entries, table, strict=True):
        for place, (column, unit) in enumerate(units):
            target[place] = torch.tensor([1, column, unit.weight, (*SIDES, None).index(unit.side)])
    table = table.to(row.device)[row]
    face, slot = (table[..., 0].bool() & wanted[:, None]).nonzero(as_tuple=True)
    _, columns, weight, side = table[face, slot].unbind(-1)
    return _Planes(face, columns.long(), weight.float(), side.long())


def _cover(regions: Regions, planes: _Planes) -> tuple[Float[Tensor, "p 28 28"], Bool[Tensor, " p"]]:
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
    coverage = torch.zeros(len(pair), GRID, GRID, device=pair.device)
    for row, column in product(SAMPLED, SAMPLED):
        dx, dy = grid + column - centre[..., :1], grid + row - centre[..., 1:]
        if is_rotated:
            u = (cos * dx)[..., None, :] + (sin * dy)[..., :, None]
            v = (cos * dy)[..., :, None] - (sin * dx)[..., None, :]
            distance = (u.float() / axes[..., :1, None].float()).square_()
            distance += (v.float() / axes[..., 1:, None].float()).square_()
        else:
            across = (dx / axes[..., :1]).square().float()
            distance = across[..., None, :] + (dy / axes[..., 1:]).square().float()[..., :, None]
        coverage += distance.amin(1) <= 1
    return coverage / len(SAMPLED) ** 2, drawn


def _merge(
    coverage: Float[Tensor, "p 28 28"], planes: _Planes, faces: int, size: int, normalise: bool = False
) -> tuple[Float[Tensor, "n S S"], Bool[Tensor, " n"]]:
    """Blur, enlarge, merge the planes of each face by their maximum, and normalise."""
    merged = _empty(faces, size, coverage.device)
    if coverage.is_cuda:
        _merge_chunks_(merged, coverage, planes, normalise)
    else:  # one face at a time stays in the cache
        ends = torch.bincount(planes.face, minlength=faces).cumsum(0).tolist()
        for start, end, target in zip([0, *ends], ends, merged, strict=False):
            part = slice(start, end)
            if end > start:
                maps = _enlarge(coverage[part], size)
                torch.amax(_peak_at_weight(maps, planes.weight[part]) if normalise else maps, 0, out=target)
            else:
                target.zero_()
            _normalise_(target[None])
    return merged, merged[:, 0, 0].isfinite()


def _peak_at_weight(maps: Float[Tensor, "p S S"], weight: Float[Tensor, " p"]) -> Float[Tensor, "p S S"]:
    """Scale each plane so that its largest value is its weight; an empty one stays empty."""
    top = maps.amax((1, 2))
    return maps * (weight / top.where(top > 0, 1))[:, None, None]


def _merge_chunks_(
    merged: Float[Tensor, "n S S"], coverage: Float[Tensor, "p 28 28"], planes: _Planes, normalise: bool = False
) -> None:
    """Fill in the heatmaps of all faces, ``GPU_CHUNK`` planes at a time."""
    merged.zero_()
    for start in range(0, len(coverage), GPU_CHUNK):
        part = slice(start, start + GPU_CHUNK)
        enlarged = _enlarge(coverage[part], merged.shape[-1])
        enlarged = _peak_at_weight(enlarged, planes.weight[part]) if normalise else enlarged
        merged.scatter_reduce_(0, planes.face[part, None, None].expand_as(enlarged), enlarged, "amax")
    _normalise_(merged)


def _normalise_(maps: Float[Tensor, "n S S"]) -> None:
    """Stretch each map to [0, 1] in place; a constant one becomes NaN."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    maps.sub_(low).mul_(1 / (high - low))


def _enlarge(coverage: Float[Tensor, "p 28 28"], size: int) -> Float[Tensor, "p {size} {size}"]:
    """Blur the grid and enlarge it bilinearly.

    The columns are enlarged by interpolating between the enlarged rows. If ``size`` is a multiple of the grid, the
    weights repeat from cell to cell, and one broadcast interpolation is five times faster than a matrix or gathers.
    """
    blur, widen = _matrices(size, coverage.device)
    rows = (blur @ coverage) @ widen
    if size % GRID:
        at = ((torch.arange(size, device=rows.device) + 0.5) * GRID / size + 0.5).clamp(1, GRID)
        above = at.long()
        return torch.lerp(rows[:, above], rows[:, above + 1], (at - above)[:, None])
    step = size // GRID
    weight = ((torch.arange(step, device=rows.device) + 0.5) / step)[:, None]
    cells = torch.lerp(rows[:, :-1, None], rows[:, 1:, None], weight).flatten(1, 2)
    return cells[:, step // 2 : step // 2 + size]


@cache
def _matrices(size: int, device: torch.device) -> tuple[Float[Tensor, "30 28"], Float[Tensor, "28 {size}"]]:
    """Return the matrix that blurs a column of the grid and repeats its ends, and one that blurs and enlarges a row."""
    eye = torch.eye(GRID)
    blur = F.avg_pool1d(F.pad(eye[None], (1, 1), mode="reflect"), 3, 1)[0].mT
    enlarge = F.interpolate(eye[None, None], size=(size, GRID), mode="bilinear", align_corners=False)[0, 0]
    return torch.cat([blur[:1], blur, blur[-1:]]).to(device), (enlarge @ blur).mT.contiguous().to(device)


def _empty(faces: int, size: int, device: torch.device) -> Float[Tensor, "n S S"]:
    if device.type == "cpu":  # numpy requests huge pages, which makes the first writes several times cheaper
        return torch.from_numpy(np.empty((faces, size, size), np.float32))
    return torch.empty(faces, size, size, device=device)
