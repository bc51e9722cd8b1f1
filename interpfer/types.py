"""Values passed between the packages: frozen, batched, checked when created.

Coordinates are pixels, x to the right and y down, with the origin at the outer corner of the first pixel. Landmarks are
the 68 points of iBUG 300-W, counted from 0. An undefined map is NaN everywhere, and a mask says which ones are defined.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CANVAS = 224
"""Side in pixels of the square on which maps and heatmaps are compared."""

LANDMARKS = 68
"""Number of landmarks of a face."""


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    Attributes:
        id: name within the data set, as in landmark files and tables.
        label: canonical expression; "" if unknown.
        path: image file; None if the data set creates its images.
        subject: the person; None if unknown.
    """

    id: str
    label: str
    path: Path | None = None
    subject: str | None = None


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
class Landmarks:
    """68 points per face.

    Attributes:
        points: (n, 68, 2) as (x, y) pixels of the image; NaN for a face that was not found.
        found: (n,) whether all 68 points are finite.
        notes: n texts "reason: detail" on why a face was not found, or why it is doubtful; "" for no note. Empty if the
            provider writes no notes.
    """

    points: Float[Tensor, "n 68 2"]
    found: Bool[Tensor, " n"]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.notes and len(self.notes) != len(self.points):
            raise ValueError(f"notes must be one per face, got {len(self.notes)} for {len(self.points)} faces")

    @classmethod
    def of(cls, points: Float[Tensor, "n 68 2"], notes: tuple[str, ...] = ()) -> "Landmarks":
        """Return landmarks from raw points; a face with a non-finite coordinate counts as not found and becomes NaN."""
        found = points.isfinite().flatten(1).all(1)
        return cls(torch.where(found[:, None, None], points, torch.nan), found, notes)

    def to(self, device: torch.device) -> "Landmarks":
        """Return a copy on a device."""
        return Landmarks(self.points.to(device), self.found.to(device), self.notes)

    def __getitem__(self, rows: slice) -> "Landmarks":
        return Landmarks(self.points[rows], self.found[rows], self.notes[rows])

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
