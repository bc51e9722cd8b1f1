"""Run-length encoding of masks as COCO has it: runs of 0 and 1 in turn, beginning with 0, down the columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError


def decode_rle(counts: Sequence[int] | str | bytes, height: int, width: int, where: str) -> NDArray[np.uint8]:
    """Return the (height, width) mask of 0 and 1.

    Args:
        counts: lengths of the runs, or the same compressed to text by pycocotools.
        height: of the mask.
        width: of the mask.
        where: file and row, for messages.

    Raises:
        DataError: the runs do not add up to the number of pixels, or are no runs.

    Examples:
        >>> decode_rle([1, 2, 1], 2, 2, "here").tolist()
        [[0, 1], [1, 0]]
        >>> decode_rle("121", 2, 2, "here").tolist()
        [[0, 1], [1, 0]]
    """
    runs = decompress(counts, where) if isinstance(counts, str | bytes) else list(counts)
    if any(run < 0 for run in runs):
        raise DataError(f"{where}: a run of the RLE is negative.")
    if sum(runs) != height * width:
        raise DataError(f"{where}: the RLE has {sum(runs)} pixels, not the {height} x {width} = {height * width}.")
    values = np.arange(len(runs), dtype=np.uint8) % 2
    return np.repeat(values, runs).reshape(width, height).T


def decompress(text: str | bytes, where: str) -> list[int]:
    """Return the runs of a compressed RLE: groups of 5 bits with a sign, from the third run on as differences.

    Raises:
        DataError: the text ends within a number, or has a character that is none.
    """
    codes = text.encode("ascii", "replace") if isinstance(text, str) else text
    runs: list[int] = []
    place = 0
    while place < len(codes):
        value, group, goes_on = 0, 0, True
        while goes_on:
            if place == len(codes) or not 48 <= codes[place] < 112:
                raise DataError(f"{where}: the compressed RLE is malformed at character {place + 1}.")
            bits = codes[place] - 48
            value |= (bits & 0x1F) << (5 * group)
            goes_on = bool(bits & 0x20)
            place, group = place + 1, group + 1
            if not goes_on and bits & 0x10:
                value |= -1 << (5 * group)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def encode_rle(mask: NDArray[np.bool_]) -> str:
    """Return the compressed run lengths of a (height, width) mask.

    Examples:
        >>> encode_rle(np.array([[False, True], [True, False]]))
        '121'
    """
    flat = np.concatenate([[False], mask.T.reshape(-1), [True]])
    flat[-1] = not flat[-2]
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return compress(np.diff(changes, prepend=0).tolist())


def compress(runs: Sequence[int]) -> str:
    """Return runs as text: the inverse of ``decompress``."""
    text = []
    for place, run in enumerate(runs):
        value, goes_on = run - runs[place - 2] if place > 2 else run, True
        while goes_on:
            bits, value = value & 0x1F, value >> 5
            goes_on = value != (-1 if bits & 0x10 else 0)
            text.append(chr((bits | 0x20 if goes_on else bits) + 48))
    return "".join(text)
