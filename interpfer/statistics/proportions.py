"""Confidence intervals of proportions."""

import numpy as np
from scipy.stats import binomtest


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion (Wilson 1927), such as an accuracy.

    Args:
        successes: number of successes.
        n: number of trials.

    Returns:
        The lower and the upper end; NaN without trials.

    Examples:
        >>> low, high = wilson_interval(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if not n:
        return np.nan, np.nan
    interval = binomtest(successes, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
