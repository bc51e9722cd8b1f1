"""The values that travel from one room to the next: frozen, batched, checked when made.

Coordinates are pixels, x to the right and y down, counted from the outer corner of the first pixel. Landmarks follow
the 68 points of iBUG 300-W, 0-based. A map or heatmap that is undefined is NaN all over, and a mask beside it says so.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CANVAS = 224
"""Side in pixels of the square on which maps and heatmaps are compared."""

LANDMARKS = 68


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    Attributes:
        id: its name within the data set; landmark files and tables use it.
        label: canonical expression, or "" where it is unknown.
        path: the file, or None where the data set makes its images itself.
        subject: the person, where the data set knows it.
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
        labels: (n,) index into ``classes``; -1 where the label is unknown.
        classes: canonical names.
    """

    ids: tuple[str, ...]
    images: Float[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.images) == len(self.labels):
            raise ValueError(f"{len(self.ids)} ids, {len(self.images)} images and {len(self.labels)} labels differ")


@dataclass(frozen=True)
class Landmarks:
    """68 points per face.

    Attributes:
        points: (n, 68, 2) as (x, y) pixels of the image; NaN where none were found.
        found: (n,) whether all 68 points are finite.
        notes: n texts "reason: detail": why a face was not found, or what is doubtful about one that was; "" for
            nothing to say. Without any, where the provider says nothing.
    """

    points: Float[Tensor, "n 68 2"]
    found: Bool[Tensor, " n"]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.notes and len(self.notes) != len(self.points):
            raise ValueError(f"{len(self.notes)} notes for {len(self.points)} faces")

    @classmethod
    def of(cls, points: Float[Tensor, "n 68 2"], notes: tuple[str, ...] = ()) -> "Landmarks":
        """Wrap raw points; a face with any non-finite coordinate counts as not found and becomes NaN."""
        found = points.isfinite().flatten(1).all(1)
        return cls(torch.where(found[:, None, None], points, torch.nan), found, notes)

    def to(self, device: torch.device) -> "Landmarks":
        """Return them on a device."""
        return Landmarks(self.points.to(device), self.found.to(device), self.notes)

    def __getitem__(self, rows: slice) -> "Landmarks":
        return Landmarks(self.points[rows], self.found[rows], self.notes[rows])

    def note(self, row: int) -> str:
        """Return the note on a face, "" for none."""
        return self.notes[row] if self.notes else ""


@dataclass(frozen=True)
class AUHeatmaps:
    """One plane per action unit and face.

    Attributes:
        aus: the u FACS numbers of the planes, in order; a plane keeps its AU even where it could not be drawn.
        maps: (n, u, S, S) in [0, 1].
        drawn: (n, u) whether the AU was drawn at all inside the image.
    """

    aus: tuple[int, ...]
    maps: Float[Tensor, "n u S S"]
    drawn: Bool[Tensor, "n u"]

    def __post_init__(self) -> None:
        if len(self.aus) != self.maps.shape[1]:
            raise ValueError(f"{len(self.aus)} action units for {self.maps.shape[1]} planes")
