"""Numbers in files of masks."""

import math
from collections.abc import Iterable
from typing import Any

from interpfer.errors import DataError


def read_numbers(values: Iterable[Any], where: str) -> tuple[float, ...]:
    """Return finite numbers.

    Args:
        values: texts or numbers.
        where: file and row, for messages.

    Raises:
        DataError: one is not a finite number.

    Examples:
        >>> read_numbers(["1", 2.5], "masks.csv, line 2")
        (1.0, 2.5)
    """
    numbers = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"{where}: a coordinate must be a number, got '{value}'.")
        numbers.append(number)
    return tuple(numbers)


def read_size(width: Any, height: Any, where: str) -> tuple[int, int] | None:
    """Return (width, height) in pixels; None where the file says 0 or nothing.

    Raises:
        DataError: one is not a number, or negative.
    """
    if not width and not height:
        return None
    wide, high = (int(side) for side in read_numbers((width, height), where))
    if wide < 1 or high < 1:
        raise DataError(f"{where}: the size of the picture must be at least 1 x 1, got {wide} x {high}.")
    return wide, high


def pairs(values: Iterable[Any], where: str) -> tuple[tuple[float, float], ...]:
    """Return the points of a flat list x, y, x, y ...

    Raises:
        DataError: the list is of odd length, or has something that is no number.
    """
    numbers = read_numbers(values, where)
    if len(numbers) % 2:
        raise DataError(f"{where}: a polygon must list x, y in turn, got {len(numbers)} numbers.")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
