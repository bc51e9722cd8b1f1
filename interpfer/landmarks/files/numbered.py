"""Lists without a header, a line per face: WFLW's ``list_98pt_*.txt``.

A line has 196 numbers x y x y ..., in the list with attributes the corners of the face's box and 6 flags, and the name
of the picture. Several faces of a picture have a line each: the one with the largest box, else extent, counts.
"""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError

WFLW_POINTS = 98
WFLW_NUMBERS = (2 * WFLW_POINTS, 2 * WFLW_POINTS + 10)
"""Numbers before the name: points alone, or with the box (4) and the attributes (6)."""

Points = NDArray[np.float64]


def is_wflw(line: str) -> bool:
    """Return whether a line is one of WFLW's: 196 or 206 numbers and a name."""
    words = line.split()
    return len(words) - 1 in WFLW_NUMBERS and all(map(_is_number, words[:-1])) and not _is_number(words[-1])


def read_wflw(lines: Iterable[str], where: str) -> tuple[dict[str, Points], list[str]]:
    """Read a list of WFLW.

    Returns:
        Name of a picture -> its (98, 2) points, and the pictures with several faces.

    Raises:
        DataError: a line is malformed; the message names it.
    """
    best: dict[str, tuple[float, Points]] = {}
    several: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) - 1 not in WFLW_NUMBERS:
            raise DataError(
                f"landmark file {where}, line {number}: expected 196 or 206 numbers and a name, got {len(words)} words."
            )
        try:
            points = np.array([float(word) for word in words[: 2 * WFLW_POINTS]]).reshape(-1, 2)
        except ValueError as error:
            raise DataError(f"landmark file {where}, line {number}: not a coordinate ({error}).") from error
        name, size = words[-1].replace("\\", "/"), float(np.prod(np.ptp(points, axis=0)))
        if name in best:
            several[name] = None
        if name not in best or size > best[name][0]:
            best[name] = size, points
    return {name: points for name, (_, points) in best.items()}, list(several)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", word, re.IGNORECASE) is not None
