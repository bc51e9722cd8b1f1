"""From scores per image to scores of a data set, with intervals."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.statistics.bootstrap import Array, Rows, intervals, means_by_image, means_by_subject


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
    scores: Array, classes: Rows, names: tuple[str, ...], seed: int, subjects: Rows | None = None
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
    return summarise_table(scores[:, None], classes, names, seed, subjects)[0]


def summarise_table(
    scores: Array, classes: Rows, names: tuple[str, ...], seed: int, subjects: Rows | None = None
) -> list[list[Summary]]:
    """Summarise every column of (n, k) scores as ``summarise`` does; columns defined for the same images share draws.

    Returns:
        k lists: ``macro``, ``micro``, and one summary per class.
    """
    found: list[list[Summary]] = [[] for _ in range(scores.shape[1])]
    for columns, defined in _alike(np.isfinite(scores)):
        summaries = _summarise(scores[:, columns], defined, classes, names, seed, subjects)
        for column, summary in zip(columns, summaries, strict=True):
            found[column] = summary
    return found


def _alike(defined: NDArray[np.bool_]) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Yield the columns that are defined for the same images, and which these are."""
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
    there = [index for index, size in enumerate(sizes) if size]
    values = np.array([scores[rows].mean(0) if len(rows) else np.full(count, np.nan) for rows in members])
    stacked, shares = np.array([draws[index] for index in there]), np.array([sizes[index] / n for index in there])
    table = {
        "macro": (values[there].mean(0), mean_of_known(stacked), n),
        "micro": (scores[defined].mean(0), mean_of_known(stacked, shares), n),
    } | {name: (values[index], draws[index], sizes[index]) for index, name in enumerate(names)}
    found: list[list[Summary]] = [[] for _ in range(count)]
    for group, (value, drawn, size) in table.items():
        for column, (low, high) in enumerate(intervals(drawn)):
            found[column].append(Summary(group, float(value[column]), float(low), float(high), size))
    return found


def mean_of_known(draws: Array, weights: Array | None = None) -> Array:
    """Average (groups, ...) resampled values over groups, leaving out groups that a resample missed."""
    share = np.ones(len(draws)) if weights is None else weights
    present = np.isfinite(draws)
    mean: Array = np.tensordot(share, np.where(present, draws, 0), 1) / np.tensordot(share, present.astype(float), 1)
    return mean


def summarise_halves(
    scores: Array, halves: dict[str, NDArray[np.bool_]], seed: int, subjects: Rows | None = None
) -> list[list[Summary]]:
    """Average every column of (n, k) scores over some images, with an interval as ``summarise`` makes it."""
    found: list[list[Summary]] = [[] for _ in range(scores.shape[1])]
    for name, half in halves.items():
        people = None if subjects is None else subjects[half]
        chosen = scores[half]
        for column, summaries in enumerate(
            summarise_table(chosen, np.zeros(len(chosen), np.intp), (name,), seed, people)
        ):
            found[column].append(summaries[2])
    return found
