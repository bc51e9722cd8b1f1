"""Largest connected part of a map at every threshold, found in one pass instead of one labelling per threshold.

Every pixel leads to a peak, by steps to its highest neighbour, and all pixels on the way are at least as high. So the
pixels of a peak that reach a threshold are connected, and two peaks are connected at a threshold where a pair of
neighbours between them reaches it. Merging the peaks from the highest threshold down gives the parts at all of them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Levels = NDArray[np.int64]
Picture = NDArray[np.float32]

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns from a pixel to half of its neighbours; the other half sees it from the other side."""


def largest_boxes(picture: Picture, tones: int) -> NDArray[np.int64]:
    """Return the box of the largest part of a map at each threshold.

    A part is connected also diagonally, and the largest has the most pixels.

    Args:
        picture: (h, w) in [0, 1].
        tones: number of thresholds; the i-th, from 1, is reached by ``int(value * tones) >= i``.

    Returns:
        (4, tones) left and top, right and bottom behind the last pixel; all 0 where no pixel reaches the threshold.

    Examples:
        One pixel is highest; two others are a larger part from half of its value down:

        >>> largest_boxes(np.array([[1, 0, 0.5, 0.5]], np.float32), 2).T.tolist()
        [[2, 0, 4, 1], [0, 0, 1, 1]]
    """
    levels = (picture * np.float32(tones)).astype(np.int64)
    peaks, count = _find_peaks(picture)
    height, width = picture.shape
    numbers = np.bincount((peaks * (tones + 1) + levels).ravel(), minlength=count * (tones + 1))
    sizes = numbers.reshape(count, -1)[:, ::-1].cumsum(1)[:, ::-1]  # pixels that reach each level
    columns, rows = np.zeros(count * width, np.int16), np.zeros(count * height, np.int16)
    small = levels.astype(np.int16).ravel()  # many peaks are read faster in few bytes
    np.maximum.at(columns, (peaks * width + np.arange(width)).ravel(), small)
    np.maximum.at(rows, (peaks * height + np.arange(height)[:, None]).ravel(), small)
    columns, rows = columns.reshape(count, width), rows.reshape(count, height)
    boxes = np.zeros((4, tones), np.int64)
    for members, parts in _largest_parts(sizes, columns.max(1).tolist(), _borders(peaks, levels, count)):
        done, across, down = 0, columns[members[0]], rows[members[0]]
        for length, wanted in parts:
            added, done = members[done:length], length
            across, down = (np.vstack([own, side[added]]).max(0) for own, side in ((across, columns), (down, rows)))
            (left, right), (top, bottom) = _ends(across, wanted), _ends(down, wanted)
            boxes[:, wanted - 1] = left, top, right, bottom
    return boxes


def _largest_parts(
    sizes: Levels, tops: list[int], borders: list[tuple[int, int, int]]
) -> list[tuple[list[int], list[tuple[int, Levels]]]]:
    """Return the parts that are the largest at some levels.

    Args:
        sizes: (peaks, levels) number of pixels of each peak that reach a level; overwritten.
        tops: highest level of each peak; overwritten.
        borders: see ``_borders``.

    Returns:
        Lists of peaks, each with (length, levels): the part of so many first peaks is the largest at these levels.
    """
    largest, winner = np.zeros(sizes.shape[1], np.int64), np.full(sizes.shape[1], -1)
    winners: list[tuple[int, int]] = []
    names, members = list(range(len(tops))), [[peak] for peak in range(len(tops))]

    def enter(peak: int, low: int) -> None:
        """Compare the part of a peak with the largest so far, at its levels above ``low``."""
        levels = slice(low + 1, tops[peak] + 1)
        wins = sizes[peak, levels] > largest[levels]
        if wins.any():
            np.copyto(largest[levels], sizes[peak, levels], where=wins)
            winner[levels][wins] = len(winners)
            winners.append((peak, len(members[peak])))

    for one, two, level in borders:
        peak, other = sorted((_find(names, one), _find(names, two)), key=lambda name: -len(members[name]))
        if peak == other:
            continue
        for part in (peak, other):
            if tops[part] > level:
                enter(part, level)
        names[other], tops[peak], tops[other] = peak, level, 0  # the part of both begins here
        sizes[peak, : level + 1] += sizes[other, : level + 1]
        members[peak] += members[other]
    for peak, top in enumerate(tops):
        if top:
            enter(peak, 0)
    parts: dict[int, list[tuple[int, Levels]]] = {}
    for index in np.unique(winner[winner >= 0]).tolist():
        peak, length = winners[index]
        parts.setdefault(peak, []).append((length, np.flatnonzero(winner == index)))
    return [(members[peak], lengths) for peak, lengths in parts.items()]


def _find(names: list[int], peak: int) -> int:
    """Return the peak that names the part of a peak."""
    while names[peak] != peak:
        names[peak] = names[names[peak]]
        peak = names[peak]
    return peak


def _ends(highest: NDArray[np.int16], wanted: Levels) -> tuple[Levels, Levels]:
    """Return the first column (or row) that reaches each level, and the one behind the last."""
    first = np.searchsorted(np.maximum.accumulate(highest), wanted)
    last = len(highest) - np.searchsorted(np.maximum.accumulate(highest[::-1]), wanted)
    return first, last


def _find_peaks(picture: Picture) -> tuple[Levels, int]:
    """Return the number of the peak that each pixel leads to, and the number of peaks.

    Of equal neighbours the first in the order of the pixels is taken, so that no path is a circle.
    """
    values = torch.from_numpy(np.ascontiguousarray(picture))[None, None]
    leads: Levels = F.max_pool2d(values, 3, 1, 1, return_indices=True)[1].numpy().ravel()
    while True:
        further = leads[leads]
        if np.array_equal(further, leads):
            break
        leads = further
    is_peak = leads == np.arange(len(leads))
    numbers = is_peak.cumsum() - 1
    return numbers[leads].reshape(picture.shape), int(is_peak.sum())


def _borders(peaks: Levels, levels: Levels, count: int) -> list[tuple[int, int, int]]:
    """Return (peak, other, level) of each two peaks with adjacent pixels, from the highest level down."""
    keys = [np.zeros(0, np.int64)]
    top = int(levels.max(initial=0)) + 1
    for down, across in STEPS:
        here = (slice(0, len(peaks) - down), slice(max(0, -across), peaks.shape[1] - max(0, across)))
        there = (slice(down, None), slice(max(0, across), peaks.shape[1] + min(0, across)))
        apart = (peaks[here] != peaks[there]).nonzero()
        one, two = peaks[here][apart], peaks[there][apart]
        level = np.minimum(levels[here][apart], levels[there][apart])
        keys.append(((np.minimum(one, two) * count + np.maximum(one, two)) * top + top - 1 - level)[level > 0])
    ordered = np.sort(np.concatenate(keys))
    pairs, depth = np.divmod(ordered, top)
    is_first = np.diff(pairs, prepend=-1) > 0  # the highest neighbours of each two peaks
    pairs, depth = pairs[is_first], depth[is_first]
    order = np.argsort(depth, kind="stable")
    first, second = np.divmod(pairs[order], count)
    return list(zip(first.tolist(), second.tolist(), (top - 1 - depth[order]).tolist(), strict=True))
