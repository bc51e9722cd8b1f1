"""What a file of landmarks holds, whatever its form."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpfer.landmarks.files.table import LandmarkTable
from interpfer.types import LANDMARKS

UNTOUCHED = "68 points, pixels"
"""Description of a file whose points are taken as written."""


@dataclass(frozen=True)
class LandmarkContent:
    """68 points of images.

    Attributes:
        table: points by name of the image; as fractions of the picture where ``is_fraction``.
        form: program or data set that the file is of, its number of points and their unit.
        is_fraction: whether x and y are shares of the width and height of the picture.
        notes: what a reader of scores with these points has to know, a line each.
    """

    table: LandmarkTable
    form: str = UNTOUCHED
    is_fraction: bool = False
    notes: tuple[str, ...] = ()


def collect(faces: Iterable[tuple[str, NDArray[np.float64] | None]]) -> LandmarkTable:
    """Return the table of (name, (68, 2) points or None for a face that was not found)."""
    missing = np.full((LANDMARKS, 2), np.nan)
    found = {name: missing if face is None or not np.isfinite(face).all() else face for name, face in faces}
    points = np.stack(list(found.values())) if found else np.zeros((0, LANDMARKS, 2))
    return LandmarkTable({name: row for row, name in enumerate(found)}, points)
