"""Points of other schemes to the 68 of iBUG 300-W: WFLW's 98, three orders of 106, MediaPipe's 468 and 478.

Each entry of a scheme lists the points whose mean is the point of the 68. What each table was compared with:

- 98: facexlib's ``landmark_98_to_68`` and mmpose's pairs of left and right; facexlib averages the two edges of the
  brows, here the upper one is taken, as 300-W has it.
- 106, ``lapa`` (LaPa, JD-landmark): mmpose's pairs, and the points by which a program finds the pose of the head.
- 106, ``insightface`` (2d106det): the table of single points that many programs copy, and DeepFaceLive's of means.
- 106, ``sensetime``: one public table; assumed.
- 478: P. Yan's Mediapipe_2_Dlib_Landmarks; eyes, brows and lips are subsets of MediaPipe's own lists of connections,
  and the places were compared on MediaPipe's canonical face model.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import DataError
from interpfer.landmarks.plausibility import MAX_ROLL, MIN_FIT, compare_shapes

Scheme = tuple[tuple[int, ...], ...]
"""68 tuples of points whose mean is taken."""


def _scheme(*points: int | tuple[int, ...]) -> Scheme:
    return tuple((point,) if isinstance(point, int) else point for point in points)


_CONTOUR = tuple(range(0, 33, 2))

WFLW_98 = _scheme(
    *_CONTOUR,
    *range(33, 38), *range(42, 47),
    *range(51, 60),
    60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75,
    *range(76, 96),
)  # fmt: skip

LAPA_106 = _scheme(
    *_CONTOUR,
    *range(33, 38), *range(42, 47),
    *range(51, 55), *range(58, 63),
    66, (67, 68), (68, 69), 70, (71, 72), (72, 73),
    75, (76, 77), (77, 78), 79, (80, 81), (81, 82),
    *range(84, 104),
)  # fmt: skip

INSIGHTFACE_106 = _scheme(
    1, 10, 12, 14, 16, 3, 5, 7, 0, 23, 21, 19, 32, 30, 28, 26, 17,
    43, 48, 49, 51, 50, *range(102, 106), 101,
    72, 73, 74, 86, 78, 79, 80, 85, 84,
    35, (41, 40), (40, 42), 39, (37, 33), (33, 36),
    89, (95, 94), (94, 96), 93, (91, 87), (87, 90),
    52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55,
    65, 66, 62, 70, 69, 57, 60, 54,
)  # fmt: skip

SENSETIME_106 = _scheme(*_CONTOUR, *range(33, 64), *range(84, 104))

MEDIAPIPE = _scheme(
    127, 234, 93, (132, 58), (58, 172), 136, 150, 176, 152, 400, 379, 365, (397, 288), (288, 361), 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    (168, 6), (197, 195), 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip

ORDERS_106: Mapping[str, Scheme] = {"lapa": LAPA_106, "insightface": INSIGHTFACE_106, "sensetime": SENSETIME_106}
"""Name of an order of 106 points -> its scheme."""

COUNTS = (68, 98, 106, 468, 478)
"""Numbers of points that are known; the 10 behind MediaPipe's 468 are the irises."""

MAX_RESIDUAL = 0.5
"""Largest residual of the right order of 106 points, in those of the next best."""


def convert(points: NDArray[np.float64], scheme: Scheme) -> NDArray[np.float64]:
    """Return the (n, 68, 2) points of (n, k, 2) points.

    Examples:
        >>> convert(np.arange(98.0)[None, :, None].repeat(2, 2), WFLW_98)[0, 36:42, 0].tolist()
        [60.0, 61.0, 63.0, 64.0, 65.0, 67.0]
    """
    return np.stack([points[:, list(indices)].mean(1) for indices in scheme], 1)


def to_68(points: NDArray[np.float64], where: str) -> tuple[NDArray[np.float64], str]:
    """Return the (n, 68, 2) points of (n, k, 2) points, k one of ``COUNTS``, and a name of their scheme.

    Args:
        points: of all faces of a file; NaN for one that was not found.
        where: the file, for messages.

    Raises:
        DataError: there are 106 points, and none of the known orders makes faces of them, or more than one does.
    """
    count = points.shape[1]
    if count == 68:
        return points, "68 points"
    if count == 98:
        return convert(points, WFLW_98), "98 points (WFLW)"
    if count == 106:
        order = recognise_order(points, where)
        return convert(points, ORDERS_106[order]), f"106 points (order {order})"
    return convert(points, MEDIAPIPE), f"{count} points (MediaPipe)"


def recognise_order(points: NDArray[np.float64], where: str) -> str:
    """Return which order of 106 points makes faces of some points.

    The orders cannot be told apart by their headers: the mean face is fitted to the points in each.

    Args:
        points: (n, 106, 2) points, NaN for a face that was not found.
        where: the file, for messages.

    Raises:
        DataError: no order fits, or the best one is not clearly better than the next.
    """
    found = points[np.isfinite(points).all((1, 2))]
    if not len(found):
        return next(iter(ORDERS_106))
    fits = {}
    for name, scheme in ORDERS_106.items():
        fit, roll, _ = compare_shapes(convert(found, scheme))
        fits[name] = float(np.median(np.where(abs(roll) <= MAX_ROLL, fit, 0)))
    best, second = sorted(fits, key=lambda name: -fits[name])[:2]
    listed = ", ".join(f"{name} {fit:.2f}" for name, fit in fits.items())
    if fits[best] < MIN_FIT:
        raise DataError(
            f"landmark file {where}: 106 points that make no face in any known order (fit to a mean face: {listed}); "
            "convert them to the 68 points of iBUG 300-W."
        )
    if _residual(fits[best]) > MAX_RESIDUAL * _residual(fits[second]):
        raise DataError(
            f"landmark file {where}: 106 points that make faces in more than one order (fit to a mean face: {listed}); "
            "convert them to the 68 points of iBUG 300-W."
        )
    return best


def _residual(fit: float) -> float:
    """Return the part of a shape that the mean face leaves unexplained, in standard deviations."""
    return float(np.sqrt(max(1 - fit**2, 0.0)))
