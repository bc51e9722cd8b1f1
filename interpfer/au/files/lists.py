"""Action units in lists: cells of OpenFace 3, scores without a header, and the JSON lines of FMAE."""

import math
from collections.abc import Iterator
from pathlib import Path

from interpfer.au.files.columns import PICTURE_SIDE
from interpfer.au.files.evidence import NO_CODE, Evidence
from interpfer.au.orders import AU_ORDERS, LARGEST_AU
from interpfer.errors import DataError
from interpfer.files import CsvRows, parse_json
from interpfer.landmarks.files.rows import Header, Row, open_text
from interpfer.landmarks.files.table import plain_name
from interpfer.types import CodedAU, CodedAUs

OPENFACE_3 = "action_units"
"""Column of OpenFace 3 whose cells are lists."""

OPENFACE_3_NOTE = (
    "OpenFace 3 does not name its action units: the order 1, 2, 4, 6, 9, 12, 25, 26 of its demo and presence from 0.5 "
    "are assumed"
)

SIDED = (1, 2, 4, 6, 10, 12, 14)
"""Action units of OpenGraphAU that it also scores by side, each left and then right of the person."""

OPENGRAPHAU: tuple[tuple[int, str | None], ...] = (
    *((au, None) for au in AU_ORDERS["opengraphau27"]),
    *((au, PICTURE_SIDE[side]) for au in SIDED for side in "LR"),
)
"""FACS number and side of the picture of the 41 outputs of OpenGraphAU, in order."""


class ListReader:
    """Reads the column ``action_units`` of OpenFace 3: 8 numbers per face, in one or two pairs of brackets.

    Args:
        place: of the column.
    """

    program = "OpenFace 3"
    rule = "value of at least 0.5 (assumed)"

    def __init__(self, place: int) -> None:
        self._place = place

    def __call__(self, row: Row) -> Iterator[Evidence]:
        """Yield what a row says of each action unit; nothing for a picture without a face.

        Raises:
            DataError: the cell does not hold 8 numbers between -1 and 1.
        """
        values = row.numbers(self._place, OPENFACE_3)
        while len(values) == 1 and isinstance(values[0], list):
            values = values[0]
        order = AU_ORDERS["openface3"]
        if values and (len(values) != len(order) or not all(isinstance(value, int | float) for value in values)):
            raise DataError(f"{row.where}: {OPENFACE_3} must be a list of {len(order)} numbers.")
        for au, value in zip(order, values, strict=False):
            if not -1 <= value <= 1:
                raise DataError(f"{row.where}: {OPENFACE_3} must be between 0 and 1, got {value:g}.")
            yield Evidence(au, grade=max(float(value), 0.0))


def has_no_header(header: Header) -> bool:
    """Return whether the first line of a table is a name and at least 8 numbers."""
    return len(header.names) > 8 and not _is_number(header.names[0]) and all(map(_is_number, header.names[1:]))


def read_scores(path: Path) -> dict[str, list[Evidence]]:
    """Read lines of a name and scores in the order of a known program: 41 or 27 of OpenGraphAU, 8 of DISFA.

    Returns:
        Name of the image -> what its line says.

    Raises:
        DataError: the number of scores is of no order or of several, or a line is malformed; the message names it.
    """
    found: dict[str, list[Evidence]] = {}
    order: tuple[tuple[int, str | None], ...] | None = None
    with open_text(path) as lines:
        first = lines.readline()
        lines.seek(0)
        reader = CsvRows(lines, path, delimiter="\t" if "\t" in first else ",", skipinitialspace=True)
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            where = f"{path}, line {reader.line_num}"
            order = order or _order(len(cells) - 1, path)
            if len(cells) - 1 != len(order):
                raise DataError(f"{where}: expected a name and {len(order)} scores, got {len(cells)} values.")
            name, row = plain_name(cells[0]), Row(where, [cell.strip() for cell in cells])
            if not name:
                raise DataError(f"{where}: the name of the image is missing.")
            if name in found:
                raise DataError(f"{where}: the image stands on several lines.")
            found[name] = [_score(row, place, au, side) for place, (au, side) in enumerate(order, 1)]
    return found


def _score(row: Row, place: int, au: int, side: str | None) -> Evidence:
    value = row.number(place, f"the score of AU {au}")
    if math.isnan(value) or value in NO_CODE:
        return Evidence(au, side=side)
    if not 0 <= value <= 1:
        raise DataError(f"{row.where}: the score of AU {au} must be between 0 and 1, got {value:g}.")
    return Evidence(au, grade=value, side=side)


def _order(count: int, path: Path) -> tuple[tuple[int, str | None], ...]:
    """Return the order of a number of scores.

    Raises:
        DataError: no order has so many, or several have.
    """
    if count == len(OPENGRAPHAU):
        return OPENGRAPHAU
    fitting = {order: name for name, order in AU_ORDERS.items() if len(order) == count}
    if len(fitting) != 1:
        what = f"of {', '.join(fitting.values())}" if fitting else "of no known order"
        raise DataError(f"{path}: {count} scores without a header are {what}; name the columns, such as image,AU1,AU2.")
    (order,) = fitting
    return tuple((au, None) for au in order)


def read_fmae(path: Path) -> dict[str, CodedAUs | None]:
    """Read the JSON lines of FMAE: ``{"img_path": "...", "AUs": [6, 999, 12]}``.

    Listed units are present. 999 fills the places of the others, whether absent or not coded in the data set: of these
    nothing is known.

    Raises:
        DataError: a line is malformed; the message names it.
    """
    found: dict[str, CodedAUs | None] = {}
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                entry = parse_json(line)
                name, numbers = plain_name(str(entry["img_path"])), list(entry["AUs"])
            except (ValueError, KeyError, TypeError, RecursionError):
                raise DataError(f'{where}: expected {{"img_path": "...", "AUs": [...]}}.') from None
            for au in numbers:
                if isinstance(au, bool) or not isinstance(au, int) or not (1 <= au <= LARGEST_AU or au == NO_CODE[-1]):
                    raise DataError(f"{where}: an AU must be between 1 and {LARGEST_AU}, got {au!r}.")
            if not name:
                raise DataError(f"{where}: the name of the image is missing.")
            if name in found:
                raise DataError(f"{where}: the image stands on several lines.")
            present = sorted({au for au in numbers if au <= LARGEST_AU})
            found[name] = CodedAUs(tuple(map(CodedAU, present)), frozenset(present)) if present else None
    if not found:
        raise DataError(f"{path} has no rows; it needs a line for each image.")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except (ValueError, OverflowError):
        return False
    return True
