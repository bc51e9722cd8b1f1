"""Tables with columns of action units: OpenFace 2, LibreFace, py-feat, OpenGraphAU, or AU1, AU2, ... of any source."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interpfer.au.files.evidence import NO_CODE, Evidence
from interpfer.au.orders import LARGEST_AU
from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.landmarks.files.rows import Header, Row


@dataclass(frozen=True)
class Kind:
    """A kind of columns of action units.

    Attributes:
        pattern: of the name of a column; its group ``au`` is the FACS number, ``side`` L or R of the person.
        program: that writes such columns; "" if several do.
        scale: largest value of an intensity or score; None where the column holds presence, 0 or 1.
        least: smallest value of a present unit, where no other column holds its presence.
    """

    pattern: re.Pattern[str]
    program: str
    scale: float | None
    least: float


def _kind(pattern: str, program: str, scale: float | None, least: float) -> Kind:
    return Kind(re.compile(pattern, re.IGNORECASE), program, scale, least)


KINDS = (
    _kind(r"AU0*(?P<au>\d+)_c", "OpenFace 2", None, 1),
    _kind(r"AU0*(?P<au>\d+)_r", "OpenFace 2", 5, 1),
    _kind(r"au_(?P<au>\d+)", "LibreFace", None, 1),
    _kind(r"au_(?P<au>\d+)_intensity", "LibreFace", 5, 1),
    _kind(r"AU ?0*(?P<au>\d+)", "", 1, 0.5),
    _kind(r"AU ?(?P<side>[LR])0*(?P<au>\d+)", "OpenGraphAU", 1, 0.5),
)

BARE_SIDES = _kind(r"(?P<side>[LR])0*(?P<au>\d+)", "OpenGraphAU", 1, 0.5)
"""Columns such as L12, which count only beside others of action units."""

RULES = {
    "OpenFace 2": "AU_c; without it AU_r of at least 1 of 5",
    "LibreFace": "au; without it au_intensity of at least 1 of 5",
    "py-feat": "score of at least 0.5",
    "OpenGraphAU": "score of at least 0.5",
    "table": "value of at least 0.5",
}
"""Program -> what decides whether a unit is present."""

PICTURE_SIDE = {"L": "right", "R": "left"}
"""Side of the person -> side of the picture."""


@dataclass(frozen=True)
class AUColumn:
    """A column of an action unit.

    Attributes:
        place: of the column.
        name: as written.
        au: FACS number.
        side: side of the picture; None for both.
        kind: its kind.
    """

    place: int
    name: str
    au: int
    side: str | None
    kind: Kind

    def read(self, row: Row) -> Evidence:
        """Return what a row says; neither presence nor grade where the cell is empty or says "not coded".

        Raises:
            DataError: the cell is not a number, or out of range.
        """
        value, scale = row.number(self.place, self.name), self.kind.scale
        if math.isnan(value) or (scale in (None, 1) and value in NO_CODE):
            return Evidence(self.au, side=self.side)
        if scale is None and value not in (0, 1):
            raise DataError(f"{row.where}: {self.name} must be 0 or 1, got {value:g}.")
        if scale is None:
            return Evidence(self.au, presence=value, side=self.side)
        if not 0 <= value <= scale:
            hint = "; name columns AU1_r for intensities from 0 to 5" if scale == 1 else ""
            raise DataError(f"{row.where}: {self.name} must be between 0 and {scale:g}, got {value:g}{hint}.")
        return Evidence(self.au, grade=value / scale, least=self.kind.least / scale, side=self.side)


class ColumnReader:
    """Reads the columns of action units of a table.

    Args:
        columns: at least one.
        header: of the table.

    Attributes:
        program: what wrote the table.
        rule: what decides whether a unit is present.
    """

    def __init__(self, columns: list[AUColumn], header: Header) -> None:
        self._columns = columns
        programs = {column.kind.program for column in columns} - {""}
        if not programs and header.find("FaceScore") is not None:
            programs = {"py-feat"}
        self.program = next(iter(programs)) if len(programs) == 1 else "table"
        self.rule = RULES[self.program]

    def __call__(self, row: Row) -> Iterator[Evidence]:
        """Yield what a row says of each action unit.

        Raises:
            DataError: a cell is not a number, or out of range.
        """
        return (column.read(row) for column in self._columns)


def find_columns(header: Header, path: Path) -> list[AUColumn]:
    """Return the columns of action units of a table.

    Raises:
        DataError: a column is of an action unit that is none.
    """
    found = [column for place, name in enumerate(header.names) if (column := _column(place, name, KINDS, path))]
    if not found:
        return []
    bare = (_column(place, name, (BARE_SIDES,), path) for place, name in enumerate(header.names))
    return found + [column for column in bare if column]


def _column(place: int, name: str, kinds: tuple[Kind, ...], path: Path) -> AUColumn | None:
    for kind in kinds:
        if match := kind.pattern.fullmatch(name):
            number = bounded_integer(match["au"])
            if not 1 <= number <= LARGEST_AU:
                raise DataError(f"{path}: column {name}: an AU must be between 1 and {LARGEST_AU}.")
            side = match.groupdict().get("side")
            return AUColumn(place, name, number, PICTURE_SIDE[side.upper()] if side else None, kind)
    return None
