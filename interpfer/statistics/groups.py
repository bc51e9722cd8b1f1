"""Differences between groups of images, such as annotated ages: gaps of adjusted means, with a permutation test.

Groups differ in their mix of classes, and classes differ in their scores. So gaps are those of adjusted means, as in an
analysis of variance with the factors class and group: what the linear model score = class + group expects of a group,
averaged over the classes.

Under the hypothesis of no difference the groups are exchangeable, so they are permuted: over people with all their
images where each person belongs to one group, over the images of each person where people belong to several, and over
images where no person is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.statistics.bootstrap import Array, Rows

PERMUTATIONS = 4999
"""Random permutations of a test; with the one that was observed they are 5000."""

AT_ONCE = 4_000_000
"""Values of permuted groups that are held at a time."""

TOLERANCE = 1e-12
"""Difference by which two gaps are taken as equal."""

PEOPLE, WITHIN_PEOPLE, IMAGES = "people", "images within people", "images"
"""What is permuted, as ``Grouping.units`` has it."""


class Gap(NamedTuple):
    """The largest difference between groups.

    Attributes:
        lowest: group with the lowest value, an index; -1 where fewer than two groups have a value.
        low: its value.
        highest: group with the highest value.
        high: its value.
        p: p-value of the hypothesis that groups do not matter; NaN where there is no gap.
        n: number of images that count.
    """

    lowest: int
    low: float
    highest: int
    high: float
    p: float
    n: int


@dataclass(frozen=True)
class Grouping:
    """Groups of images, and what is exchangeable.

    Attributes:
        groups: (n,) number of the group of each image; -1 for none.
        count: number of groups.
        subjects: (n,) number of the person on each image; None where no subject is known.
    """

    groups: Rows
    count: int
    subjects: Rows | None = None

    @property
    def units(self) -> str:
        """What the test permutes: people, images within people, or images."""
        if self.subjects is None:
            return IMAGES
        known = self.groups >= 0
        pairs = np.unique(np.stack([self.subjects[known], self.groups[known]]), axis=1)
        return PEOPLE if len(np.unique(pairs[0])) == pairs.shape[1] else WITHIN_PEOPLE

    def permute(self, permutations: int, seed: int) -> Iterator[NDArray[np.intp]]:
        """Yield (some, n) groups, a few permutations at a time; images of no group stay so."""
        rng, known = np.random.default_rng(seed), np.flatnonzero(self.groups >= 0)
        own, units = self.groups[known], self.units
        step = max(AT_ONCE // max(len(known), 1), 1)
        people = np.zeros(len(known), np.intp) if self.subjects is None else self.subjects[known]
        _, first, person = np.unique(people, return_index=True, return_inverse=True)
        for start in range(0, permutations, step):
            size = min(step, permutations - start)
            drawn = np.full((size, len(self.groups)), -1, np.intp)
            if units == PEOPLE:
                drawn[:, known] = rng.permuted(np.tile(own[first], (size, 1)), axis=1)[:, person]
            elif units == IMAGES:
                drawn[:, known] = rng.permuted(np.tile(own, (size, 1)), axis=1)
            else:
                keys = rng.random((size, len(known))) + person
                places = np.argsort(person, kind="stable")
                drawn[:, known[places]] = np.take(own, np.argsort(keys, axis=1))
            yield drawn


def adjusted_means(scores: Array, classes: Rows, grouping: Grouping) -> Array:
    """Return the adjusted mean of each group: (groups, k), NaN where nothing is defined.

    Args:
        scores: (n, k), NaN where undefined.
        classes: (n,) class of each image; those of no class (-1) do not count.
        grouping: the groups.

    Examples:
        >>> scores, classes = np.array([[0.2], [0.4], [0.8], [0.9]]), np.array([0, 0, 1, 1])
        >>> adjusted_means(scores, classes, Grouping(np.array([0, 1, 0, 1]), 2)).ravel().round(3).tolist()
        [0.5, 0.65]
    """
    means = np.full((grouping.count, scores.shape[1]), np.nan)
    for columns, rows in _equally_defined(scores, classes, grouping):
        model = _ClassModel(scores[rows][:, columns], classes[rows])
        means[:, columns] = model.adjusted_means(grouping.groups[rows], grouping.count)
    return means


def find_gaps(
    scores: Array, classes: Rows, grouping: Grouping, seed: int, permutations: int = PERMUTATIONS
) -> list[Gap]:
    """Find the largest gap between the adjusted means of groups, and test it by permutation, for each of k scores.

    Args:
        scores: (n, k), NaN where undefined.
        classes: (n,) class of each image; those of no class (-1) do not count.
        grouping: the groups.
        seed: random seed of the permutations.
        permutations: number of random ones; the p-value is (1 + hits) / (1 + permutations) (Phipson and Smyth 2010).

    Examples:
        >>> scores = np.repeat([[0.1], [0.9]], 8, axis=0)
        >>> gap = find_gaps(scores, np.zeros(16, int), Grouping(np.repeat([0, 1], 8), 2), seed=0)[0]
        >>> round(gap.low, 3), round(gap.high, 3), gap.p < 0.001
        (0.1, 0.9, True)
    """
    gaps = [Gap(-1, np.nan, -1, np.nan, np.nan, 0)] * scores.shape[1]
    for columns, rows in _equally_defined(scores, classes, grouping):
        model = _ClassModel(scores[rows][:, columns], classes[rows])
        people = None if grouping.subjects is None else grouping.subjects[rows]
        own = Grouping(grouping.groups[rows], grouping.count, people)
        observed = _spread(model.effects(own.groups[None], own.count))[0]
        hits = np.zeros(len(columns))
        for drawn in own.permute(permutations, seed):
            hits += (_spread(model.effects(drawn, own.count)) >= observed - TOLERANCE).sum(0)
        means = model.adjusted_means(own.groups, own.count)
        for place, column in enumerate(columns):
            gaps[column] = _gap(means[:, place], float(1 + hits[place]) / (1 + permutations), len(rows))
    return gaps


def find_f1_gap(
    true: Rows, predicted: Rows, grouping: Grouping, seed: int, permutations: int = PERMUTATIONS
) -> tuple[Array, Gap]:
    """Return the macro F1 of each group, and its largest gap, tested by permutation.

    Args:
        true: (n,) class of each image, from 0; those of no class (-1) do not count.
        predicted: (n,) predicted class, likewise; -1 for one that the data set does not have.
        grouping: the groups.
        seed: random seed of the permutations.
        permutations: number of random ones.
    """
    known = (true >= 0) & (grouping.groups >= 0)
    classes = int(max(true.max(initial=0), predicted.max(initial=0))) + 2
    cells = (true * classes + np.where(predicted < 0, classes - 1, predicted))[known]
    own = Grouping(
        grouping.groups[known], grouping.count, None if grouping.subjects is None else grouping.subjects[known]
    )
    values = _macro_f1(own.groups[None], cells, own.count, classes)[0]
    observed = _spread(values[None, :, None])[0, 0]
    hits = sum(
        int((_spread(_macro_f1(drawn, cells, own.count, classes)[:, :, None])[:, 0] >= observed - TOLERANCE).sum())
        for drawn in own.permute(permutations, seed)
    )
    return values, _gap(values, (1 + hits) / (1 + permutations), int(known.sum()))


def macro_f1_of_draws(true: Rows, predicted: Rows, weights: NDArray[np.uint8]) -> Array:
    """Return the macro F1 of (resamples, n) weighted images: (resamples,), over the classes that the images have.

    Args:
        true: (n,) class of each image, from 0.
        predicted: (n,) predicted class; -1 for one that the data set does not have.
        weights: how often each resample draws each image.
    """
    classes = int(max(true.max(initial=0), predicted.max(initial=0))) + 1
    present = np.unique(true)
    is_true = true[:, None] == np.arange(classes)
    is_guess = predicted[:, None] == np.arange(classes)
    drawn = weights.astype(float)
    hits, support, guesses = (drawn @ each.astype(float) for each in (is_true & is_guess, is_true, is_guess))
    mean: Array = _f1(hits, support, guesses)[:, present].mean(1)
    return mean


class _ClassModel:
    """The linear model score = class + group, by least squares.

    Classes are taken out of scores and groups first (Frisch and Waugh 1933), so that of a permutation only small
    matrices are solved.

    Args:
        scores: (n, k), all defined.
        classes: (n,) class of each image.
    """

    def __init__(self, scores: Array, classes: Rows) -> None:
        self.is_class = (classes[:, None] == np.unique(classes)).astype(float)
        self.sizes = self.is_class.sum(0)
        self.class_means = self.is_class.T @ scores / self.sizes[:, None]
        self.deviations = scores - self.is_class @ self.class_means

    def effects(self, groups: NDArray[np.intp], count: int) -> Array:
        """Return the effects of (permutations, n) groups, which add up to 0: (permutations, groups, k).

        NaN for a group without images.
        """
        counts, sums = self._counts(groups, count)
        sizes = counts.sum(1)
        matrix = np.eye(count) * sizes[:, None, :]
        matrix -= np.einsum("pcg,pch->pgh", counts / self.sizes[:, None], counts)
        solved = np.linalg.pinv(matrix, rcond=1e-9, hermitian=True) @ sums
        effects: Array = np.where(sizes[:, :, None] > 0, solved, np.nan)
        return effects

    def adjusted_means(self, groups: Rows, count: int) -> Array:
        """Return the mean over the classes of what the model expects of each group: (groups, k)."""
        effects = self.effects(groups[None], count)[0]
        shares = self._counts(groups[None], count)[0][0] / self.sizes[:, None]
        level = (self.class_means - shares @ np.nan_to_num(effects)).mean(0)
        means: Array = level + effects
        return means

    def _counts(self, groups: NDArray[np.intp], count: int) -> tuple[Array, Array]:
        """Return (permutations, classes, groups) numbers of images, and (permutations, groups, k) summed deviations."""
        counts = np.empty((len(groups), len(self.sizes), count))
        sums = np.empty((len(groups), count, self.deviations.shape[1]))
        for group in range(count):
            member = (groups == group).astype(float)
            counts[:, :, group] = member @ self.is_class
            sums[:, group] = member @ self.deviations
        return counts, sums


def _equally_defined(scores: Array, classes: Rows, grouping: Grouping) -> Iterator[tuple[list[int], Rows]]:
    """Yield the columns that are defined for the same images with a class and a group, and these images."""
    known = np.isfinite(scores) & ((classes >= 0) & (grouping.groups >= 0))[:, None]
    patterns: dict[bytes, list[int]] = {}
    for column in range(scores.shape[1]):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in patterns.values():
        rows = np.flatnonzero(known[:, columns[0]])
        if len(rows):
            yield columns, rows


def _spread(means: Array) -> Array:
    """Return the largest difference over the groups that have a value: (permutations, k)."""
    known = np.isfinite(means)
    high, low = np.where(known, means, -np.inf).max(1), np.where(known, means, np.inf).min(1)
    return np.where(known.sum(1) > 1, high - low, 0)


def _gap(values: Array, p: float, n: int) -> Gap:
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2:
        return Gap(-1, np.nan, -1, np.nan, np.nan, n)
    lowest, highest = (int(known[choose(values[known])]) for choose in (np.argmin, np.argmax))
    return Gap(lowest, float(values[lowest]), highest, float(values[highest]), p, n)


def _macro_f1(groups: NDArray[np.intp], cells: Rows, count: int, classes: int) -> Array:
    """Return the macro F1 of the groups of each permutation: (permutations, groups)."""
    size = classes * classes
    places = groups * size + cells + count * size * np.arange(len(groups))[:, None]
    tables = np.bincount(places.ravel(), minlength=len(groups) * count * size)
    tables = tables.reshape(len(groups), count, classes, classes).astype(float)
    support = tables.sum(3)
    f1 = _f1(np.einsum("pgcc->pgc", tables), support, tables.sum(2))
    present = support > 0
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(present, f1, 0).sum(2) / present.sum(2)
    return mean


def _f1(hits: Array, support: Array, guesses: Array) -> Array:
    f1: Array = 2 * hits / np.maximum(support + guesses, 1)
    return f1
