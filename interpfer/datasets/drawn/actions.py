"""Tables of the synthetic faces: the average face, and its displacement by each action unit.

Lengths are in inter-ocular units: 1 is the distance between the eye centres of the average face.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(k, 2) as (x, y)."""

AUS_OF: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "anger": (4, 5, 7, 10, 17, 23, 24),
        "disgust": (9, 10, 16, 17, 25),
        "fear": (1, 2, 4, 5, 20, 25, 26, 27),
        "happiness": (6, 12, 25),
        "sadness": (1, 4, 6, 15, 17),
        "surprise": (1, 2, 5, 26, 27),
        "neutral": (),
    }
)
"""Expression -> action units that it may move."""

HALLMARK: Mapping[str, int] = MappingProxyType(
    {"anger": 4, "disgust": 9, "fear": 20, "happiness": 12, "sadness": 15, "surprise": 26}
)
"""Expression -> action unit that it always moves."""

INTENSITY = (0.3, 1.1)
"""Range of the intensity of an action unit."""

MISSING = 0.25
"""Probability that another action unit of the expression does not move."""

ONE_SIDED = 0.2
"""Probability that the action units of ``SIDED`` move on one side of a face only."""

SIDED = frozenset({2, 6, 7, 10, 12, 15, 20})
"""Action units that can move on one side only."""

# The half of the average face on the left of the image; the other half is its mirror image.
HALF: Mapping[int, tuple[float, float]] = {
    # jaw, from the ear to the chin
    **{0: (-1.12, 0.02), 1: (-1.11, 0.31), 2: (-1.07, 0.59), 3: (-1.00, 0.87), 4: (-0.87, 1.13)},
    **{5: (-0.68, 1.36), 6: (-0.46, 1.54), 7: (-0.23, 1.66), 8: (0.00, 1.70)},
    # brow, from outside to inside
    **{17: (-0.90, -0.25), 18: (-0.78, -0.37), 19: (-0.60, -0.41), 20: (-0.41, -0.38), 21: (-0.23, -0.31)},
    # bridge and base of the nose
    **{27: (0.00, -0.05), 28: (0.00, 0.15), 29: (0.00, 0.35), 30: (0.00, 0.52)},
    **{31: (-0.22, 0.63), 32: (-0.11, 0.67), 33: (0.00, 0.69)},
    # eye
    **{36: (-0.73, 0.03), 37: (-0.61, -0.085), 38: (-0.42, -0.09), 39: (-0.28, 0.035), 40: (-0.42, 0.08)},
    **{41: (-0.60, 0.085)},
    # outer and inner line of the lips
    **{48: (-0.39, 1.05), 49: (-0.25, 0.975), 50: (-0.09, 0.94), 51: (0.00, 0.96)},
    **{57: (0.00, 1.21), 58: (-0.12, 1.20), 59: (-0.27, 1.14)},
    **{60: (-0.34, 1.052), 61: (-0.12, 1.038), 62: (0.00, 1.045), 66: (0.00, 1.058), 67: (-0.12, 1.055)},
}

Moves = Mapping[tuple[int, ...], tuple[float, float]]
"""Landmarks on the left of the image -> their displacement (outwards, upwards)."""

