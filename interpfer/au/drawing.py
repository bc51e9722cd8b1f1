"""Drawing of action-unit heatmaps for a batch of faces.

The method is that of Belharbi et al. 2024 (arXiv 2402.00281): for each AU, filled ellipses on the 224 px canvas are
sampled down to 28 x 28 (bilinear, without antialiasing), blurred by a 3 x 3 box and enlarged again (bilinear); the
planes of an expression are merged by their maximum and min-max normalised.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.au.codebook import SIDES, ActionUnit, Codebook, load_codebook
from interpfer.au.geometry import Geometry, Regions, load_geometry
from interpfer.au.raster import (
    Planes,
    cover_cells,
    enlarge,
    normalise_,
    peak_at_weight,
    plan_planes,
)
from interpfer.au.union import merge_planes
from interpfer.errors import DataError, nearest
from interpfer.labels import canonical, class_indices
from interpfer.types import CANVAS, AUHeatmaps


def au_heatmaps(
    points: Float[Tensor, "n 68 2"],
    classes: Sequence[str] | None = None,
    size: int = CANVAS,
    codebook: str | Codebook = "belharbi2024",
    geometry: str | Geometry = "reference",
    normalise: bool = False,
    *,
    aus: Sequence[Mapping[int, float] | None] | None = None,
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Draw the heatmap of each face, as Belharbi et al. 2024 (arXiv 2402.00281) do.

    What is drawn on a face are the action units that a codebook lists for its expression, or its own.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image; a face with a non-finite coordinate has none.
        classes: n expressions in any known spelling; "" if unknown.
        size: side of the heatmaps in pixels.
        codebook: name, YAML file, or ``Codebook``.
        geometry: name or function.
        normalise: divide the plane of each AU by its largest value before the union. Without, as in the reference, the
            planes of thin regions are faint (eyelids peak at about a third) and drop out of a mask of values over .5.
        aus: in place of ``classes``: n mappings from FACS number to weight in [0, 1], 0 for absent; None for a face
            that is not coded. Numbers without a region are left out.

    Returns:
        maps: (n, size, size) in [0, 1]; NaN everywhere if undefined.
        valid: (n,) False for a face without landmarks, without action units (neutral), and with none inside the image.

    Raises:
        DataError: a class is not an expression, a weight is out of range, or the geometry has no region for an action
            unit of the codebook.
        PluginError: the codebook or the geometry is unknown.

    Examples:
        >>> from interpfer.datasets.demo import DemoDataset
        >>> faces = DemoDataset("test", count=2, size=224)
        >>> points = faces.landmarks().locate(["test_0001.png", "test_0002.png"]).points
        >>> maps, valid = au_heatmaps(points, ["happy", "neutral"])
        >>> maps.shape, valid.tolist()
        (torch.Size([2, 224, 224]), [True, False])
        >>> au_heatmaps(points, aus=[{6: 1.0, 12: 0.6}, None], geometry="scaled")[1].tolist()
        [True, False]
    """
    if (classes is None) == (aus is None):
        raise DataError("pass either classes or aus.")
    if aus is not None:
        units = [_weighted(face, row) for row, face in enumerate(aus)]
        return draw_units(points, units, size, geometry, normalise)
    assert classes is not None
    if len(points) != len(classes):
        raise DataError(f"classes must be one per face, got {len(classes)} for {len(points)} faces.")
    codebook = load_codebook(codebook) if isinstance(codebook, str) else codebook
    names = sorted(set(classes))
    listed = [codebook.units(canonical(name)) if name else () for name in names]
    rows = class_indices(classes, names)
    return _draw(points, listed, rows, size, geometry, normalise)


