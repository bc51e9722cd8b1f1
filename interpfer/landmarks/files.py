"""Landmarks from a text file: one line per image, 68 x and 68 y in pixels of the image.

The file is either as the reference code writes it, without a header and with all x before all y::

    train_00001.jpg,x1,...,x68,y1,...,y68

or CSV with a header that names the columns ``image``, ``x1`` to ``x68``, ``y1`` to ``y68`` in any order. ``inf``,
``nan`` or an empty cell marks a face that was not found.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.base import NO_FACE
from interpfer.types import LANDMARKS, Landmarks

COLUMNS = ("image", *(f"{axis}{i}" for axis in "xy" for i in range(1, LANDMARKS + 1)))
"""Columns in the order of a file without a header."""


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

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"landmark file not found: {path}.")
        content = path.read_bytes()
        self.path = path
        self.digest = hashlib.sha256(content).hexdigest()
        self._points = parse_landmarks(content.decode("utf-8-sig", "replace"), str(path))

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:  # noqa: ARG002
        """Return the points of each image by its name, or by its bare file name if the file lists no folders."""
        faces = [next((self._points[name] for name in _aliases(key) if name in self._points), None) for key in ids]
        missing = np.full((LANDMARKS, 2), np.nan)
        points = np.array([missing if face is None else face for face in faces]).reshape(-1, LANDMARKS, 2)
        example = next(iter(self._points), "none")
        absent = f"not in the landmark file: {self.path.name} has names such as {example}"
        notes = (
            absent if face is None else f"{NO_FACE}: according to {self.path.name}" if np.isnan(face).any() else ""
            for face in faces
        )
        return Landmarks.of(torch.from_numpy(points), tuple(notes))


def _aliases(key: str) -> tuple[str, ...]:
    """Return the names of an image in a file; RAF-DB lists train_1.jpg for the picture train_1_aligned.jpg."""
    path = PurePosixPath(key)
    return key, path.name, f"{path.stem}_aligned{path.suffix}"


def parse_landmarks(text: str, where: str) -> dict[str, NDArray[np.float64]]:
    """Read the lines of a landmark file.

    Args:
        text: content of the file.
        where: name of the file, for messages.

    Returns:
        image name -> (68, 2) points; NaN for a face that was not found.

    Raises:
        DataError: a line is malformed; the message names it.
    """
    rows = list(csv.reader(text.splitlines()))
    numbers = [index for index, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    rows = [[cell.strip() for cell in rows[number - 1]] for number in numbers]
    if not rows:
        raise DataError(f"landmark file {where} is empty.")
    order = list(range(len(COLUMNS)))
    max_width = len(COLUMNS)
    if rows[0][0].lower() in ("image", "name", "file", "filename", "id"):
        header = ["image", *(cell.lower().replace("_", "") for cell in rows[0][1:])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise DataError(
                f"landmark file {where}: the header must name image, x1..x68, y1..y68; "
                f"it lacks {', '.join(missing[:4])}."
            )
        order = [header.index(name) for name in COLUMNS]
        max_width = len(header)
        rows, numbers = rows[1:], numbers[1:]
    width = max(order) + 1
    for number, row in zip(numbers, rows, strict=True):
        if len(row) < width or any(row[max_width:]):
            raise DataError(
                f"landmark file {where}, line {number}: expected {width} values (image, 68 x, 68 y), got {len(row)}."
            )
    names = [row[order[0]] for row in rows]
    table = pd.DataFrame([[row[i] for i in order[1:]] for row in rows], index=numbers)
    values = table.replace("", "nan").apply(pd.to_numeric, errors="coerce")
    is_invalid = (values.isna() & ~table.isin(["", "nan", "NaN", "NAN", "None", "null"])).to_numpy()
    if is_invalid.any():
        number, column = next((n, c) for n, c in zip(*np.nonzero(is_invalid), strict=True))
        raise DataError(
            f"landmark file {where}, line {numbers[number]}: '{rows[number][order[column + 1]]}' is not a coordinate."
        )
    points = values.to_numpy(np.float64).reshape(-1, 2, LANDMARKS).transpose(0, 2, 1)
    points = np.where(np.isfinite(points).all((1, 2), keepdims=True), points, np.nan)
    faces: dict[str, NDArray[np.float64]] = {}
    for number, name, face in zip(numbers, names, points, strict=True):
        if not np.array_equal(faces.setdefault(name, face), face, equal_nan=True):
            first = numbers[names.index(name)]
            raise DataError(f"landmark file {where}, line {number}: '{name}' has different landmarks on line {first}.")
    return faces
