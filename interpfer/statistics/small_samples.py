"""Correction of bootstrap intervals for few images or few subjects.

A percentile interval of a mean of n values is too narrow: the deviation of the resamples lacks the factor
sqrt(n / (n - 1)), and its quantiles are those of a normal distribution, not of Student's t. For a weighted mean of
class means over whole subjects, both follow from the bias and the degrees of freedom of its variance (Bell and
McCaffrey 2002, Survey Methodology 28), computed for residuals of equal variance.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import norm, t

from interpfer.statistics.bootstrap import LEVEL, Array, Rows

FEW = 5
"""Images or subjects per class below which an interval is unreliable."""


def count_by_subject(members: Sequence[Rows], subjects: Rows | None) -> tuple[Array, Array]:
    """Return how many images of each class a subject has, and how many subjects are like that.

    Args:
        members: rows of each class.
        subjects: (n,) number of the person on each image; None where each image is its own person.

    Returns:
        (g, classes) numbers of images, and (g,) numbers of subjects.
    """
    if subjects is None:
        return np.eye(len(members)), np.array([len(rows) for rows in members], float)
    rows, classes = np.concatenate(members), np.repeat(np.arange(len(members)), [len(rows) for rows in members])
    people, index = np.unique(subjects[rows], return_inverse=True)
    counts = np.bincount(index * len(members) + classes, minlength=len(people) * len(members))
    return counts.reshape(len(people), len(members)).astype(float), np.ones(len(people))


def variance_correction(counts: Array, times: Array, shares: Array) -> tuple[float, float]:
    """Return the factor of the bootstrap variance of a mean of class means, and its degrees of freedom.

    Args:
        counts: (g, classes) number of images of a subject in each class.
        times: (g,) number of subjects of each kind.
        shares: (classes,) weight of each class mean; 0 for a class without images.

    Returns:
        Both are NaN where the variance cannot be estimated, as with a single image or subject.

    Examples:
        For the mean of five images they are 5 / 4 and 4.

        >>> [round(value, 4) for value in variance_correction(np.eye(1), np.array([5.0]), np.ones(1))]
        [1.25, 4.0]
    """
    known = shares > 0
    counts, shares = counts[:, known], shares[known]
    n = times @ counts
    leverage = shares**2 / n**3
    variance = counts @ (shares / n) ** 2
    explained = counts**2 @ leverage
    expected = float(times @ (variance - explained))
    total = float(times @ variance)
    if not expected > 1e-12 * total:
        return np.nan, np.nan
    gram = counts.T @ (times[:, None] * counts)
    square = float(times @ (variance**2 - 2 * variance * explained) + leverage @ gram**2 @ leverage)
    return total / expected, expected**2 / square


def interval_factor(counts: Array, times: Array, shares: Array) -> float:
    """Return by how much the deviations of bootstrap quantiles from a mean of class means must be multiplied.

    Args:
        counts: (g, classes) number of images of a subject in each class.
        times: (g,) number of subjects of each kind.
        shares: (classes,) weight of each class mean; 0 for a class without images.

    Returns:
        The factor, NaN where the deviation cannot be estimated, as with a single image or subject.

    Examples:
        For the mean of five images it is sqrt(5 / 4) times the quotient of the quantiles of t and normal.

        >>> round(interval_factor(np.eye(1), np.array([5.0]), np.ones(1)), 4)
        1.5838
        >>> round(float((5 / 4) ** 0.5 * t.ppf(0.975, 4) / norm.ppf(0.975)), 4)
        1.5838
    """
    ratio, freedom = variance_correction(counts, times, shares)
    upper = (1 + LEVEL) / 2
    return float(np.sqrt(ratio) * t.ppf(upper, freedom) / norm.ppf(upper))


def interval_factors(members: Sequence[Rows], names: Sequence[str], subjects: Rows | None) -> dict[str, float]:
    """Return the factor of each group: ``macro``, ``micro`` and the classes.

    Args:
        members: rows of each class.
        names: the classes.
        subjects: (n,) number of the person on each image; None where each image is its own person.
    """
    counts, times = count_by_subject(members, subjects)
    n = np.array([len(rows) for rows in members], float)
    if not n.sum():
        return dict.fromkeys(("macro", "micro", *names), np.nan)
    shares = {"macro": (n > 0) / (n > 0).sum(), "micro": n / n.sum()}
    shares |= {name: np.eye(len(names))[index] * (n[index] > 0) for index, name in enumerate(names)}
    return {group: interval_factor(counts, times, share) for group, share in shares.items()}


def widen(values: Array, ends: Array, factor: float) -> Array:
    """Multiply the distances of interval ends from the values.

    Args:
        values: (k,).
        ends: (k, 2) lower and upper ends.
        factor: result of ``interval_factor``.
    """
    widened: Array = values[:, None] + factor * (ends - values[:, None])
    return widened


def few_per_class(counts: Mapping[str, int], unit: str = "images") -> str:
    """Return a note on classes with fewer than ``FEW`` images or subjects, "" where there are none.

    Examples:
        >>> few_per_class({"anger": 7, "fear": 3})
        'fewer than 5 images of fear (3): its interval is unreliable'
    """
    few = [f"{name} ({count})" for name, count in counts.items() if 0 < count < FEW]
    if not few:
        return ""
    interval = "its interval is" if len(few) == 1 else "their intervals are"
    return f"fewer than {FEW} {unit} of {', '.join(few)}: {interval} unreliable"