def draw_units(
    points: Float[Tensor, "n 68 2"],
    units: Sequence[Sequence[ActionUnit]],
    size: int = CANVAS,
    geometry: str | Geometry = "reference",
    normalise: bool = False,
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Draw the heatmap of the action units of each face; those without a region are left out.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image.
        units: of each of the n faces.
        size: side of the heatmaps in pixels.
        geometry: name or function.
        normalise: see ``au_heatmaps``.

    Returns:
        As ``au_heatmaps``; a face without units is not valid.

    Raises:
        DataError: there are not as many lists as faces.
    """
    if len(points) != len(units):
        raise DataError(f"aus must be one per face, got {len(units)} for {len(points)} faces.")
    known = set(_regions(points[:0], size, geometry).aus)
    placed = [tuple(unit for unit in face if unit.au in known) for face in units]
    distinct = list(dict.fromkeys(placed))
    places = {face: row for row, face in enumerate(distinct)}
    return _draw(points, distinct, [places[face] for face in placed], size, geometry, normalise)


def _draw(
    points: Float[Tensor, "n 68 2"],
    listed: Sequence[Sequence[ActionUnit]],
    rows: Sequence[int],
    size: int,
    geometry: str | Geometry,
    normalise: bool,
) -> tuple[Float[Tensor, "n {size} {size}"], Bool[Tensor, " n"]]:
    """Draw on each face the list of action units that its row names."""
    has_landmarks = points.isfinite().flatten(1).all(1)
    regions = _regions(points, size, geometry)
    entries = [_distinct(units, regions) for units in listed]
    row = torch.tensor(rows, dtype=torch.long, device=points.device)
    planes = plan_planes(entries, row, has_landmarks)
    coverage, _ = cover_cells(regions, planes)
    return merge_planes(coverage * planes.weight[:, None, None], planes, len(points), size, normalise)


def draw_each(
    points: Float[Tensor, "n 68 2"],
    units: Sequence[tuple[int, Sequence[ActionUnit]]],
    size: int = CANVAS,
    geometry: str | Geometry = "reference",
    normalise: bool = False,
) -> tuple[Float[Tensor, "q {size} {size}"], Bool[Tensor, " q"]]:
    """Draw q heatmaps on n faces: of each the action units in one entry, such as a single one.

    Args:
        points: landmarks in pixels of a ``size`` x ``size`` image.
        units: q pairs of a face and what is drawn of it, ordered by face; all must have a region.
        size: side of the heatmaps in pixels.
        geometry: name or function.
        normalise: see ``au_heatmaps``.

    Returns:
        As ``draw_units`` of faces with these action units.
    """
    regions = _regions(points, size, geometry)
    entries = [
        (face, regions.shared[_column(unit.au, regions)], unit.weight, (*SIDES, None).index(unit.side), row)
        for row, (face, own) in enumerate(units)
        for unit in own
    ]
    table = torch.tensor(entries, dtype=torch.float64, device=points.device).reshape(len(entries), 5)
    face, column, weight, side, row = table.unbind(1)
    planes = Planes(face.long(), column.long(), weight.float(), side.long())
    coverage, _ = cover_cells(regions, planes)
    maps = enlarge(coverage * planes.weight[:, None, None], size)
    maps = peak_at_weight(maps, planes.weight) if normalise else maps
    if len(entries) > len(units):  # both sides of an action unit, of different intensity
        merged = maps.new_zeros(len(units), size, size)
        maps = merged.scatter_reduce_(0, row.long()[:, None, None].expand_as(maps), maps, "amax")
    normalise_(maps)
    places = torch.tensor([place for place, _ in units], dtype=torch.long, device=points.device)
    has_landmarks = points.isfinite().flatten(1).all(1)[places]
    return maps, maps[:, 0, 0].isfinite() & has_landmarks


def _weighted(face: Mapping[int, float] | None, row: int) -> tuple[ActionUnit, ...]:
    for au, weight in (face or {}).items():
        if not 0 <= weight <= 1:
            raise DataError(f"aus: the weight of AU {au} of face {row} must be between 0 and 1, got {weight}.")
    return tuple(ActionUnit(au, weight) for au, weight in (face or {}).items() if weight > 0)


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
    planes = plan_planes([entries], torch.zeros_like(has_landmarks, dtype=torch.long), all_faces)
    coverage, drawn = cover_cells(regions, planes)
    shape = len(points), len(numbers)
    maps = enlarge(coverage, size).reshape(*shape, size, size)
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
