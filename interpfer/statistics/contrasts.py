"""Differences of means of class means between groups of runs, or between sets of images; with people and seeds.

Interval and p-value are those of one t-test, so they never disagree. Its variance has a part over people (or images)
and, where a group has several runs, a part over runs. People are crossed with runs and runs belong to one group, as
readers and cases of a study in which each reader uses one method (Hillis 2014, Statistics in Medicine 33, 330-360): the
variance of the mean of a group is that of its runs, which already holds how differently they do on single images, plus
what the images of all its runs have in common. Degrees of freedom are Satterthwaite's.

Labels of runs are not permuted: of three runs against three there are twenty ways, so no p-value could be below 0.1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from interpfer.statistics.bootstrap import LEVEL, Array, Rows
from interpfer.statistics.small_samples import count_by_subject, variance_correction

MIXED, WELCH = "mixed t", "Welch t"
"""Names of the tests, as ``Contrast.test`` has them."""


class Contrast(NamedTuple):
    """Difference of two groups, b - a.

    Attributes:
        a: value of the first.
        b: value of the second.
        difference: b - a.
        low: lower end of the 95 % confidence interval; NaN where no variance can be estimated.
        high: upper end.
        p: p-value of the hypothesis that both are equal; NaN likewise.
        n: number of images that count.
        test: test of the p-value.
        n_subjects: number of people on these images; 0 where images are taken as independent.
        std_a: standard deviation over the runs of the first; NaN for a single run.
        std_b: likewise of the second.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    test: str
    n_subjects: int
    std_a: float = np.nan
    std_b: float = np.nan


class Part(NamedTuple):
    """Part of a variance, and its degrees of freedom."""

    variance: float
    freedom: float


def t_test(difference: float, parts: Sequence[Part]) -> tuple[float, float, float]:
    """Return low, high and p of a difference whose variance is the sum of parts.

    Examples:
        >>> low, high, p = t_test(1.0, [Part(0.04, 4)])
        >>> round(low, 3), round(high, 3), round(p, 4)
        (0.445, 1.555, 0.0075)
    """
    variance = sum(part.variance for part in parts)
    if not np.isfinite(variance) or not np.isfinite(difference):
        return np.nan, np.nan, np.nan
    if not variance > 0:
        return (difference, difference, 1.0) if difference == 0 else (np.nan, np.nan, np.nan)
    freedom = variance**2 / sum(part.variance**2 / part.freedom for part in parts if part.variance > 0)
    error = variance**0.5
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    return difference - half, difference + half, float(2 * t.sf(abs(difference) / error, freedom))


def compare_groups(a: Array, b: Array, classes: Rows, subjects: Rows | None = None) -> Contrast:
    """Compare a score of two groups of runs on the same images: means over runs of the means of class means.

    A group of one run is taken as it is: the result holds for that very run, and for new images.

    Args:
        a: (runs, n) scores of the first group, NaN where undefined; an image undefined for any run is left out.
        b: (runs, n) scores of the second group.
        classes: (n,) class of each image; images of no class (-1) are left out.
        subjects: (n,) number of the person on each image; None where no subject is known.

    Examples:
        >>> a, b = np.array([[0.1, 0.3, 0.2, 0.4]]), np.array([[0.2, 0.5, 0.4, 0.5]])
        >>> line = compare_groups(a, b, np.zeros(4, int))
        >>> round(line.difference, 3), round(line.p, 4)
        (0.15, 0.0138)
    """
    known = np.isfinite(a).all(0) & np.isfinite(b).all(0) & (classes >= 0)
    a, b, strata = a[:, known], b[:, known], _number(classes[known])
    people = None if subjects is None else subjects[known]
    n, n_subjects = int(known.sum()), 0 if people is None else len(np.unique(people))
    if not n:
        return _nothing(MIXED)
    shares = np.full(strata.max() + 1, 1 / (strata.max() + 1))
    parts, common = list[Part](), _variance(b.mean(0) - a.mean(0), strata, shares, people)
    values, noise = [], 0.0
    for side in (a, b):
        own = np.array([_mean(run, strata, shares) for run in side])
        values.append(own)
        if len(own) > 1:
            parts.append(Part(float(own.var(ddof=1)) / len(own), len(own) - 1))
            apart = [_variance(run, strata, shares, people).variance for run in side - side.mean(0)]
            noise += sum(apart) / (len(own) - 1) / len(own)
    parts.append(Part(float(np.maximum(common.variance - noise, 0)), common.freedom))
    first, second = (float(own.mean()) for own in values)
    stds = [float(own.std(ddof=1)) if len(own) > 1 else np.nan for own in values]
    return Contrast(first, second, second - first, *t_test(second - first, parts), n, MIXED, n_subjects, *stds)


