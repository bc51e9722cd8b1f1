"""From scores per image to scores of a data set, with intervals."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
POOLED_RESAMPLES = 200
"""Resamples of metrics that pool counts, whose every resample is a sum over all images."""
LEVEL = 0.95
DRAWN_AT_ONCE = 1_000_000
"""Values drawn at a time, so that a bootstrap of many images stays small."""

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """A score of a group of images.

    Attributes:
        group: "macro", "micro", a class, "correct" or "wrong".
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
    scores: Array,
    classes: NDArray[np.intp],
    names: tuple[str, ...],
    seed: int,
    subjects: NDArray[np.intp] | None = None,
) -> list[Summary]:
    """Average scores: over images (``micro``), per class, and over the class means (``macro``).

    Intervals are percentiles of a bootstrap. Over images it is stratified: images are drawn anew within each class.
    Over subjects, whole subjects are drawn with all their images.

    Args:
        scores: (n,), NaN where undefined; those are left out.
        classes: (n,) index into ``names``.
        names: the classes.
        seed: of the bootstrap.
        subjects: (n,) number of the person on each image, where known.
    """
    defined = np.isfinite(scores)
    members = [np.flatnonzero(defined & (classes == index)) for index in range(len(names))]
    if subjects is None:
        draws = _draws_by_image(scores, members, seed)
    else:
        draws = _draws_by_subject(scores, members, subjects, seed)
    values = [scores[rows].mean() if len(rows) else np.nan for rows in members]
    groups = [
        Summary(name, float(value), *interval(drawn), len(rows))
        for name, value, drawn, rows in zip(names, values, draws, members, strict=True)
    ]
    sizes = np.array([len(rows) for rows in members])
    n = int(sizes.sum())
    if not n:
        return [Summary(group, np.nan, np.nan, np.nan, 0) for group in ("macro", "micro")] + groups
    there, stacked = sizes > 0, np.array(draws)[sizes > 0]
    weights = sizes[there] / n
    macro = Summary("macro", float(np.mean(np.array(values)[there])), *interval(_mean(stacked)), n)
    micro = Summary("micro", float(np.mean(scores[defined])), *interval(_mean(stacked, weights)), n)
    return [macro, micro, *groups]


def _draws_by_image(scores: Array, members: Sequence[NDArray[np.intp]], seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [_resample(scores[rows], rng) for rows in members]


def _resample(values: Array, rng: np.random.Generator) -> Array:
    """Return the means of resamples of values, a few resamples at a time."""
    if not len(values):
        return np.full(RESAMPLES, np.nan)
    means = []
    for start in range(0, RESAMPLES, step := max(DRAWN_AT_ONCE // len(values), 1)):
        count = min(step, RESAMPLES - start)
        means.append(values[rng.integers(0, len(values), (count, len(values)))].mean(1))
    return np.concatenate(means)


def _draws_by_subject(
    scores: Array, members: Sequence[NDArray[np.intp]], subjects: NDArray[np.intp], seed: int
) -> list[Array]:
    weights = subject_weights(subjects, RESAMPLES, seed)
    draws = []
    for rows in members:
        chosen = weights[:, rows]
        with np.errstate(invalid="ignore"):
            draws.append(chosen @ scores[rows] / chosen.sum(1))
    return draws


def _mean(draws: Array, weights: Array | None = None) -> Array:
    """Average (groups, resamples) over groups, leaving out groups that a resample missed."""
    share = np.ones(len(draws)) if weights is None else weights
    present = np.isfinite(draws)
    mean: Array = share @ np.where(present, draws, 0) / (share @ present)
    return mean


def image_weights(classes: NDArray[np.intp], resamples: int, seed: int) -> Array:
    """Return how often a bootstrap stratified by class draws each image: (resamples, n)."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(classes)))
    for index in np.unique(classes):
        rows = np.flatnonzero(classes == index)
        drawn = rng.integers(0, len(rows), (resamples, len(rows))) + len(rows) * np.arange(resamples)[:, None]
        weights[:, rows] = np.bincount(drawn.ravel(), minlength=resamples * len(rows)).reshape(resamples, len(rows))
    return weights


def subject_weights(subjects: NDArray[np.intp], resamples: int, seed: int) -> Array:
    """Return how often a bootstrap over subjects draws each image: (resamples, n)."""
    _, person = np.unique(subjects, return_inverse=True)
    return image_weights(np.zeros(person.max(initial=-1) + 1, np.intp), resamples, seed)[:, person]


class Pool(NamedTuple):
    """Counts added over groups of images: as they are, and in each of r resamples.

    Attributes:
        groups: "micro", the classes, and the halves.
        sums: group -> (1 + r, bins), the first row without resampling.
        sizes: group -> images in it.
    """

    groups: tuple[str, ...]
    sums: dict[str, Array]
    sizes: dict[str, int]


def pool(
    counts: NDArray[np.unsignedinteger],
    classes: NDArray[np.intp],
    names: tuple[str, ...],
    weights: Array,
    halves: dict[str, NDArray[np.bool_]],
) -> Pool:
    """Add counts over all images, over those of each class, and over each half.

    Args:
        counts: (n, bins) of the images that count.
        classes: (n,) index into ``names``, -1 for none.
        names: the classes.
        weights: (r, n) how often each resample draws each image.
        halves: further groups of images by name.
    """
    members = {name: classes == index for index, name in enumerate(names)}
    groups = {"micro": np.ones(len(counts), bool)} | members | halves
    sums = {}
    for name, which in groups.items():
        drawn = weights[:, which].astype(np.float32) @ counts[which].astype(np.float32)
        sums[name] = np.concatenate([counts[which].sum(0, dtype=np.float64)[None], drawn.round()])
    return Pool(tuple(groups), sums, {name: int(which.sum()) for name, which in groups.items()})


def add_pools(pools: Iterable[Pool]) -> Pool:
    """Add the pools of batches of images.

    Raises:
        ValueError: there is none.
    """
    total: Pool | None = None
    for batch in pools:
        if total is None:
            total = batch
            continue
        for name in total.groups:
            total.sums[name] += batch.sums[name]
            total.sizes[name] += batch.sizes[name]
    if total is None:
        raise ValueError("no batch was counted")
    return total


def summarise_pooled(pooled: Pool, score: Callable[[Array], Array], names: tuple[str, ...]) -> list[Summary]:
    """Score the added counts of each group; ``macro`` is the mean of the classes.

    Args:
        pooled: out of ``pool``.
        score: (r, bins) sums of counts to (r,) scores.
        names: the classes.
    """
    values = {group: score(pooled.sums[group]) for group in pooled.groups}
    known = [values[name] for name in names if np.isfinite(values[name][0])]
    macro = _mean(np.array(known)) if known else np.full_like(values["micro"], np.nan)
    rows = {"macro": macro} | values
    sizes = {"macro": pooled.sizes["micro"]} | pooled.sizes
    return [Summary(group, float(drawn[0]), *interval(drawn[1:]), sizes[group]) for group, drawn in rows.items()]


def summarise_half(name: str, scores: Array, half: NDArray[np.bool_], seed: int) -> Summary:
    """Average the scores of some images, with an interval over images."""
    values = scores[half & np.isfinite(scores)]
    everyone = np.zeros(len(values), np.intp)
    return Summary(name, *summarise(values, everyone, (name,), seed)[2][1:])


def interval(draws: Array) -> tuple[float, float]:
    """Return the middle 95 % of resampled values; NaN where there are none."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
