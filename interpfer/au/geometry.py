"""Regions of the action units: ellipses tied to the 68 landmarks, on the 224 x 224 canvas.

``TABLE`` lists them in pixels of a typical 224 px crop. Two geometries use it: ``reference`` as Belharbi et al. 2024
(arXiv 2402.00281) do, in whole pixels of an upright canvas, including the errors of their code; ``scaled`` in units of
the inter-ocular distance, in a frame that rolls with the head, without these errors: the regions of a mirrored face are
the mirrored regions of the face. ``OWN_PLACES`` adds action units that the reference does not draw, by the same rules.

The first ellipse of a pair is the one on the left of an upright picture (the subject's right).
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.errors import PluginError, nearest
from interpfer.landmarks.points import MIRRORED
from interpfer.types import CANVAS

INTER_OCULAR = 0.38 * CANVAS
"""Pixels between the eye centres of a typical crop: the unit by which ``scaled`` converts the lengths of the table."""


class Ellipse(NamedTuple):
    """A filled ellipse, centred between two landmarks in x and between two in y.

    Attributes:
        x: two landmarks whose mean x is the centre's.
        y: two landmarks whose mean y is the centre's.
        radii: half-axes in pixels; None to fit the ellipse into the box of the four coordinates.
        right: shift of the centre to the right, in pixels.
        down: shift of the centre downwards, in pixels.
        taller: pixels added to the height of a fitted box.
        least: smallest half-axis of a fitted box, in pixels.
    """

    x: tuple[int, int]
    y: tuple[int, int]
    radii: tuple[float, float] | None = (20, 20)
    right: float = 0
    down: float = 0
    taller: float = 0
    least: float = 0


def _at(x: int, y: int, right: float = 0) -> Ellipse:
    return Ellipse((x, x), (y, y), right=right)


def _round(point: int, radii: tuple[float, float] = (20, 20), down: float = 0) -> Ellipse:
    return Ellipse((point, point), (point, point), radii, down=down)


def _between(a: int, b: int) -> Ellipse:
    return Ellipse((a, b), (a, b))


def _box(left: int, right: int, top: int, bottom: int, least: float = 0, taller: float = 0) -> Ellipse:
    return Ellipse((left, right), (top, bottom), None, least=least, taller=taller)


_BROW = (round(CANVAS / 8), round(CANVAS / 10))
_CHEEK = (round(CANVAS / 10), round(CANVAS / 10))
_CHEEK_DROP = round(CANVAS / 6)
_LIP_CORNERS = (_round(48), _round(54))
_MOUTH = (_box(48, 54, 51, 57, least=5),)

TABLE: dict[int, tuple[Ellipse, ...]] = {
    1: (_round(20, _BROW), _round(23, _BROW)),
    2: (_round(18, _BROW), _round(25, _BROW)),
    4: (_box(19, 24, 19, 24, least=10),),
    5: (_box(36, 39, 38, 41, least=5), _box(42, 45, 44, 47, least=5)),
    6: (_round(41, _CHEEK, down=_CHEEK_DROP), _round(46, _CHEEK, down=_CHEEK_DROP)),
    7: (_box(36, 39, 38, 41, least=5, taller=20), _box(42, 45, 44, 47, least=5, taller=20)),
    9: (_at(31, 29), _at(35, 29)),
    10: (_round(50), _round(52)),
    12: _LIP_CORNERS,
    14: (_at(48, 48, right=-20), _at(54, 54, right=20)),
    15: _LIP_CORNERS,
    16: (_round(59), _round(55)),
    17: (_box(59, 55, 57, 8, least=5),),
    20: (_between(48, 6), _between(54, 10)),
    23: _MOUTH,
    24: _MOUTH,
    25: (_round(51, (25, 10)), _round(57, (25, 10))),
    26: _MOUTH,
    27: _MOUTH,
    43: (_box(36, 39, 38, 41, taller=20), _box(42, 45, 44, 47, taller=20)),
}
"""FACS number -> its ellipse, or one for each side."""

_NOSE_WINGS = (_round(31, (14, 14)), _round(35, (14, 14)))
_HOLLOW_CHEEKS = (Ellipse((48, 4), (48, 4), _CHEEK), Ellipse((54, 12), (54, 12), _CHEEK))

OWN_PLACES: dict[int, tuple[Ellipse, ...]] = {
    **dict.fromkeys((8, 18, 19, 22, 28, 32), _MOUTH),
    11: (Ellipse((31, 48), (31, 50), right=-10), Ellipse((35, 54), (35, 52), right=10)),
    13: (Ellipse((48, 48), (31, 48)), Ellipse((54, 54), (35, 54))),
    **dict.fromkeys((33, 34, 35), _HOLLOW_CHEEKS),
    **dict.fromkeys((38, 39), _NOSE_WINGS),
    **dict.fromkeys((41, 42, 44, 45, 46), TABLE[43]),
}
"""Ellipses of action units that no reference code draws, placed by interpfer where FACS describes their muscle.

