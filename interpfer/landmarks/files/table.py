"""Landmarks in a text file: one line per image, 68 x and 68 y in pixels of the image.

The file is either as the reference code writes it, without a header and with all x before all y::

    train_00001.jpg,x1,...,x68,y1,...,y68

or CSV with a header that names the columns ``image``, ``x1`` to ``x68``, ``y1`` to ``y68`` in any order. ``inf``,
``nan`` or an empty cell marks a face that was not found.
"""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.types import LANDMARKS

COLUMNS = ("image", *(f"{axis}{i}" for axis in "xy" for i in range(1, LANDMARKS + 1)))
"""Columns in the order of a file without a header."""

MISSING_WORDS = ("", "none", "null")
"""Cells, in lower case, that mark a face that was not found, as do inf and nan."""


class LandmarkTable(NamedTuple):
    """The content of a landmark file.

    Attributes:
        rows: image name -> position in ``points``.
        points: (n, 68, 2) in pixels of each image; NaN for a face that was not found.
    """

    rows: dict[str, int]
    points: NDArray[np.float64]


def plain_name(name: str) -> str:
    """Return the name of an image with slashes for the backslashes of Windows."""
    return name.strip().replace("\\", "/").removeprefix("./")


def parse_landmarks(lines: Iterable[str], where: str) -> LandmarkTable:
    """Read the lines of a landmark file, one at a time.

    Args:
        lines: lines of the file.
        where: name of the file, for messages.

    Raises:
        DataError: a line is malformed; the message names it.

    Examples:
        >>> table = parse_landmarks(["a.jpg," + ",".join(["1"] * 68 + ["2"] * 68)], "landmarks.txt")
        >>> table.rows, table.points.shape, table.points[0, 0].tolist()
        ({'a.jpg': 0}, (1, 68, 2), [1.0, 2.0])
    """
    order: list[int] | None = None
    width, max_width = len(COLUMNS), len(COLUMNS)
    values = array("d")
    rows: dict[str, int] = {}
    numbers: list[int] = []
    has_lines = False
    for number, cells in read_cells(lines, where):
        if not has_lines and cells[0].strip().lower() in ("image", "name", "file", "filename", "id"):
            order, max_width = _read_header(cells, where), len(cells)
            width = max(order) + 1
            has_lines = True
            continue
        has_lines = True
        line = f"landmark file {where}, line {number}"
        if len(cells) < width or any(map(str.strip, cells[max_width:])):
            raise DataError(
                f"landmark file {where}, line {number}: expected {width} values (image, 68 x, 68 y), got {len(cells)}."
            )
        texts = cells[:width] if order is None else [cells[i] for i in order]
        face = _read_face(texts[1:], line)
        name = plain_name(texts[0])
        if (row := rows.get(name)) is not None:
            if not np.array_equal(face, values[row * len(face) : (row + 1) * len(face)], equal_nan=True):
                raise DataError(f"{line}: '{name}' has different landmarks on line {numbers[row]}.")
            continue
        rows[name] = len(numbers)
        numbers.append(number)
        values.extend(face)
    if not has_lines:
        raise DataError(f"landmark file {where} is empty.")
    points = np.frombuffer(values, np.float64).reshape(-1, 2, LANDMARKS) if rows else np.zeros((0, 2, LANDMARKS))
    return LandmarkTable(rows, points.transpose(0, 2, 1))


def read_cells(lines: Iterable[str], where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of every line that is not blank."""
    reader = csv.reader(lines)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"landmark file {where}, line {reader.line_num}: not a CSV line ({error}).") from error


def _read_header(cells: Sequence[str], where: str) -> list[int]:
    """Return the positions of ``COLUMNS`` in a header."""
    header = ["image", *(cell.strip().lower().replace("_", "") for cell in cells[1:])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"landmark file {where}: the header must name image, x1..x68, y1..y68; it lacks {', '.join(missing[:4])}."
        )
    return [header.index(name) for name in COLUMNS]


def _read_face(texts: Sequence[str], line: str) -> "array[float]":
    """Return the coordinates of a line; NaN if one of them is missing."""
    try:
        face = array("d", map(float, texts))
    except (ValueError, OverflowError):
        for text in texts:
            if not _is_coordinate(text):
                raise DataError(f"{line}: '{text.strip()}' is not a coordinate.") from None
        return NOT_FOUND
    return face if np.isfinite(face).all() else NOT_FOUND


def _is_coordinate(text: str) -> bool:
    """Return whether a cell is a number, or marks a face that was not found."""
    try:
        float(text)
    except (ValueError, OverflowError):
        return text.strip().lower() in MISSING_WORDS
    return True


NOT_FOUND = array("d", [np.nan] * (2 * LANDMARKS))
