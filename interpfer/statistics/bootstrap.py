"""Bootstrap over images or subjects, a few resamples at a time so that memory does not grow with the data set."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

RESAMPLES = 1000
LEVEL = 0.95
DRAWN_AT_ONCE = 1_000_000
"""Number of values drawn at a time."""

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Draws = NDArray[np.uint8]
"""How often each resample draws each image: (resamples, n). Hardly ever above 10, so a byte is enough."""


def means_by_image(scores: Array, members: Sequence[Rows], seed: int) -> list[Array]:
    """Return the means of each group of images in resamples of its images.

    Args:
        scores: (n, k).
        members: the rows of each group.
        seed: random seed of the draws.

    Returns:
        (RESAMPLES, k) per group, NaN where the group is empty.
    """
    rng = np.random.default_rng(seed)
    return [_means(scores[rows], rng) for rows in members]


def means_by_subject(scores: Array, members: Sequence[Rows], subjects: Rows, seed: int) -> list[Array]:
    """Return the same for resamples of whole subjects with all their images.

    The means are linear in how often each subject is drawn: the number of images of a group stays that of the data, so
    that no resample lacks a group, and that a group of few subjects does not get too wide an interval.

    Args:
        scores: (n, k).
        members: the rows of each group.
        subjects: (n,) number of the person on each image.
        seed: random seed of the draws.
    """
    present, person = np.unique(subjects[np.concatenate(members)], return_inverse=True)
    means, parts, start = [], [], 0
    for rows in members:
        size = len(rows)
        mean = scores[rows].mean(0) if size else np.full(scores.shape[1], np.nan)
        places = (person[start : start + size], np.arange(size))
        shares = csr_array((np.full(size, 1 / max(size, 1)), places), shape=(len(present), size))
        means.append(mean)
        parts.append(shares @ (scores[rows] - mean))
        start += size
    deviations: list[list[Array]] = [[] for _ in members]
    for counts in _draws(len(present), RESAMPLES, np.random.default_rng(seed)):
        weights = counts.astype(float)
        for part, drawn in zip(parts, deviations, strict=True):
            drawn.append(weights @ part)
    return [mean + np.concatenate(drawn) for mean, drawn in zip(means, deviations, strict=True)]


def image_weights(classes: Rows, resamples: int, seed: int) -> Draws:
    """Return how often a bootstrap stratified by class draws each image: (resamples, n)."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(classes)), np.uint8)
    for index in np.unique(classes):
        rows = np.flatnonzero(classes == index)
        weights[:, rows] = np.concatenate(list(_draws(len(rows), resamples, rng)))
    return weights


def subject_weights(subjects: Rows, resamples: int, seed: int) -> Draws:
    """Return how often a bootstrap over subjects draws each image: (resamples, n)."""
    _, person = np.unique(subjects, return_inverse=True)
    return image_weights(np.zeros(person.max(initial=-1) + 1, np.intp), resamples, seed)[:, person]


def interval(draws: Array) -> tuple[float, float]:
    """Return the ends of the middle 95 % of resampled values; NaN where there are none."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def intervals(draws: Array) -> Array:
    """Return the intervals of the columns of (resamples, k) values: (k, 2), as ``interval`` does."""
    if np.isfinite(draws).all():
        ends: Array = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T
        return ends
    return np.array([interval(column) for column in draws.T])


def _means(values: Array, rng: np.random.Generator) -> Array:
    if not len(values):
        return np.full((RESAMPLES, values.shape[1]), np.nan)
    draws = _draws(len(values), RESAMPLES, rng)
    return np.concatenate([counts.astype(float) @ values for counts in draws]) / len(values)


def _draws(n: int, resamples: int, rng: np.random.Generator) -> Iterator[Draws]:
    """Yield how often n values are drawn n times, a few resamples at a time."""
    step = max(DRAWN_AT_ONCE // max(n, 1), 1)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        rows = rng.integers(0, n, (count, n)) if n else np.zeros((count, 0), np.intp)
        rows += n * np.arange(count)[:, None]
        yield np.bincount(rows.ravel(), minlength=count * n).reshape(count, n).astype(np.uint8)
