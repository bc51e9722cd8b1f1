"""Landmarks from a text file: one line per image, 68 x and 68 y in pixels of the image.

The file is either as the reference code writes it, without a header and with all x before all y::

    train_00001.jpg,x1,...,x68,y1,...,y68

or CSV with a header that names the columns ``image``, ``x1`` to ``x68``, ``y1`` to ``y68`` in any order. ``inf``,
``nan`` or an empty cell marks a face that was not found.
"""

import csv
import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.reasons import NO_FACE
from interpfer.types import LANDMARKS, Landmarks

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


class FileLandmarks:
    """Landmarks read from a file, by image name.

    Args:
        path: the file.

    Raises:
        DataError: the file does not exist, or a line is malformed; the message names the line.
    """

    name: ClassVar[str] = "file"
    summary: ClassVar[str] = "text file with one line image,x1..x68,y1..y68 per image, with or without a header"
    needs_images: ClassVar[bool] = False

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.is_file():
            raise DataError(f"landmark file not found: {path}.")
        self.path = path
        with path.open("rb") as content:
            self.digest = hashlib.file_digest(content, "sha256").hexdigest()
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            self._table = parse_landmarks(lines, str(path))

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:  # noqa: ARG002
        """Return the points of each image by its name.

        The file may list an image without its folders, or with more of them where only one name in the file ends so.
        """
        rows = [self._row(key) for key in ids]
        points = np.full((len(ids), LANDMARKS, 2), np.nan)
        for place, row in enumerate(rows):
            if row is not None:
                points[place] = self._table.points[row]
        example = next(iter(self._table.rows), "none")
        absent = f"not in the landmark file: {self.path.name} has names such as {example}"
        notes = (
            absent if row is None else f"{NO_FACE}: according to {self.path.name}" if np.isnan(face).any() else ""
            for row, face in zip(rows, points, strict=True)
        )
        return Landmarks.of(torch.from_numpy(points), tuple(notes))

    def require_unambiguous(self, ids: Sequence[str]) -> None:
        """Check that no line of the file stands for several images.

        Raises:
            DataError: the file names an image without its folder, and images of several folders have this name.
        """
        first: dict[int, str] = {}
        for key in ids:
            row = self._row(key)
            if row is not None and (other := first.setdefault(row, key)) != key:
                name = next(name for name, place in self._table.rows.items() if place == row)
                raise DataError(
                    f"landmark file {self.path}: '{name}' stands for several images, such as {other} and {key}; "
                    "name the images with their folders."
                )

    def equal_points(self, ids: Sequence[str]) -> list[list[int]]:
        """Return the positions in ``ids`` of images with exactly the same points, one list per group of two or more."""
        groups: dict[bytes, list[int]] = {}
        for place, key in enumerate(ids):
            row = self._row(key)
            if row is not None and not np.isnan(self._table.points[row, 0, 0]):
                digest = hashlib.blake2b(self._table.points[row].tobytes(), digest_size=16).digest()
                groups.setdefault(digest, []).append(place)
        return [group for group in groups.values() if len(group) > 1]

    def _row(self, key: str) -> int | None:
        """Return the position of an image in the table; None if the file does not list it."""
        rows = self._table.rows
        if (row := rows.get(key)) is not None:
            return row
        for name in _aliases(key):
            if (row := rows.get(name)) is not None:
                return row
        plain = _plain(key)
        longer = [name for name in self._by_file_name.get(PurePosixPath(plain).name, ()) if name.endswith(f"/{plain}")]
        return rows[longer[0]] if len(longer) == 1 else None

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        """File name -> names in the file that have folders."""
        names: dict[str, list[str]] = {}
        for name in self._table.rows:
            if "/" in name:
                names.setdefault(name.rpartition("/")[2], []).append(name)
        return names


def _aliases(key: str) -> list[str]:
    """Return the names of an image in a file; RAF-DB lists train_1.jpg for the picture train_1_aligned.jpg.

    Examples:
        >>> _aliases("happy/1.jpg")
        ['happy/1.jpg', '1.jpg', '1_aligned.jpg']
    """
    parts = _plain(key).split("/")
    path = PurePosixPath(parts[-1])
    return [*("/".join(parts[i:]) for i in range(len(parts))), f"{path.stem}_aligned{path.suffix}"]


def _plain(name: str) -> str:
    """Return a name with slashes for the backslashes of Windows."""
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
    for number, cells in _read_cells(lines, where):
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
        name = _plain(texts[0])
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


def _read_cells(lines: Iterable[str], where: str) -> Iterator[tuple[int, list[str]]]:
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
    except ValueError:
        for text in texts:
            if not _is_coordinate(text):
                raise DataError(f"{line}: '{text.strip()}' is not a coordinate.") from None
        return NOT_FOUND
    return face if np.isfinite(face).all() else NOT_FOUND


def _is_coordinate(text: str) -> bool:
    """Return whether a cell is a number, or marks a face that was not found."""
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in MISSING_WORDS
    return True


NOT_FOUND = array("d", [np.nan] * (2 * LANDMARKS))
