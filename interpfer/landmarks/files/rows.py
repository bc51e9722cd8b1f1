"""Rows of the tables that programs write: read one at a time, by the names in their header."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.landmarks.files.table import plain_name

IMAGE_COLUMNS = ("image", "input", "file", "filename", "image_path", "img_path", "name")
"""Columns that may name the image, in lower case; the first one that there is does."""

LONGEST_CELL = 100_000
"""Most characters of a cell that holds a list."""

LIST_CHARACTERS = re.compile(r"[\[\]\s0-9.,eE+\-]*")


@dataclass(frozen=True)
class Header:
    """Names of the columns of a table.

    Attributes:
        names: as written, without blanks around them.
    """

    names: tuple[str, ...]

    def find(self, name: str) -> int | None:
        """Return the place of a column: written exactly so, else in any case; None if there is none."""
        if name in self.names:
            return self.names.index(name)
        lower = [each.lower() for each in self.names]
        return lower.index(name.lower()) if name.lower() in lower else None

    @cached_property
    def image(self) -> int | None:
        """The place of the column that names the image; None if there is none."""
        return next((place for name in IMAGE_COLUMNS if (place := self.find(name)) is not None), None)


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        where: file and line, for messages.
        cells: as written.
    """

    where: str
    cells: Sequence[str]

    def text(self, place: int | None) -> str:
        """Return a cell without blanks around it; "" without a column."""
        return "" if place is None else self.cells[place].strip()

    def number(self, place: int | None, name: str) -> float:
        """Return a number; NaN for an empty cell or none.

        Raises:
            DataError: the cell is not a number.
        """
        text = self.text(place)
        if text.lower() in ("", "none", "null", "nan"):
            return math.nan
        try:
            return float(text)
        except (ValueError, OverflowError):
            raise DataError(f"{self.where}: {name} must be a number, got '{text[:40]}'.") from None

    def floats(self, places: Sequence[int], name: str) -> list[float]:
        """Return the numbers of several cells; NaN for an empty one.

        Raises:
            DataError: a cell is not a number.
        """
        try:
            return [float(self.cells[place]) for place in places]
        except (ValueError, OverflowError):
            return [self.number(place, name) for place in places]

    def numbers(self, place: int | None, name: str) -> list[Any]:
        """Return a cell that holds a Python list of numbers or lists; an empty list for an empty cell or None.

        Raises:
            DataError: the cell is no list of numbers.
        """
        text = self.text(place)
        if text.lower() in ("", "none", "nan"):
            return []
        plain = text.replace("(", "[").replace(")", "]")
        try:
            if len(text) > LONGEST_CELL or not LIST_CHARACTERS.fullmatch(plain):
                raise ValueError
            value = parse_json(plain)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, list):
            raise DataError(f"{self.where}: {name} must be a list of numbers, got '{text[:40]}'.")
        return value


def open_text(path: Path) -> TextIO:
    """Open a file of text; a byte order mark is skipped, other encodings do not stop it."""
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def read_rows(path: Path) -> Iterator[Header | Row]:
    """Yield the header of a table, then its rows.

    Raises:
        DataError: it is no table, it has no header, or a row has more or fewer cells than the header.
    """
    with open_text(path) as lines:
        first = lines.readline()
        lines.seek(0)
        reader = csv.reader(lines, delimiter="\t" if "\t" in first else ",", skipinitialspace=True)
        header: Header | None = None
        try:
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                if header is None:
                    header = Header(tuple(map(str.strip, cells)))
                    yield header
                    continue
                while len(cells) > len(header.names) and not cells[-1].strip():
                    cells.pop()
                where = f"{path}, line {reader.line_num}"
                if len(cells) != len(header.names):
                    raise DataError(f"{where}: expected {len(header.names)} values, got {len(cells)}.")
                yield Row(where, cells)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not a table ({error}).") from error
    if header is None:
        raise DataError(f"{path} is empty.")


def image_name(row: Row, header: Header, default: str) -> str:
    """Return the name of the image of a row: its cell; ``default`` without a column of names.

    Raises:
        DataError: the cell is empty.
    """
    if header.image is None:
        return default
    name = plain_name(row.text(header.image))
    if not name:
        raise DataError(f"{row.where}: the name of the image is missing.")
    return name
