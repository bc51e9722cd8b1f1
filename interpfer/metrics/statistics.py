"""From scores per image to scores of a data set, with intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95


class Summary(NamedTuple):
    """A score of a group of images.

    Attributes:
        group: "macro", "micro" or a class.
        value: NaN where nothing is defined.
        low: lower end of the 95 % interval.
        high: upper end.
        n: images whose score is defined.
    """

    group: str
    value: float
    low: float
    high: float
    n: int


def summarise(
    scores: NDArray[np.float64], classes: NDArray[np.intp], names: tuple[str, ...], seed: int
) -> list[Summary]:
    """Average scores: over images (``micro``), per class, and over the class means (``macro``).

    Intervals are percentiles of a bootstrap over images, stratified by class: images are drawn anew within each class.

    Args:
        scores: (n,), NaN where undefined; those are left out.
        classes: (n,) index into ``names``.
        names: the classes.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    defined = np.isfinite(scores)
    groups = []
    means, draws, sizes = [], [], []
    for index, name in enumerate(names):
        values = scores[defined & (classes == index)]
        if not len(values):
            groups.append(Summary(name, np.nan, np.nan, np.nan, 0))
            continue
        resampled = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
        means.append(values.mean())
        draws.append(resampled)
        sizes.append(len(values))
        groups.append(Summary(name, values.mean(), *_interval(resampled), len(values)))
    if not means:
        return [Summary(group, np.nan, np.nan, np.nan, 0) for group in ("macro", "micro")] + groups
    weights, stacked, n = np.array(sizes) / sum(sizes), np.array(draws), sum(sizes)
    macro = Summary("macro", float(np.mean(means)), *_interval(stacked.mean(0)), n)
    micro = Summary("micro", float(np.mean(scores[defined])), *_interval(weights @ stacked), n)
    return [macro, micro, *groups]


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
