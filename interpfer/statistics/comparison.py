"""Paired comparison of two classifiers on the same images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from interpfer.statistics.summary import macro_mean, summarise

Array = NDArray[np.float64]


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
    """Compare scores of the same images: means of the class means, bootstrap of pairs, Wilcoxon signed-rank test.

    Args:
        a: (n,) NaN where undefined; images undefined on either side are left out on both.
        b: (n,) likewise.
        classes: (n,) index into ``names``.
        names: the classes.
        seed: random seed of the bootstrap.
        subjects: (n,) number of the person on each image, where known.
    """
    both = np.isfinite(a) & np.isfinite(b)
    differences = np.where(both, b - a, np.nan)
    change = summarise(differences, classes, names, seed, subjects)[0]
    before, after = (_class_mean(np.where(both, side, np.nan), classes) for side in (a, b))
    paired = differences[both]
    if not len(paired):
        p = np.nan
    elif (paired == 0).all():
        p = 1.0
    else:
        p = float(wilcoxon(paired, method="asymptotic" if len(paired) > 25 else "auto").pvalue)
    return Difference(before, after, change.value, change.low, change.high, p, change.n)


def _class_mean(values: Array, classes: NDArray[np.intp]) -> float:
    """Return the macro mean over the known classes, in their order."""
    order = np.argsort(classes, kind="stable")
    order = order[classes[order] >= 0]
    return macro_mean(values[order].tolist(), classes[order].tolist())


def compare_accuracy(a: NDArray[np.bool_], b: NDArray[np.bool_], seed: int) -> Difference:
    """Compare which images each classifies correctly: difference of accuracies, exact McNemar test.

    Args:
        a: (n,) whether the first is correct.
        b: (n,) whether the second is correct.
        seed: random seed of the bootstrap.
    """
    if not len(a):
        nan = float("nan")
        return Difference(nan, nan, nan, nan, nan, nan, 0)
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    change = summarise(b.astype(float) - a, np.zeros(len(a), np.intp), ("all",), seed)[1]
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Difference(float(a.mean()), float(b.mean()), change.value, change.low, change.high, p, len(a))


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
