"""Numbers of the people on images; an image whose subject is unknown is its own person."""

from collections.abc import Sequence

import numpy as np

from interpfer.statistics.bootstrap import Rows
from interpfer.types import Sample


def number_subjects(names: Sequence[str | None]) -> Rows | None:
    """Return the number of the person on each image, or None where no subject is known.

    Args:
        names: subject per image; None or "" where unknown.

    Returns:
        (n,) numbers from 0: those of the subjects in the order of their names, then one for each other image.

    Examples:
        >>> number_subjects(["S2", None, "S1", "S2", None])
        array([1, 2, 0, 1, 3])
        >>> number_subjects([None, None])
    """
    known = np.array([bool(name) for name in names], bool)
    if not known.any():
        return None
    subjects, index = np.unique([name for name in names if name], return_inverse=True)
    numbers = np.empty(len(names), np.intp)
    numbers[known] = index
    numbers[~known] = len(subjects) + np.arange((~known).sum())
    return numbers


def unit_of(sample: Sample) -> str:
    """Return what an image is not independent of: its subject, else its clip; "" where neither is known.

    Examples:
        >>> unit_of(Sample("a/1", "", clip="a")), unit_of(Sample("a/1", "", subject="P1", clip="a"))
        ('clip a', 'P1')
        >>> unit_of(Sample("a", ""))
        ''
    """
    return sample.subject or (f"clip {sample.clip}" if sample.clip else "")


def count_unknown(names: Sequence[str | None]) -> int:
    """Return how many images have no subject."""
    return sum(not name for name in names)
