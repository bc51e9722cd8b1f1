"""A face in other schemes of points: drawn from its 68, the further points in between.

The positions are written down here by the meaning of each point in its scheme (corner, lid, edge of a lip), not by the
tables of the package.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def along(line: Points, count: int) -> Points:
    """Return ``count`` points evenly spread by index along a line, its ends included."""
    at = np.linspace(0, len(line) - 1, count)
    return np.stack([np.interp(at, range(len(line)), line[:, axis]) for axis in (0, 1)], 1)


def below(upper: Points, face: Points) -> Points:
    """Return the lower edge of a brow, a little below its upper edge."""
    down = face[8] - face[27]
    return upper + 0.05 * down


def eye_98(eye: Points) -> Points:
    """Return 8 points of an eye in the order of WFLW: corner, 3 of the upper lid, corner, 3 of the lower lid."""
    first, up_a, up_b, second, low_b, low_a = eye
    return np.stack([first, up_a, (up_a + up_b) / 2, up_b, second, low_b, (low_b + low_a) / 2, low_a])


def eye_8(eye: Points) -> Points:
    """Return 8 points of an eye so that the mean of two neighbours is a point of the 68."""
    first, up_a, up_b, second, low_b, low_a = eye
    middle_up, middle_low = (up_a + up_b) / 2, (low_a + low_b) / 2
    return np.stack(
        [first, 2 * up_a - middle_up, middle_up, 2 * up_b - middle_up, second,
         2 * low_b - middle_low, middle_low, 2 * low_a - middle_low]
    )  # fmt: skip


def wflw_98(face: Points) -> Points:
    """Contour 33, right brow 5 + 4 lower, left brow 5 + 4 lower, nose 4 + 5, eyes 8 + 8, lips 12 + 8, pupils."""
    right, left = face[17:22], face[22:27]
    return np.concatenate(
        [
            along(face[:17], 33),
            right, below(right, face)[:0:-1],
            left, below(left, face)[-2::-1],
            face[27:36],
            eye_98(face[36:42]), eye_98(face[42:48]),
            face[48:68],
            face[36:42].mean(0, keepdims=True), face[42:48].mean(0, keepdims=True),
        ]
    )  # fmt: skip


def lapa_106(face: Points) -> Points:
    """As WFLW up to the brows; bridge 4, sides and base of the nose 10, eyes 8 + pupil each, lips 12 + 8, pupils."""
    right, left = face[17:22], face[22:27]
    base = face[31:36]
    side, other = (face[28] + base[0]) / 2, (face[28] + base[4]) / 2
    nose = [side, (side + base[0]) / 2, base[0] + (side - base[0]) * 0.1, *base,
            base[4] + (other - base[4]) * 0.1, (other + base[4]) / 2, other]  # fmt: skip
    pupils = face[36:42].mean(0, keepdims=True), face[42:48].mean(0, keepdims=True)
    return np.concatenate(
        [
            along(face[:17], 33),
            right, below(right, face)[:0:-1],
            left, below(left, face)[-2::-1],
            face[27:31], np.stack(nose),
            eye_8(face[36:42]), pupils[0], eye_8(face[42:48]), pupils[1],
            face[48:68],
            *pupils,
        ]
    )  # fmt: skip


def sensetime_106(face: Points) -> Points:
    """Contour 33, upper edges of the brows, nose and eyes as in the 68, 20 further points, lips 12 + 8, pupils."""
    right, left = face[17:22], face[22:27]
    pupils = face[36:42].mean(0, keepdims=True), face[42:48].mean(0, keepdims=True)
    eyes = np.concatenate([pupils[0] + [0, -2], pupils[0] + [0, 2], pupils[0], pupils[1] + [0, -2], pupils[1] + [0, 2],
                           pupils[1]])  # fmt: skip
    sides = np.stack([face[27] - [6, 0], face[27] + [6, 0], face[31] - [2, 8], face[35] + [2, -8], face[31] - [1, 2],
                      face[35] + [1, -2]])  # fmt: skip
    return np.concatenate(
        [
            along(face[:17], 33), right, left, face[27:36], face[36:48],
            below(right, face)[1:], below(left, face)[:-1], eyes, sides, face[48:68], *pupils,
        ]
    )  # fmt: skip


def insightface_106(face: Points) -> Points:
    """2d106det, point by point as its markup shows them; those that do not matter here lie on the nose."""
    points = np.repeat(face[[30]], 106, 0)
    contour = along(face[:17], 33)
    right_half = [1, *range(9, 17), *range(2, 9)]  # from the ear on the left of the picture down to the chin
    left_half = [*range(24, 17, -1), *range(32, 24, -1), 17]
    points[[*right_half, 0, *left_half]] = contour
    brow, other = face[17:22], face[22:27]
    points[[43, 48, 49, 51, 50]], points[[102, 103, 104, 105, 101]] = brow, other
    points[[44, 45, 47, 46]], points[[97, 98, 99, 100]] = below(brow, face)[1:], below(other, face)[:-1]
    points[[72, 73, 74, 86]] = face[27:31]
    points[[78, 79, 80, 85, 84]] = face[31:36]
    points[[77, 83]] = face[[31, 35]] + [[-1, -2], [1, -2]]
    points[[75, 76, 81, 82]] = (face[[27, 28]] + face[[31, 35]])[[0, 1, 1, 0]] / 2
    points[[35, 41, 40, 42, 39, 37, 33, 36]] = eye_8(face[36:42])
    points[[89, 95, 94, 96, 93, 91, 87, 90]] = eye_8(face[42:48])
    points[[34, 38]], points[[88, 92]] = face[36:42].mean(0), face[42:48].mean(0)
    points[[52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55]] = face[48:60]
    points[[65, 66, 62, 70, 69, 57, 60, 54]] = face[60:68]
    return points