- 8, 18, 22, 28 (orbicularis oris, incisivii labii) and 19, 32 (tongue show, bite) move the lips as a whole: the mouth.
- 11 (zygomaticus minor) deepens the upper half of the nasolabial furrow: between wing of the nose and upper lip.
- 13 (levator anguli oris) pulls the corners of the lips straight up: between corner and height of the nose.
- 33, 34, 35 (blow, puff, suck; buccinator) move the cheeks between corner of the lips and jaw.
- 38, 39 (nasalis) widen and narrow the nostrils: the wings of the nose.
- 41, 42, 44, 45, 46 (lid droop, slit, squint, blink, wink) lie where closed eyes are.
"""

REFERENCE_ERRORS: dict[int, tuple[Ellipse, ...]] = {
    10: (_at(48, 50), _at(52, 54)),
    17: (_box(59, 8, 59, 8, least=5),),
    20: (_between(48, 6), _between(50, 10)),
}
"""Entries of ``TABLE`` that the reference code draws asymmetrically."""


class Regions(NamedTuple):
    """The regions of u action units on n faces.

    Attributes:
        aus: u FACS numbers, sorted.
        ellipses: (n, u, 2, 4) left and right ellipse as (x, y, rx, ry) in canvas pixels; a single one appears twice.
        roll: (n,) angle in radians by which the ellipses are rotated.
        shared: u columns: the first one with the same region (AUs 23, 24, 26 and 27 are all the mouth).
    """

    aus: tuple[int, ...]
    ellipses: Float[Tensor, "n u 2 4"]
    roll: Float[Tensor, " n"]
    shared: tuple[int, ...]


class _Layout(NamedTuple):
    """A table as tensors; u action units, two ellipses each."""

    aus: tuple[int, ...]
    shared: tuple[int, ...]
    landmarks: Int[Tensor, "2 u 2 2"]
    shift: Float[Tensor, "2 u 2"]
    fitted: Bool[Tensor, "u 2 1"]
    radii: Float[Tensor, "u 2 2"]
    taller: Float[Tensor, "u 2"]
    least: Float[Tensor, "u 2 1"]
    is_paired: Bool[Tensor, "u 1 1"]


def _layout(table: Mapping[int, tuple[Ellipse, ...]], device: torch.device) -> _Layout:
    aus = tuple(sorted(table))
    pairs = [(table[au] * 2)[:2] for au in aus]

    def field(read: Callable[[Ellipse], object], dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.tensor([[read(ellipse) for ellipse in pair] for pair in pairs], dtype=dtype, device=device)

    return _Layout(
        aus,
        tuple(next(i for i, other in enumerate(aus) if table[other] is table[au]) for au in aus),
        torch.stack([field(lambda e: e.x, torch.long), field(lambda e: e.y, torch.long)]),
        torch.stack([field(lambda e: e.right), field(lambda e: e.down)]),
        field(lambda e: [e.radii is None], torch.bool),
        field(lambda e: e.radii or (0, 0)),
        field(lambda e: e.taller),
        field(lambda e: [e.least]),
        torch.tensor([[[not all(map(_is_on_midline, pair))]] for pair in pairs], device=device),
    )


def _is_on_midline(ellipse: Ellipse) -> bool:
    """Return whether the mirrored face has the ellipse at the same points, such as those of the upper lip."""
    return all(MIRRORED[point] == point for point in (*ellipse.x, *ellipse.y))


@cache
def _reference_layout(device: torch.device) -> _Layout:
    return _layout(TABLE | OWN_PLACES | REFERENCE_ERRORS, device)


@cache
def _scaled_layout(device: torch.device) -> _Layout:
    return _layout(TABLE | OWN_PLACES, device)


def reference(points: Float[Tensor, "n 68 2"]) -> Regions:
    """Return the regions as the reference code draws them, with all coordinates truncated to whole pixels.

    Args:
        points: landmarks in canvas pixels, float64.
    """
    layout = _reference_layout(points.device)
    whole = points.trunc()
    x, y = whole[:, layout.landmarks[0], 0], whole[:, layout.landmarks[1], 1]
    sideways = layout.shift[0]
    middle_x = x.mean(-1).trunc() + sideways
    middle_x = torch.where(sideways == 0, middle_x, middle_x.clamp(0, CANVAS))
    middle_y = y.mean(-1).trunc() + layout.shift[1]
    half = torch.stack([x[..., 1] - x[..., 0], y[..., 1] - y[..., 0] + layout.taller], -1).div(2).trunc().clamp(min=0)
    half = torch.where(half == 0, layout.least, half)
    radii = torch.where(layout.fitted, half, layout.radii)
    ellipses = torch.cat([middle_x[..., None], middle_y[..., None], radii], -1)
    return Regions(layout.aus, ellipses, torch.zeros_like(points[:, 0, 0]), layout.shared)


def scaled(points: Float[Tensor, "n 68 2"]) -> Regions:
    """Return the regions in inter-ocular units, rotated by the roll of the head and symmetric.

    The table names points of one side for a few regions of the other; an ellipse is therefore the mean of that on the
    face and of that on the mirrored face, mirrored back.

    Args:
        points: landmarks in canvas pixels, float64.
    """
    layout = _scaled_layout(points.device)
    eyes = points[:, 42:48].mean(1) - points[:, 36:42].mean(1)
    roll = torch.atan2(eyes[:, 1], eyes[:, 0])
    cos, sin = roll.cos(), roll.sin()
    to_canvas = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    unit = (eyes.norm(dim=-1) / INTER_OCULAR)[:, None, None]
    head = points @ to_canvas
    sign = head.new_tensor([-1.0, 1.0])
    centres, radii = _in_units(head, unit, layout)
    mirrored_centres, mirrored_radii = (
        torch.where(layout.is_paired, ellipses.flip(2), ellipses)
        for ellipses in _in_units(head[:, list(MIRRORED)] * sign, unit, layout)
    )
    centres, radii = (centres + mirrored_centres * sign) / 2, (radii + mirrored_radii) / 2
    centres = torch.einsum("nij,nuej->nuei", to_canvas, centres)
    return Regions(layout.aus, torch.cat([centres, radii], -1), roll, layout.shared)


def _in_units(
    head: Float[Tensor, "n 68 2"], unit: Float[Tensor, "n 1 1"], layout: _Layout
) -> tuple[Float[Tensor, "n u 2 2"], Float[Tensor, "n u 2 2"]]:
    """Return centres and half-axes of the ellipses on upright heads, lengths of the table in ``unit``."""
    x, y = head[:, layout.landmarks[0], 0], head[:, layout.landmarks[1], 1]
    centres = torch.stack([x.mean(-1) + layout.shift[0] * unit, y.mean(-1) + layout.shift[1] * unit], -1)
    box = torch.stack([x[..., 1] - x[..., 0], y[..., 1] - y[..., 0]], -1).abs()
    box[..., 1] += layout.taller * unit
    fitted = torch.maximum(box / 2, layout.least * unit[..., None])
    return centres, torch.where(layout.fitted, fitted, layout.radii * unit[..., None])


Geometry = Callable[[Float[Tensor, "n 68 2"]], Regions]

GEOMETRIES: dict[str, Geometry] = {"reference": reference, "scaled": scaled}


def load_geometry(name: str) -> Geometry:
    """Return a geometry by name.

    Raises:
        PluginError: the name is unknown.

    Examples:
        >>> load_geometry("scaled") is scaled
        True
    """
    if name not in GEOMETRIES:
        raise PluginError(f"unknown geometry '{name}'.{nearest(name, GEOMETRIES)} Known: {', '.join(GEOMETRIES)}.")
    return GEOMETRIES[name]
