"""From scores per image to scores of a data set, with confidence intervals."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.statistics.bootstrap import Array, Rows, intervals, means_by_image, means_by_subject
from interpfer.statistics.small_samples import interval_factors, widen


class Summary(NamedTuple):
    """A score of a group of images.

    Attributes:
        group: "macro", "micro", a class, "correct" or "wrong".
        value: the mean; NaN where nothing is defined.
        low: lower end of the 95 % confidence interval; NaN for a single image or subject.
        high: upper end.
        n: number of images whose score is defined.
    """

    group: str
    value: float
    low: float
    high: float
    n: int


def summarise(
    scores: Array, classes: Rows, names: tuple[str, ...], seed: int, subjects: Rows | None = None
) -> list[Summary]:
    """Average scores: over images (``micro``), per class, and over the class means (``macro``).

    Intervals are percentiles of a bootstrap, widened for few images or subjects as in
    ``interpfer.statistics.small_samples``. Over images it is stratified: images are resampled within each class. Over
    subjects, whole subjects are resampled with all their images.

    Args:
        scores: (n,), NaN where undefined; those are left out.
        classes: (n,) index into ``names``; -1 for none.
        names: the classes.
        seed: random seed of the bootstrap.
        subjects: (n,) number of the person on each image, where known.

    Returns:
        ``macro``, ``micro``, and one summary per class.

    Examples:
        >>> summaries = summarise(np.array([0.2, 0.4, 0.9]), np.array([0, 0, 1]), ("anger", "fear"), seed=0)
        >>> [(one.group, round(one.value, 4), one.n) for one in summaries]
        [('macro', 0.6, 3), ('micro', 0.5, 3), ('anger', 0.3, 2), ('fear', 0.9, 1)]
    """
    return summarise_table(scores[:, None], classes, names, seed, subjects)[0]


def summarise_table(
    scores: Array, classes: Rows, names: tuple[str, ...], seed: int, subjects: Rows | None = None
) -> list[list[Summary]]:
    """Summarise every column of (n, k) scores as ``summarise`` does; columns defined for the same images share draws.

    Returns:
        k lists: ``macro``, ``micro``, and one summary per class.
    """
    summaries: list[list[Summary]] = [[] for _ in range(scores.shape[1])]
    for columns, defined in _equally_defined(np.isfinite(scores)):
        rows = _summarise(scores[:, columns], defined, classes, names, seed, subjects)
        for column, summary in zip(columns, rows, strict=True):
            summaries[column] = summary
    return summaries


def _equally_defined(defined: NDArray[np.bool_]) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Yield the columns that are defined for the same images, and which images these are."""
    groups: dict[bytes, list[int]] = {}
    for column in range(defined.shape[1]):
        groups.setdefault(defined[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield columns, defined[:, columns[0]]


def _summarise(
    scores: Array,
    defined: NDArray[np.bool_],
    classes: Rows,
    names: tuple[str, ...],
    seed: int,
    subjects: Rows | None,
) -> list[list[Summary]]:
    count = scores.shape[1]
    members = [np.flatnonzero(defined & (classes == index)) for index in range(len(names))]
    sizes = [len(rows) for rows in members]
    n = sum(sizes)
    if not n:
        groups = ("macro", "micro", *names)
        return [[Summary(group, np.nan, np.nan, np.nan, 0) for group in groups] for _ in range(count)]
    if subjects is None:
        draws = means_by_image(scores, members, seed)
    else:
        draws = means_by_subject(scores, members, subjects, seed)
    present = [index for index, size in enumerate(sizes) if size]
    values = class_means(scores, members)
    stacked, shares = np.array([draws[index] for index in present]), np.array([sizes[index] / n for index in present])
    table = {
        "macro": (mean_of_class_means(values), mean_of_known(stacked), n),
        "micro": (scores[defined].mean(0), mean_of_known(stacked, shares), n),
    } | {name: (values[index], draws[index], sizes[index]) for index, name in enumerate(names)}
    factors = interval_factors(members, names, subjects)
    summaries: list[list[Summary]] = [[] for _ in range(count)]
    for group, (value, resampled, size) in table.items():
        for column, (low, high) in enumerate(widen(value, intervals(resampled), factors[group])):
            summaries[column].append(Summary(group, float(value[column]), float(low), float(high), size))
    return summaries


def macro_mean(values: Sequence[float], classes: Sequence[object]) -> float:
    """Return the mean of the class means of the defined values, NaN where none is.

    Args:
        values: n values; NaN where undefined.
        classes: n classes, of any hashable kind.

    Examples:
        >>> macro_mean([1.0, 0.0, 0.25, float("nan")], ["anger", "anger", "fear", "fear"])
        0.375
    """
    members: dict[object, list[int]] = {}
    for row, (value, name) in enumerate(zip(values, classes, strict=True)):
        if np.isfinite(value):
            members.setdefault(name, []).append(row)
    rows = [np.array(group, np.intp) for group in members.values()]
    return float(mean_of_class_means(class_means(np.asarray(values, np.float64)[:, None], rows))[0])


def class_means(scores: Array, members: Sequence[Rows]) -> Array:
    """Return the mean of (n, k) scores over the rows of each class: (classes, k), NaN for a class without rows."""
    k = scores.shape[1]
    means = [scores[rows].mean(0) if len(rows) else np.full(k, np.nan) for rows in members]
    return np.array(means, np.float64).reshape(-1, k)


def mean_of_class_means(means: Array) -> Array:
    """Return the mean of (classes, k) class means over the classes that have one: (k,), NaN where none has."""
    known = means[~np.isnan(means).any(1)]
    mean: Array = known.mean(0) if len(known) else np.full(means.shape[1], np.nan)
    return mean


def mean_of_known(draws: Array, weights: Array | None = None) -> Array:
    """Average (groups, ...) resampled values over groups, leaving out groups that a resample lacks; NaN for all."""
    share = np.ones(len(draws)) if weights is None else weights
    present = np.isfinite(draws)
    with np.errstate(invalid="ignore"):
        mean: Array = np.tensordot(share, np.where(present, draws, 0), 1) / np.tensordot(
            share, present.astype(float), 1
        )
    return mean


def summarise_halves(
    scores: Array, halves: dict[str, NDArray[np.bool_]], seed: int, subjects: Rows | None = None
) -> list[list[Summary]]:
    """Average every column of (n, k) scores over some images, with an interval as in ``summarise``.

    Args:
        scores: (n, k), NaN where undefined.
        halves: name -> (n,) which images belong to the group.
        seed: random seed of the bootstrap.
        subjects: (n,) number of the person on each image, where known.

    Returns:
        k lists of one summary per group.
    """
    summaries: list[list[Summary]] = [[] for _ in range(scores.shape[1])]
    for name, half in halves.items():
        people = None if subjects is None else subjects[half]
        chosen = scores[half]
        for column, rows in enumerate(summarise_table(chosen, np.zeros(len(chosen), np.intp), (name,), seed, people)):
            summaries[column].append(rows[2])
    return summaries
