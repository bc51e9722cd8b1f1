"""Compares the action units that texts name with those that are there: precision, recall and F1.

All functions take n faces and a action units as arrays, so that a hundred thousand rows are compared at once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Array = NDArray[np.float64]


class Counts(NamedTuple):
    """Which action units are named rightly, named wrongly, and missed.

    Attributes:
        hits: (n, a) named and there.
        extra: (n, a) named, and not there.
        missed: (n, a) there, and not named.
    """

    hits: Flags
    extra: Flags
    missed: Flags


def count_units(named: Flags, present: Flags, coded: Flags) -> Counts:
    """Compare named with present action units; those that were not coded on a face do not count there.

    Args:
        named: (n, a).
        present: (n, a).
        coded: (n, a) whether it is known that the unit is there or not; all False for a face without a truth.
    """
    return Counts(named & present & coded, named & ~present & coded, present & ~named & coded)


def f1_score(hits: Array, extra: Array, missed: Array) -> Array:
    """Return 2 hits / (2 hits + extra + missed); NaN where nothing is named and nothing there.

    Examples:
        >>> f1_score(np.array([2.0, 0, 0]), np.array([1.0, 0, 0]), np.array([1.0, 1, 0])).round(3).tolist()
        [0.667, 0.0, nan]
    """
    return _quotient(2 * hits, 2 * hits + extra + missed)


def precision_score(hits: Array, extra: Array, missed: Array) -> Array:
    """Return hits / (hits + extra): 0 where nothing is named though something is there, NaN where nothing is there."""
    value = _quotient(hits, hits + extra)
    return np.where(np.isnan(value) & (missed > 0), 0.0, value)


def recall_score(hits: Array, missed: Array) -> Array:
    """Return hits / (hits + missed); NaN where nothing is there."""
    return _quotient(hits, hits + missed)


def f1_by_face(counts: Counts) -> Array:
    """Return the F1 of each face: (n,), NaN where nothing is named and nothing there."""
    return f1_score(*(each.sum(1).astype(float) for each in counts))


def _quotient(above: Array, below: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Array = np.where(below > 0, above / below, np.nan)
    return value