MOVES: Mapping[int, Moves] = {
    # action unit -> displacement of the landmarks at full intensity
    1: {(21,): (0.00, 0.26), (20,): (0.00, 0.19), (19,): (0.00, 0.06)},
    2: {(17,): (0.00, 0.13), (18,): (0.00, 0.18), (19,): (0.00, 0.15), (20,): (0.00, 0.06)},
    4: {
        (21,): (-0.07, -0.13),
        (20,): (-0.06, -0.12),
        (19,): (-0.03, -0.09),
        (18,): (-0.01, -0.04),
        (37, 38): (0.00, -0.01),
    },
    5: {(37, 38): (0.00, 0.075)},
    6: {(40, 41): (0.00, 0.055), (37, 38): (0.00, -0.012), (36,): (0.00, 0.01)},
    7: {(37, 38): (0.00, -0.028), (40, 41): (0.00, 0.040)},
    9: {
        (30, 33): (0.00, 0.04),
        (31, 32): (0.03, 0.07),
        (20, 21): (-0.03, -0.09),
        (19,): (0.00, -0.05),
        (37, 38): (0.00, -0.02),
        (40, 41): (0.00, 0.03),
        (49, 50, 51): (0.00, 0.04),
        (61, 62): (0.00, 0.03),
    },
    10: {
        (49,): (0.02, 0.10),
        (50, 51): (0.01, 0.11),
        (61, 62): (0.00, 0.08),
        (31,): (0.03, 0.03),
        (48, 60): (0.0, 0.01),
    },
    12: {
        (48, 60): (0.18, 0.17),
        (49,): (0.10, 0.05),
        (59,): (0.12, 0.07),
        (50, 58): (0.04, 0.01),
        (61, 67): (0.05, 0.00),
        (3, 4): (0.03, 0.02),
    },
    15: {(48, 60): (0.02, -0.14), (59,): (0.03, -0.08), (49,): (0.01, -0.05), (61, 67): (0.00, -0.01)},
    16: {(57, 58): (0.01, -0.09), (66, 67): (0.00, -0.08), (59,): (0.01, -0.05)},
    17: {
        (57, 58): (0.00, 0.06),
        (66, 67, 61, 62): (0.00, 0.05),
        (59,): (0.00, 0.02),
        (50, 51): (0.00, 0.03),
        (7, 8): (0.00, 0.06),
        (6,): (0.00, 0.03),
    },
    20: {(48, 60): (0.15, -0.03), (49, 59): (0.08, -0.01), (61, 67, 50, 58): (0.05, 0.00)},
    23: {(48, 60): (-0.08, 0.00), (49, 59): (-0.05, 0.00), (50, 51): (0.01, -0.03), (57, 58): (0.01, 0.04)},
    24: {(50, 51): (0.00, -0.03), (57, 58): (0.00, 0.04), (49,): (0.00, -0.02), (59,): (0.00, 0.02)},
    25: {
        (50, 51): (0.00, 0.01),
        (61, 62): (0.00, 0.02),
        (66, 67): (0.00, -0.09),
        (57, 58): (0.00, -0.075),
        (59,): (0, -0.03),
    },
    26: {
        (57, 58, 66, 67): (0.00, -0.15),
        (59,): (0.00, -0.10),
        (48, 60): (-0.02, -0.05),
        (7, 8): (0.00, -0.16),
        (6,): (0.00, -0.14),
        (5,): (0.00, -0.09),
        (4,): (0.00, -0.04),
    },
    27: {
        (57, 58, 66, 67): (0.00, -0.24),
        (61, 62): (0.00, 0.02),
        (59,): (-0.01, -0.16),
        (48, 60): (-0.06, -0.10),
        (49,): (-0.03, 0.01),
        (7, 8): (0.00, -0.22),
        (6,): (0.00, -0.19),
        (5,): (-0.01, -0.12),
        (4,): (-0.01, -0.05),
    },
}

MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *(27, 28, 29, 30),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46),
        *(39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    ]
)
"""Index of the landmark on the other side of the face."""

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
"""(upper, lower) landmarks of the eyelids."""

LIPS = ((61, 67), (62, 66), (63, 65))
"""(upper, lower) landmarks of the inner lips."""


def _displacement(moves: Moves) -> Points:
    left = np.zeros((len(MIRROR), 2))
    for points, (outwards, upwards) in moves.items():
        left[list(points)] = (-outwards, -upwards)
    midline = np.arange(len(MIRROR)) == MIRROR
    left[midline, 0] = 0.0
    return left + np.where(midline[:, None], 0.0, left[MIRROR] * (-1, 1))


DISPLACEMENT: Mapping[int, Points] = {au: _displacement(moves) for au, moves in MOVES.items()}
"""Action unit -> (68, 2) displacements in the head's frame at full intensity."""
