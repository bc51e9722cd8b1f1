"""Values passed between the packages: frozen, batched, checked when created.

Coordinates are pixels, x to the right and y down, with the origin at the outer corner of the first pixel. Landmarks are
the 68 points of iBUG 300-W, counted from 0. An undefined map is NaN everywhere, and a mask says which ones are defined.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CANVAS = 224
"""Side in pixels of the square on which maps and heatmaps are compared."""

LANDMARKS = 68
"""Number of landmarks of a face."""

OTHER_SIDE: Mapping[str | None, str | None] = {"left": "right", "right": "left", None: None}
"""Side of the picture -> that of the mirrored picture; side of the person -> that of the picture, and back."""


@dataclass(frozen=True)
class CodedAU:
    """An action unit that was seen on a face.

    Attributes:
        au: FACS number.
        intensity: in (0, 1]; NaN where it was not graded.
        side: side of the picture, "left" or "right"; None for both.
    """

    au: int
    intensity: float = math.nan
    side: str | None = None


@dataclass(frozen=True)
class CodedAUs:
    """What a coder, or a program, saw on a face.

    Attributes:
        active: action units that are present.
        coded: FACS numbers that were looked for; None for all. What is looked for and not active is absent; of any
            other number nothing is known.
    """

    active: tuple[CodedAU, ...]
    coded: frozenset[int] | None = None

    def is_present(self, au: int) -> bool | None:
        """Return whether an action unit is present; None where it was not coded.

        Examples:
            >>> seen = CodedAUs((CodedAU(12),), frozenset({4, 12}))
            >>> seen.is_present(12), seen.is_present(4), seen.is_present(6)
            (True, False, None)
        """
        if any(unit.au == au for unit in self.active):
            return True
        return False if self.coded is None or au in self.coded else None

    def at_least(self, threshold: float) -> "CodedAUs":
        """Return a copy where weaker units are absent; those without a grade stay."""
        kept = tuple(unit for unit in self.active if not unit.intensity < threshold)
        return replace(self, active=kept)

    def mirrored(self) -> "CodedAUs":
        """Return what is seen on the mirrored picture: left and right are swapped."""
        return replace(self, active=tuple(replace(unit, side=OTHER_SIDE[unit.side]) for unit in self.active))


_NONE: Mapping[str, str] = {}
"""Attributes of every sample without any, as an empty dictionary for each of a million would be 64 MB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    Attributes:
        id: name within the data set, as in landmark files and tables.
        label: canonical name of its class; "" if unknown.
        path: image file; None if the data set creates its images.
        subject: the person; None if unknown.
        aus: action units that were seen on this face; None if nobody coded them.
        attributes: what else the data set states of the image: column -> text.
        clip: the clip that the image is a frame of; "" for a picture of its own.
        frame: index of the image in its clip, from 0; None for a picture of its own.
    """

    id: str
    label: str
    path: str | Path | None = None
    subject: str | None = None
    aus: CodedAUs | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    clip: str = ""
    frame: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.path, str):
            object.__setattr__(self, "path", Path(self.path))
        if not self.attributes:
            object.__setattr__(self, "attributes", _NONE)


@dataclass(frozen=True)
class Faces:
    """A batch of face images.

    Attributes:
        ids: n names, unique within a data set.
        images: (n, 3, h, w) RGB in [0, 1].
        labels: (n,) indices into ``classes``; -1 if unknown.
        classes: canonical names.
    """

    ids: tuple[str, ...]
    images: Float[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.images) == len(self.labels):
            raise ValueError(
                "ids, images and labels must be equally many, "
                f"got {len(self.ids)}, {len(self.images)} and {len(self.labels)}"
            )


@dataclass(frozen=True)
class Placement:
    """Where pictures lie on the canvas, for a truth that is given in pixels of the picture.

    Attributes:
        transforms: (n, 2, 3) from pixels (x, y) of each picture to pixels of the canvas; one that mirrors moves what is
            drawn on the picture with it.
        sizes: n (width, height) of the pictures; (0, 0) if unknown.
    """

    transforms: Float[Tensor, "n 2 3"]
    sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if len(self.transforms) != len(self.sizes):
            raise ValueError(f"transforms and sizes differ: {len(self.transforms)} and {len(self.sizes)}")

    def __getitem__(self, rows: slice) -> "Placement":
        return Placement(self.transforms[rows], self.sizes[rows])


@dataclass(frozen=True)
class Landmarks:
    """68 points per face.

    Attributes:
        points: (n, 68, 2) as (x, y) pixels of the image; NaN for a face that was not found.
        found: (n,) whether all 68 points are finite.
        notes: n texts "reason: detail" on why a face was not found, or why it is doubtful; "" for no note. Empty if the
            provider writes no notes.
        placement: where the n pictures lie on the canvas, of landmarks on the canvas; None where it is not known.
    """

    points: Float[Tensor, "n 68 2"]
    found: Bool[Tensor, " n"]
    notes: tuple[str, ...] = ()
    placement: Placement | None = None

    def __post_init__(self) -> None:
        if self.notes and len(self.notes) != len(self.points):
            raise ValueError(f"notes must be one per face, got {len(self.notes)} for {len(self.points)} faces")

    @classmethod
    def of(
        cls, points: Float[Tensor, "n 68 2"], notes: tuple[str, ...] = (), placement: Placement | None = None
    ) -> "Landmarks":
        """Return landmarks from raw points; a face with a non-finite coordinate counts as not found and becomes NaN."""
        found = points.isfinite().flatten(1).all(1)
        return cls(torch.where(found[:, None, None], points, torch.nan), found, notes, placement)

    def to(self, device: torch.device) -> "Landmarks":
        """Return a copy on a device; where pictures lie is only asked for on the CPU."""
        return Landmarks(self.points.to(device), self.found.to(device), self.notes, self.placement)

    def __getitem__(self, rows: slice) -> "Landmarks":
        placement = None if self.placement is None else self.placement[rows]
        return Landmarks(self.points[rows], self.found[rows], self.notes[rows], placement)

    def note(self, row: int) -> str:
        """Return the note on a face; "" for none."""
        return self.notes[row] if self.notes else ""


@dataclass(frozen=True)
class AUHeatmaps:
    """One plane per action unit and face.

    Attributes:
        aus: u FACS numbers, one per plane; a plane keeps its number even if it could not be drawn.
        maps: (n, u, S, S) in [0, 1]; NaN where not drawn.
        drawn: (n, u) whether any part of the AU lies inside the image.
    """

    aus: tuple[int, ...]
    maps: Float[Tensor, "n u S S"]
    drawn: Bool[Tensor, "n u"]

    def __post_init__(self) -> None:
        if len(self.aus) != self.maps.shape[1]:
            raise ValueError(f"planes must be one per action unit, got {self.maps.shape[1]} for {len(self.aus)}")
