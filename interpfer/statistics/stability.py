"""How stable an order of classifiers or of maps is: what resampling the images, or another choice, does to it."""

from typing import NamedTuple

import numpy as np

from interpfer.statistics.bootstrap import Array, Rows, means_by_image, means_by_subject
from interpfer.statistics.summary import class_means, mean_of_class_means, mean_of_known


class Order(NamedTuple):
    """An order of k items by the means of the class means of their scores.

    Attributes:
        values: (k,) means of the class means.
        first: (k,) share of the resamples in which each is first; ties share the place.
        tau: mean over the resamples of Kendall's tau-b between the order of the resample and that of all images.
        n: number of images on which every item has a score.
    """

    values: Array
    first: Array
    tau: float
    n: int


def resample_order(
    scores: Array, classes: Rows, count: int, seed: int, subjects: Rows | None = None, higher_is_better: bool = True
) -> Order:
    """Return the order of items and its stability over bootstrap resamples of the images.

    Images are resampled within each class; where subjects are known, people with all their images. All items are
    scored on the same images in each resample.

    Args:
        scores: (n, k) scores of k items, NaN where undefined; such images are left out for all items.
        classes: (n,) index of the class of each image; -1 for none, which leaves it out.
        count: number of classes.
        seed: random seed of the resamples.
        subjects: (n,) number of the person on each image, where known.
        higher_is_better: whether the largest score is first.

    Returns:
        The order; values and shares are NaN where no image has all scores.

    Examples:
        >>> apart = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
        >>> order = resample_order(apart, np.array([0, 0, 1]), count=2, seed=0)
        >>> order.first.tolist(), order.tau, order.n
        ([1.0, 0.0], 1.0, 3)
    """
    shared = np.isfinite(scores).all(1) & (classes >= 0)
    members = [np.flatnonzero(shared & (classes == index)) for index in range(count)]
    present = [rows for rows in members if len(rows)]
    k = scores.shape[1]
    if not present:
        return Order(np.full(k, np.nan), np.full(k, np.nan), np.nan, 0)
    values = mean_of_class_means(class_means(scores, present))
    if subjects is None:
        draws = means_by_image(scores, present, seed)
    else:
        draws = means_by_subject(scores, present, subjects, seed)
    resampled = mean_of_known(np.stack(draws))
    sign = 1 if higher_is_better else -1
    is_top = sign * resampled == (sign * resampled).max(1, keepdims=True)
    first = (is_top / is_top.sum(1, keepdims=True)).mean(0)
    taus = kendall_tau(values, resampled)
    tau = float(taus[np.isfinite(taus)].mean()) if np.isfinite(taus).any() else np.nan
    return Order(values, first, tau, int(shared.sum()))


def kendall_tau(values: Array, others: Array) -> Array:
    """Return Kendall's tau-b between an order of k items and r others (Kendall 1945): (r,), NaN where all are tied.

    Args:
        values: (k,) scores that order the items.
        others: (r, k) likewise.

    Examples:
        >>> kendall_tau(np.array([3.0, 2.0, 1.0]), np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0]])).round(3).tolist()
        [1.0, 0.333]
    """
    left, right = np.triu_indices(len(values), 1)
    own, other = np.sign(values[left] - values[right]), np.sign(others[:, left] - others[:, right])
    known = np.sqrt(np.count_nonzero(own) * np.count_nonzero(other, axis=1))
    with np.errstate(invalid="ignore"):
        tau: Array = (other @ own) / np.where(known, known, np.nan)
    return tau
