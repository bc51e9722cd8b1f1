"""Paired comparison of two classifiers on the same images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from interpfer.statistics.bootstrap import Array, Rows
from interpfer.statistics.permutation import sign_flip_test
from interpfer.statistics.summary import class_means, mean_of_class_means, summarise, summarise_table

SIGN_FLIP, MCNEMAR = "sign flip", "McNemar"
"""Names of the tests, as ``Difference.test`` has them."""


class Difference(NamedTuple):
    """Difference of two classifiers, b - a.

    Attributes:
        a: value of the first.
        b: value of the second.
        difference: b - a.
        low: lower end of the 95 % confidence interval.
        high: upper end.
        p: p-value of the hypothesis that both are equal; NaN where nothing can be compared.
        n: number of images that are compared.
        test: test of the p-value.
        n_subjects: number of people on these images; 0 where images are taken as independent.
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


def compare_scores(
    a: Array, b: Array, classes: Rows, names: tuple[str, ...], seed: int, subjects: Rows | None = None
) -> list[Difference]:
    """Compare k scores of the same images: means of the class means, bootstrap of pairs, sign-flip test.

    Interval and test concern the same quantity, the mean of the class means of b - a. The test flips the signs of the
    parts that people have in it, or images where no subject is known.

    Args:
        a: (n, k) NaN where undefined; images undefined on either side are left out on both.
        b: (n, k) likewise.
        classes: (n,) index into ``names``; images of no class (-1) are left out.
        names: the classes.
        seed: random seed of bootstrap and test.
        subjects: (n,) number of the person on each image; None where no subject is known.

    Examples:
        >>> a, b = np.array([[0.2], [0.4], [0.5]]), np.array([[0.3], [0.6], [0.9]])
        >>> (line,) = compare_scores(a, b, np.array([0, 0, 1]), ("anger", "fear"), seed=0)
        >>> round(line.difference, 3), line.p, line.n
        (0.275, 0.25, 3)
    """
    known = np.isfinite(a) & np.isfinite(b) & (classes >= 0)[:, None]
    differences = np.where(known, b - a, np.nan)
    summaries = summarise_table(differences, classes, names, seed, subjects)
    people = np.arange(len(classes)) if subjects is None else subjects
    p = sign_flip_test(_parts(differences, classes, people), seed)
    lines = []
    for column, (macro, *_) in enumerate(summaries):
        rows = known[:, column]
        members = [np.flatnonzero(rows & (classes == index)) for index in range(len(names))]
        before, after = (float(mean_of_class_means(class_means(side[:, [column]], members))[0]) for side in (a, b))
        n_subjects = 0 if subjects is None else len(np.unique(subjects[rows]))
        value, low, high, n = macro[1:]
        own_p = float(p[column]) if n else np.nan
        lines.append(Difference(before, after, value, low, high, own_p, n, SIGN_FLIP, n_subjects))
    return lines


def _parts(differences: Array, classes: Rows, people: Rows) -> Array:
    """Return the part of each person in the mean of the class means: (people, k), which add up to it."""
    known = np.isfinite(differences)
    sizes = np.zeros_like(differences)
    present = np.zeros(differences.shape[1])
    for index in np.unique(classes[classes >= 0]):
        rows = classes == index
        count = known[rows].sum(0)
        sizes[rows] = count
        present += count > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(known, differences / (sizes * present), 0)
    parts = np.zeros((int(people.max(initial=-1)) + 1, differences.shape[1]))
    np.add.at(parts, people, shares)
    return parts


def compare_accuracy(a: NDArray[np.bool_], b: NDArray[np.bool_], seed: int, subjects: Rows | None = None) -> Difference:
    """Compare which images each classifies correctly: difference of accuracies with interval and test.

    The test is McNemar's exact one, which takes images as independent; where subjects are known, it is the sign-flip
    test of the parts that people have in the difference.

    Args:
        a: (n,) whether the first is correct.
        b: (n,) whether the second is correct.
        seed: random seed of bootstrap and test.
        subjects: (n,) number of the person on each image; None where no subject is known.

    Examples:
        >>> a, b = np.array([True, False, False, False]), np.array([True, True, True, True])
        >>> compare_accuracy(a, b, seed=0).p
        0.25
    """
    test = MCNEMAR if subjects is None else SIGN_FLIP
    if not len(a):
        nan = float("nan")
        return Difference(nan, nan, nan, nan, nan, nan, 0, test, 0)
    differences, alike = b.astype(float) - a, np.zeros(len(a), np.intp)
    change = summarise(differences, alike, ("all",), seed, subjects)[1]
    if subjects is None:
        gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
        p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    else:
        p = float(sign_flip_test(_parts(differences[:, None], alike, subjects), seed)[0])
    n_subjects = 0 if subjects is None else len(np.unique(subjects))
    sides = float(a.mean()), float(b.mean())
    return Difference(*sides, change.value, change.low, change.high, p, len(a), test, n_subjects)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of several comparisons (Holm 1979); NaN stay NaN and do not count.

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, float)
    order = [i for i in np.argsort(values).tolist() if np.isfinite(values[i])]
    adjusted = np.full(len(values), np.nan)
    least = 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * values[index]))
        adjusted[index] = least
    return [float(value) for value in adjusted]
