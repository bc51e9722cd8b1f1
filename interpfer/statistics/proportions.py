"""Confidence intervals of proportions."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from interpfer.statistics.bootstrap import LEVEL, Rows


def wilson_interval(
    successes: float, n: float, quantile: float = float(norm.ppf((1 + LEVEL) / 2))
) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion (Wilson 1927), such as an accuracy.

    Args:
        successes: number of successes.
        n: number of independent trials.
        quantile: quantile of the standardised proportion, 1.96 for 95 %.

    Returns:
        The lower and the upper end; NaN without trials.

    Examples:
        >>> low, high = wilson_interval(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if not n:
        return np.nan, np.nan
    share, square = successes / n, quantile**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = quantile / (1 + square / n) * np.sqrt(share * (1 - share) / n + square / (4 * n**2))
    low = 0.0 if share == 0 else float(middle - half)
    return low, 1.0 if share == 1 else float(middle + half)


def clustered_interval(correct: NDArray[np.bool_], subjects: Rows | None) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy where images of one person are not independent.

    It is Wilson's for the effective number of images, n divided by the design effect (Kish 1965), with the quantile of
    Student's t for the number of people (Korn and Graubard 1998). Without subjects it is Wilson's for n.

    Args:
        correct: (n,) whether each image is classified correctly.
        subjects: (n,) number of the person on each image; None where images are taken as independent.

    Returns:
        The lower and the upper end; NaN without images, or with a single person.

    Examples:
        >>> correct = np.array([True, True, True, True, False, False])
        >>> wide, narrow = clustered_interval(correct, np.array([0, 0, 1, 1, 2, 2])), clustered_interval(correct, None)
        >>> wide[0] < narrow[0] < narrow[1] < wide[1]
        True
    """
    n, share = len(correct), float(np.mean(correct)) if len(correct) else np.nan
    if subjects is None or not n:
        return wilson_interval(float(np.sum(correct)), n)
    person = np.unique(subjects, return_inverse=True)[1]
    people = int(person.max()) + 1
    if people < 2:
        return np.nan, np.nan
    deviations = np.bincount(person, correct - share)
    variance = people / (people - 1) * float(deviations @ deviations) / n**2
    least = float(np.bincount(person).max()) if variance == 0 else 1.0
    effect = max(variance / (share * (1 - share) / n), 1.0) if 0 < share < 1 else least
    effective = n / effect
    return wilson_interval(share * effective, effective, float(t.ppf((1 + LEVEL) / 2, people - 1)))