def compare_sets(a: Array, b: Array, classes: tuple[Rows, Rows], subjects: tuple[Rows, Rows] | None = None) -> Contrast:
    """Compare a score on two sets of images: means of the means of the classes that both have.

    For one class of independent images this is Welch's test. A person in both sets counts as one.

    Args:
        a: (n,) scores on the first set, NaN where undefined.
        b: (m,) scores on the second set.
        classes: class of each image of both sets; images of no class (-1) are left out.
        subjects: number of the person on each image of both sets; None where no subject is known.

    Examples:
        >>> line = compare_sets(np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.7]), (np.zeros(3, int), np.zeros(2, int)))
        >>> round(line.difference, 3), line.n
        (0.4, 5)
    """
    both = np.concatenate(classes)
    scores, side = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    defined = np.isfinite(scores) & (both >= 0)
    shared = np.intersect1d(both[defined & (side == 0)], both[defined & (side == 1)])
    known = defined & np.isin(both, shared)
    people = None if subjects is None else np.concatenate(subjects)[known]
    n_subjects = 0 if people is None else len(np.unique(people))
    if not len(shared):
        return _nothing(WELCH)
    strata = _number(both[known]) + len(shared) * side[known]
    weight = 1 / len(shared)
    first = _mean(scores[known], strata, np.repeat([weight, 0], len(shared)))
    second = _mean(scores[known], strata, np.repeat([0, weight], len(shared)))
    parts = _by_side(scores[known], strata, np.repeat([-weight, weight], len(shared)), people)
    return Contrast(first, second, second - first, *t_test(second - first, parts), int(known.sum()), WELCH, n_subjects)


def mean_over_seeds(differences: Array) -> tuple[float, float, float, float, float]:
    """Return mean, standard deviation (n - 1), and low, high and p of Student's t over seeds; NaN for a single seed.

    Examples:
        >>> mean, std, low, high, p = mean_over_seeds(np.array([0.1, 0.2, 0.3]))
        >>> round(mean, 2), round(std, 2), round(low, 3), round(high, 3), round(p, 3)
        (0.2, 0.1, -0.048, 0.448, 0.074)
    """
    n = len(differences)
    mean = float(differences.mean()) if n else np.nan
    if n < 2:
        return mean, np.nan, np.nan, np.nan, np.nan
    variance = float(differences.var(ddof=1))
    return mean, variance**0.5, *t_test(mean, [Part(variance / n, n - 1)])


def _nothing(test: str) -> Contrast:
    nan = float("nan")
    return Contrast(nan, nan, nan, nan, nan, nan, 0, test, 0)


def _by_side(values: Array, strata: Rows, shares: Array, people: Rows | None) -> list[Part]:
    """Return one part per set of images, where no person is in both; else one part in all."""
    sides = [np.flatnonzero(sign * shares[strata] > 0) for sign in (-1, 1)]
    if people is not None and len(np.intersect1d(people[sides[0]], people[sides[1]])):
        return [_variance(values, strata, shares, people)]
    own = (np.minimum(shares, 0), np.maximum(shares, 0))
    return [_variance(values, strata, share, people) for share in own]


def _mean(values: Array, strata: Rows, shares: Array) -> float:
    sizes = np.bincount(strata, minlength=len(shares))
    return float(np.bincount(strata, values, len(shares)) / sizes @ shares)


def _variance(values: Array, strata: Rows, shares: Array, people: Rows | None) -> Part:
    """Return the variance of a weighted sum of means of strata, over people or images; NaN where there is only one."""
    used = shares[strata] != 0
    values, strata, people = values[used], strata[used], None if people is None else people[used]
    sizes = np.bincount(strata, minlength=len(shares))
    means = np.bincount(strata, values, len(shares)) / np.maximum(sizes, 1)
    parts: Array = (shares / np.maximum(sizes, 1))[strata] * (values - means[strata])
    if people is not None:
        parts = np.bincount(np.unique(people, return_inverse=True)[1], parts).astype(float)
    members = [np.flatnonzero(strata == index) for index in range(len(shares))]
    ratio, freedom = variance_correction(*count_by_subject(members, people), np.abs(shares))
    return Part(float((parts**2).sum() * ratio), freedom)


def _number(classes: Rows) -> Rows:
    """Number classes from 0 without gaps."""
    return np.unique(classes, return_inverse=True)[1].astype(np.intp)
