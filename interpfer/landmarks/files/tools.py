"""Tables of landmarks by their header: OpenFace 2 and 3, py-feat, LibreFace, and any table with columns x_0, y_0, ...

All x may stand before all y, or x and y (and z) in turn; the numbers may begin at 0 or 1; further columns are ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.landmarks.files.faces import BestFaces
from interpfer.landmarks.files.rows import Header, Row, image_name, read_rows
from interpfer.landmarks.files.schemes import COUNTS

Points = NDArray[np.float64]

PATTERNS: Mapping[str, str] = {
    "x_0": r"{axis}_?(\d+)",  # OpenFace 2, py-feat, interpfer
    "lm_mp_0_x": r"lm_mp_(\d+)_{axis}",  # LibreFace
    "mesh_x_0": r"mesh_{axis}_(\d+)",  # py-feat 2, whose 68 points come first
}
"""Example of the name of a column -> pattern of the columns of an axis; the group is the number of the point."""

LISTS = "landmarks"
"""Column of OpenFace 3 whose cells are lists."""


@dataclass(frozen=True)
class PointColumns:
    """Where a table has the coordinates.

    Attributes:
        x: places of the columns, in order of the points.
        y: places of the columns, in order of the points.
        lists: place of a column of lists, in place of x and y.
    """

    x: tuple[int, ...] = ()
    y: tuple[int, ...] = ()
    lists: int | None = None

    def read(self, row: Row) -> Points | None:
        """Return the (k, 2) points of a row; None for a face that was not found.

        Raises:
            DataError: a cell is not a number, or a list is not one of points.
        """
        if self.lists is None:
            points = np.array([row.floats(places, "a coordinate") for places in (self.x, self.y)]).T
        else:
            values = row.numbers(self.lists, LISTS)
            if not values:
                return None
            try:
                points = np.array(values, np.float64)
            except (ValueError, TypeError, OverflowError):
                raise DataError(f"{row.where}: {LISTS} must be a list of points x, y.") from None
            points = points.reshape(-1, points.shape[-1] if points.ndim > 1 else 2)[:, :2]
        if len(points) not in COUNTS:
            raise DataError(f"{row.where}: expected {_counts()} landmarks, got {len(points)}.")
        return points if np.isfinite(points).all() else None


def point_columns(header: Header, where: str) -> PointColumns | None:
    """Return where a table has the coordinates of landmarks; None if it has none.

    Of a mesh and 68 points the 68 are taken; names in lower case come before the same ones in upper case, which are
    points in space in OpenFace.

    Raises:
        DataError: x and y are not of the same points, or of another number than is known.
    """
    for pattern in PATTERNS.values():
        x, y = (_numbered(header, pattern.format(axis=axis)) for axis in "xy")
        if not (x and y):
            continue
        if x.keys() != y.keys() or len(x) not in COUNTS or max(x) - min(x) != len(x) - 1 or min(x) > 1:
            raise DataError(
                f"{where}: the header must name x and y of {_counts()} landmarks; it has {len(x)} of x and {len(y)} "
                "of y."
            )
        return PointColumns(tuple(x[i] for i in sorted(x)), tuple(y[i] for i in sorted(y)))
    lists = header.find(LISTS)
    return None if lists is None or header.find("face_detection") is None else PointColumns(lists=lists)


def _numbered(header: Header, pattern: str) -> dict[int, int]:
    """Return number of a point -> place of its column."""
    for flags in (re.RegexFlag(0), re.IGNORECASE):
        found: dict[int, int] = {}
        for place, name in enumerate(header.names):
            if match := re.fullmatch(pattern, name, flags):
                found.setdefault(bounded_integer(match[1]), place)
        if found:
            return found
    return {}


def _counts() -> str:
    return f"{', '.join(map(str, COUNTS[:-1]))} or {COUNTS[-1]}"


def program_of(header: Header) -> str:
    """Return the program that writes such tables; "table" for any other."""
    names = {name.lower() for name in header.names}
    marks = {
        "OpenFace 3": {"face_detection", "action_units"},
        "OpenFace 2": {"confidence", "success"},
        "py-feat": {"facerectx"},
        "LibreFace": {"lm_mp_0_x"},
    }
    if {"face", "confidence"} <= names:
        return "OpenFace 2"
    return next((program for program, marked in marks.items() if marked <= names), "table")


def read_table(path: Path, default: str) -> tuple[dict[str, Points | None], str, list[str]]:
    """Read a table of landmarks.

    Args:
        path: the table.
        default: name of the image of a table that names none.

    Returns:
        Name of an image -> its (k, 2) points, None for a face that was not found; the program; the images with several
        faces.

    Raises:
        DataError: the table is malformed; the message names the line.
    """
    rows = read_rows(path)
    header = next(rows)
    assert isinstance(header, Header)
    columns = point_columns(header, f"landmark file {path}")
    if columns is None:
        raise DataError(f"landmark file {path}: the header names no landmarks, such as x_0, y_0, or x1, y1.")
    best: BestFaces[Points | None] = BestFaces(header, f"landmark file {path}")
    for row in rows:
        assert isinstance(row, Row)
        points = None if best.has_failed(row) else columns.read(row)
        best.add(image_name(row, header, default), row, points)
    return best.faces, program_of(header), best.several_faces()
