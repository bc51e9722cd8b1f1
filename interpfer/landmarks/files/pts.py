"""One file of points per picture: ``.pts`` of 300-W and MERL-RAV, ``.mat`` of AFLW2000-3D, ``.txt`` of LaPa.

Pixels of ``.pts`` and ``.mat`` are taken to count from 1, as Matlab does, which is assumed: no public document says so.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.landmarks.files.schemes import COUNTS
from interpfer.landmarks.plausibility import compare_shapes

Points = NDArray[np.float64]

MATLAB_ORIGIN = 1
"""Coordinate of the middle of the first pixel in Matlab."""

HIDDEN = -1
"""Both coordinates of a point that is not visible, in MERL-RAV."""

HEADER = re.compile(r"n_?points\s*:\s*(\d+)", re.IGNORECASE)


def read_pts(path: Path) -> Points | None:
    """Read a ``.pts`` file; None for a face with a point that is not visible.

    MERL-RAV negates both coordinates of an occluded point. So does the picture itself where a point lies off its upper
    left corner; what makes the better face of the points is taken.

    Raises:
        DataError: the file is malformed; the message names it.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    count = HEADER.search(text)
    start, end = text.find("{"), text.find("}")
    if count is None or start < 0 or end < start:
        raise DataError(f"landmark file {path}: expected n_points: 68 and the points in braces.")
    points = _pairs(text[start + 1 : end].split(), bounded_integer(count[1]), path)
    if (points == HIDDEN).all(1).any():
        return None
    if len(points) == 68 and (points < 0).all(1).any():
        unsigned = np.where((points < 0).all(1, keepdims=True), -points, points)
        written, positive = compare_shapes(np.stack([points, unsigned]))[0]
        points = unsigned if positive > written else points
    return points - MATLAB_ORIGIN


def read_counted(path: Path) -> Points:
    """Read a file of LaPa: the number of points, then one point per line; pixels count from 0.

    Raises:
        DataError: the file is malformed; the message names it.
    """
    words = path.read_text(encoding="utf-8-sig", errors="replace").split()
    if not words or not words[0].isdecimal():
        raise DataError(f"landmark file {path}: expected the number of points in the first line.")
    return _pairs(words[1:], bounded_integer(words[0]), path)


def read_mat(path: Path) -> Points:
    """Read the 68 points of a ``.mat`` file of AFLW2000-3D (``pt3d_68``), in pixels of its 450 x 450 picture.

    Raises:
        DataError: the file has no ``pt3d_68`` of 3 x 68 numbers; the message names it.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for files that are none of Matlab's
        raise DataError(f"landmark file {path}: not a file of Matlab ({error}).") from error
    points = np.asarray(content.get("pt3d_68", ()))
    if points.shape != (3, 68) or points.dtype.kind not in "fiu":
        raise DataError(f"landmark file {path}: expected pt3d_68 of 3 x 68 numbers, as in AFLW2000-3D.")
    return points[:2].T.astype(np.float64) - MATLAB_ORIGIN


def _pairs(words: Sequence[str], count: int, path: Path) -> Points:
    if count not in COUNTS:
        raise DataError(f"landmark file {path}: expected {', '.join(map(str, COUNTS))} points, got {count}.")
    if len(words) != 2 * count:
        raise DataError(f"landmark file {path}: expected {2 * count} coordinates, got {len(words)}.")
    try:
        return np.array([float(word) for word in words]).reshape(-1, 2)
    except ValueError as error:
        raise DataError(f"landmark file {path}: not a coordinate ({error}).") from error
