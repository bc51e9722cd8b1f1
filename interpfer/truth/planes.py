"""The planes that the truths of faces are unions of: one for each action unit that is present on a face."""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.au.codebook import ActionUnit
from interpfer.au.drawing import draw_each
from interpfer.types import CANVAS, Landmarks

PREFIX = "AU"
"""Begins the name of a plane: AU12."""


def plane_name(au: int) -> str:
    """Return the name of the plane of an action unit, as tables have it."""
    return f"{PREFIX}{au}"


def plane_au(name: str) -> int:
    """Return the FACS number in the name of a plane."""
    return int(name.removeprefix(PREFIX))


MASK_LEVEL = 0.5
"""A pixel belongs to the mask of a plane where it reaches this value."""


class MaskPixels(NamedTuple):
    """The pixels in the masks of planes, one plane after the other.

    Attributes:
        place: of each pixel, in the flattened maps of all n faces.
        plane: number of its plane.
    """

    place: Int[Tensor, " k"]
    plane: Int[Tensor, " k"]


@dataclass(frozen=True)
class Planes:
    """What is drawn on n faces, part by part.

    Several parts of a face that are drawn alike, such as AU 23 and AU 24, share one of the q planes.

    Attributes:
        maps: (q, S, S) in [0, 1], each what the truth of the face would be if it had this part alone.
        face: (q,) row of the face, ascending.
        plane: (p,) plane of each part of a face.
        names: of the p parts, such as "AU12".
    """

    maps: Float[Tensor, "q S S"]
    face: Int[Tensor, " q"]
    plane: Int[Tensor, " p"]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (len(self.maps) == len(self.face) and len(self.plane) == len(self.names)):
            raise ValueError(
                f"{len(self.maps)} planes of {len(self.face)} faces, or {len(self.plane)} parts of "
                f"{len(self.names)} names, differ"
            )

    def of(self, names: Sequence[str]) -> "Planes":
        """Return the parts of these names, each with a plane of its own, face by face."""
        kept = [place for place, name in enumerate(self.names) if name in names]
        planes = self.plane[kept]
        of_pair = torch.arange(len(kept), device=self.plane.device)
        return Planes(self.maps[planes], self.face[planes], of_pair, tuple(self.names[place] for place in kept))

    @cached_property
    def mask(self) -> MaskPixels:
        """The pixels at ``MASK_LEVEL`` or above."""
        rows, columns = self._window
        side = self.maps.shape[-1]
        plane, row, column = (self.maps[:, rows, columns] >= MASK_LEVEL).nonzero(as_tuple=True)
        place = (self.face[plane] * side + row + rows.start) * side + column + columns.start
        return MaskPixels(place, plane)

    @cached_property
    def _window(self) -> tuple[slice, slice]:
        """Rows and columns outside of which all planes are 0."""
        whole = (self.maps > 0).any(0)
        ends = (torch.where(whole.any(1 - side))[0] for side in (0, 1))
        rows, columns = (slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 1) for at in ends)
        return rows, columns

    @cached_property
    def _of_faces(self) -> list[tuple[int, Tensor]]:
        """Of each face with planes its row, and what of them lies in the window, flattened."""
        rows, columns = self._window
        cut = self.maps[:, rows, columns].flatten(1)
        faces, counts = torch.unique_consecutive(self.face, return_counts=True)
        ends = counts.cumsum(0).tolist()
        parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        return [(face, cut[part]) for face, part in zip(faces.tolist(), parts, strict=True)]

    def multiply(self, maps: Float[Tensor, "n S S"]) -> Float[Tensor, " q"]:
        """Return the sum over pixels of each plane times the map of its face."""
        if self._last and self._last[0][0]() is maps and self._last[0][1] == maps._version:
            return self._last[0][2]
        rows, columns = self._window
        cut = maps[:, rows, columns].flatten(1)
        products = [own @ cut[face] for face, own in self._of_faces]
        result = torch.cat(products) if products else maps.new_zeros(0)
        self._last[:] = [(weakref.ref(maps), maps._version, result)]
        return result

    @cached_property
    def _last(self) -> list[tuple["weakref.ref[Tensor]", int, Tensor]]:
        """The last maps that were multiplied, and the result: several metrics need the same."""
        return []


def draw_planes(
    landmarks: Landmarks, units: Sequence[Mapping[int, Sequence[ActionUnit]]], geometry: str, normalise: bool
) -> Planes:
    """Draw the action units of n faces, each alone; those outside the picture are left out.

    Args:
        landmarks: on the canvas.
        units: of each face, FACS number -> what is drawn for it; more than one for sides of different intensity.
        geometry: name.
        normalise: as for the truth of the face.
    """
    wanted: dict[tuple[int, tuple[ActionUnit, ...]], int] = {}
    parts: list[tuple[int, str]] = []
    for face, of_face in enumerate(units):
        for au in sorted(of_face):
            parts.append((wanted.setdefault((face, tuple(of_face[au])), len(wanted)), plane_name(au)))
    maps, valid = draw_each(landmarks.points, list(wanted), CANVAS, geometry, normalise)
    faces = torch.tensor([face for face, _ in wanted], dtype=torch.long, device=maps.device)
    if not bool(valid.all()):
        is_drawn, number = valid.tolist(), (valid.cumsum(0) - 1).tolist()
        parts = [(number[plane], name) for plane, name in parts if is_drawn[plane]]
        maps, faces = maps[valid], faces[valid]
    plane = torch.tensor([place for place, _ in parts], dtype=torch.long, device=maps.device)
    return Planes(maps, faces, plane, tuple(name for _, name in parts))
