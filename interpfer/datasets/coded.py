"""Action units that data sets code as numbers: tables of frames, and lists of active units."""

import itertools
import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.files import read_text
from interpfer.types import CodedAU, CodedAUs

LARGEST_CODE = 99
"""Largest number in FACS; from 80 on they are gross behaviours, such as swallowing."""

MISSING, UNGRADED = -1.0, math.inf
"""Codes in tables of this module: an action unit that was not coded, and one that is present and was not graded."""


def read_numbers(
    path: str | Path, columns: int | None = None, delimiter: str | None = None, skip: int = 0
) -> NDArray[np.float64]:
    """Read a text table of numbers; blank lines are passed over.

    Args:
        path: the file.
        columns: number of columns that every row must have; None for that of the first row.
        delimiter: between the numbers; None for blanks.
        skip: number of lines before the table.

    Returns:
        (rows, columns) numbers.

    Raises:
        DataError: a row is malformed; the message names the line.
    """
    lines = read_text(path).splitlines()[skip:]
    rows = [line for line in lines if line.strip()]
    if not rows:
        return np.zeros((0, columns or 1))
    try:
        table = np.loadtxt(rows, delimiter=delimiter, ndmin=2, comments=None)
    except (ValueError, OverflowError):
        table = np.full((1, 0), np.nan)
    if not np.isfinite(table).all() or table.shape[1] != (columns or len(rows[0].split(delimiter))):
        raise _malformed(path, lines, columns or len(rows[0].split(delimiter)), delimiter, skip)
    return table


def _malformed(path: str | Path, lines: Sequence[str], columns: int, delimiter: str | None, skip: int) -> DataError:
    for number, line in enumerate(lines, skip + 1):
        cells = line.split(delimiter)
        try:
            is_sound = len(cells) == columns and all(math.isfinite(float(cell)) for cell in cells)
        except (ValueError, OverflowError):
            is_sound = False
        if line.strip() and not is_sound:
            return DataError(f"{path}, line {number}: a line must hold {columns} numbers, got '{line.strip()[:60]}'.")
    return DataError(f"{path}: not a table of {columns} numbers a line.")


def require_codes(codes: NDArray[np.float64], known: Collection[float], where: str, rows: Sequence[str]) -> None:
    """Check the codes of a table.

    Args:
        codes: (n, k) codes.
        known: codes that occur.
        where: the file, for messages.
        rows: names of the n rows, for messages.

    Raises:
        DataError: a code is not one of ``known``; the message names the row.
    """
    strange = ~np.isin(codes, list(known))
    if strange.any():
        row, column = np.argwhere(strange)[0]
        listed = ", ".join(f"{code:g}" for code in sorted(known))
        raise DataError(f"{where}, {rows[row]}: a code must be one of {listed}, got {codes[row, column]:g}.")


def code_rows(codes: NDArray[np.float64], aus: Sequence[int], levels: int = 1) -> list[CodedAUs | None]:
    """Return the coded action units of the rows of a table; equal rows share one value.

    Args:
        codes: (n, k) codes: ``MISSING``, 0 for absent, ``UNGRADED``, or the intensity.
        aus: k FACS numbers.
        levels: largest intensity.

    Returns:
        For each row its action units; None where none was coded.
    """
    distinct, index = np.unique(codes, axis=0, return_inverse=True)
    known: dict[tuple[bool, ...], frozenset[int]] = {}
    values: list[CodedAUs | None] = []
    for row in distinct.tolist():
        coded = tuple(code != MISSING for code in row)
        numbers = known.setdefault(coded, frozenset(itertools.compress(aus, coded)))
        active = [_grade(au, code, levels) for au, code in zip(aus, row, strict=True) if code > 0]
        values.append(CodedAUs(tuple(active), numbers) if numbers else None)
    return [values[i] for i in index.reshape(-1).tolist()]


@lru_cache(maxsize=1024)
def _grade(au: int, code: float, levels: int) -> CodedAU:
    return CodedAU(au, math.nan if code == UNGRADED else code / levels)


def list_active(rows: NDArray[np.float64], levels: int, where: str, ungraded: Collection[int] = ()) -> CodedAUs:
    """Return the action units of a face whose active ones are listed; all others are absent.

    An intensity of 0 is that of a unit that was not graded.

    Args:
        rows: (n, 2) FACS numbers with their intensities.
        levels: largest intensity.
        where: the file, for messages.
        ungraded: FACS numbers of which presence alone was coded, as 0 or 1.

    Raises:
        DataError: a number is not of FACS, or an intensity is too large.
    """
    units: dict[int, CodedAU] = {}
    for number, level in rows.tolist():
        au = int(number)
        if au != number or not 1 <= au <= LARGEST_CODE:
            raise DataError(f"{where}: an action unit must be a number from 1 to {LARGEST_CODE}, got {number:g}.")
        most = 1 if au in ungraded else levels
        if not 0 <= level <= most:
            raise DataError(f"{where}: the intensity of AU {au} must be between 0 and {most}, got {level:g}.")
        unit = CodedAU(au, level / levels if level > 0 and au not in ungraded else math.nan)
        earlier = units.setdefault(au, unit)
        if math.isnan(earlier.intensity) or unit.intensity > earlier.intensity:
            units[au] = unit
    return CodedAUs(tuple(units.values()))
