"""Paired comparison of two classifiers on the same images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from interpfer.statistics.summary import summarise

Array = NDArray[np.float64]


class Difference(NamedTuple):
    """What b has over a.

    Attributes:
        a: value of the first.
        b: value of the second.
        difference: b - a.
        low: lower end of the 95 % interval.
        high: upper end.
        p: chance of as large a difference between equals; NaN where nothing can be compared.
        n: images that are compared.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int


def compare_scores(
    a: Array,
    b: Array,
    classes: NDArray[np.intp],
    names: tuple[str, ...],
    seed: int,
    subjects: NDArray[np.intp] | None = None,
) -> Difference:
    """Compare scores of the same images: means of the class means, bootstrap of the pairs, Wilcoxon's signed ranks.

    Args:
        a: (n,) NaN where undefined; images undefined on either side are left out on both.
        b: (n,) likewise.
        classes: (n,) index into ``names``.
        names: the classes.
        seed: of the bootstrap.
        subjects: (n,) number of the person on each image, where known.
    """
    both = np.isfinite(a) & np.isfinite(b)
    apart = np.where(both, b - a, np.nan)
    change = summarise(apart, classes, names, seed, subjects)[0]
    before, after = (_macro(np.where(both, side, np.nan), classes, len(names)) for side in (a, b))
    moved = apart[both]
    if not len(moved):
        p = np.nan
    elif (moved == 0).all():
        p = 1.0
    else:
        p = float(wilcoxon(moved, method="asymptotic" if len(moved) > 25 else "auto").pvalue)
    return Difference(before, after, change.value, change.low, change.high, p, change.n)


def _macro(values: Array, classes: NDArray[np.intp], count: int) -> float:
    means = [members.mean() for i in range(count) if len(members := values[np.isfinite(values) & (classes == i)])]
    return float(np.mean(means)) if means else float("nan")


def compare_accuracy(a: NDArray[np.bool_], b: NDArray[np.bool_], seed: int) -> Difference:
    """Compare which images each classifies rightly: difference of accuracies, exact McNemar test.

    Args:
        a: (n,) whether the first is right.
        b: (n,) whether the second is right.
        seed: of the bootstrap.
    """
    if not len(a):
        nan = float("nan")
        return Difference(nan, nan, nan, nan, nan, nan, 0)
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    change = summarise(b.astype(float) - a, np.zeros(len(a), np.intp), ("all",), seed)[1]
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Difference(float(a.mean()), float(b.mean()), change.value, change.low, change.high, p, len(a))


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values of many comparisons after Holm (1979); NaN stay NaN and do not count.

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
