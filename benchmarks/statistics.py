"""Simulations of the statistics: false rejections, and coverage of 95 % intervals, before and after.

    python -m benchmarks.statistics [--replicates 2000] [--seed 0]

`before` are the ways that interpfer no longer takes where people are known: images as independent, percentile
bootstrap, Wilcoxon's signed-rank test, McNemar's test, Wilson's interval. `after` is `interpfer.statistics`. A row of
`null` is the share of data sets without a difference in which p < .05, or in which the interval leaves out 0; a row of
`coverage` is the share of intervals that hold the true value. Six classes throughout; `between` is the deviation
between people over that within.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from benchmarks.report import write_results
from interpfer.statistics.bootstrap import Array, Rows
from interpfer.statistics.comparison import compare_accuracy, compare_scores
from interpfer.statistics.proportions import clustered_interval, wilson_interval
from interpfer.statistics.summary import summarise_table

CLASSES = tuple("abcdef")
SIZES = ((40, 6), (70, 14), (15, 12))
BETWEEN = (0.5, 1.0, 2.0)
PER_CLASS = (3, 5, 10, 30, 100)
COLUMNS = 200
"""Replicates that share a layout of classes and people."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
SCORES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(0, 1, shape), 0.0),
    "beta(1, 4)": (lambda rng, shape: rng.beta(1, 4, shape), 0.2),
    "beta(0.5, 2)": (lambda rng, shape: rng.beta(0.5, 2, shape), 0.2),
    "hit or miss (.3)": (lambda rng, shape: (rng.random(shape) < 0.3).astype(float), 0.3),
}
"""Distribution -> draws, and their mean."""

Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows: list[Row] = []
    for part in (null_scores, null_accuracy, cover_images, cover_people, cover_accuracy):
        rows += part(options.replicates, options.seed)
    write_results("statistics", rows, vars(options))


def null_scores(replicates: int, seed: int) -> Iterator[Row]:
    """Yield how often equal scores are found to differ."""
    for people, images in SIZES:
        for between in BETWEEN:
            rng = np.random.default_rng(seed)
            hits = {name: 0 for name in ("before test", "before interval", "after test", "after interval")}
            rounds = -(-replicates // COLUMNS)
            for turn in range(rounds):
                person = np.repeat(np.arange(people), images)
                classes = rng.integers(0, len(CLASSES), len(person))
                a, b = (
                    between * rng.normal(size=(people, COLUMNS))[person] + rng.normal(size=(len(person), COLUMNS))
                    for _ in range(2)
                )
                lines = compare_scores(a, b, classes, CLASSES, turn, person)
                hits["after test"] += sum(line.p < 0.05 for line in lines)
                hits["after interval"] += sum(line.low > 0 or line.high < 0 for line in lines)
                hits["before test"] += int((wilcoxon(b - a, method="asymptotic").pvalue < 0.05).sum())
                low, high = percentile_interval(b - a, classes, rng)
                hits["before interval"] += int(((low > 0) | (high < 0)).sum())
            yield from _rows(
                "null", "score", f"{people} people x {images}", f"between {between:g}", hits, rounds * COLUMNS
            )


def null_accuracy(replicates: int, seed: int) -> Iterator[Row]:
    """Yield how often equal accuracies are found to differ."""
    for people, images in SIZES:
        for between in BETWEEN:
            rng = np.random.default_rng(seed)
            hits = {name: 0 for name in ("before test", "before interval", "after test", "after interval")}
            person = np.repeat(np.arange(people), images)
            for turn in range(replicates):
                a, b = (_correct(rng, person, between) for _ in range(2))
                line = compare_accuracy(a, b, turn, person)
                hits["after test"] += line.p < 0.05
                hits["after interval"] += line.low > 0 or line.high < 0
                hits["before test"] += mcnemar(a, b) < 0.05
                low, high = percentile_interval((b.astype(float) - a)[:, None], np.zeros_like(person), rng)
                hits["before interval"] += bool(low[0] > 0 or high[0] < 0)
            yield from _rows(
                "null", "accuracy", f"{people} people x {images}", f"between {between:g}", hits, replicates
            )


def cover_images(replicates: int, seed: int) -> Iterator[Row]:
    """Yield the coverage of intervals over images, of the macro mean and of one class."""
    for name, (draw, mean) in SCORES.items():
        for per_class in PER_CLASS:
            classes = np.repeat(np.arange(len(CLASSES)), per_class)

            def scores(rng: np.random.Generator, n: int = 6 * per_class, draw: Draw = draw) -> Array:
                return draw(rng, (n, COLUMNS))

            yield from _cover(name, f"{per_class} images a class", scores, mean, classes, None, replicates, seed)


def cover_people(replicates: int, seed: int) -> Iterator[Row]:
    """Yield the coverage where people have several images: of one class each, and of all classes."""
    for name, (draw, mean) in SCORES.items():
        for per_class in PER_CLASS[:-1]:
            own = np.repeat(np.arange(len(CLASSES) * per_class), 3)
            crossed = np.repeat(np.arange(per_class), len(CLASSES))
            layouts = {
                f"{per_class} people a class x 3": (own, own % len(CLASSES)),
                f"{per_class} people x 6 classes": (crossed, np.tile(np.arange(len(CLASSES)), per_class)),
            }
            for size, (person, classes) in layouts.items():

                def scores(rng: np.random.Generator, person: Rows = person, draw: Draw = draw) -> Array:
                    shared = draw(rng, (person.max() + 1, COLUMNS))[person]
                    return (shared + draw(rng, (len(person), COLUMNS))) / 2

                yield from _cover(name, size, scores, mean, classes, person, replicates, seed)


def _cover(
    name: str,
    size: str,
    scores: Callable[[np.random.Generator], Array],
    mean: float,
    classes: Rows,
    person: Rows | None,
    replicates: int,
    seed: int,
) -> Iterator[Row]:
    rng, rounds = np.random.default_rng(seed), -(-replicates // COLUMNS)
    kinds = {"macro mean": 0, "one class": 2}
    hits = {kind: {"before interval": 0, "after interval": 0} for kind in kinds}
    for turn in range(rounds):
        values = scores(rng)
        summaries = summarise_table(values, classes, CLASSES, turn, person)
        alone = classes == 0
        before = percentile_interval(values, classes, rng), percentile_interval(values[alone], classes[alone], rng)
        for (kind, group), (low, high) in zip(kinds.items(), before, strict=True):
            hits[kind]["before interval"] += int(((low <= mean) & (mean <= high)).sum())
            hits[kind]["after interval"] += sum(rows[group].low <= mean <= rows[group].high for rows in summaries)
    for kind, counts in hits.items():
        yield from _rows("coverage", kind, size, name, counts, rounds * COLUMNS)


def cover_accuracy(replicates: int, seed: int) -> Iterator[Row]:
    """Yield the coverage of an accuracy of .8 by Wilson's interval, of images and of the effective number."""
    for people, images in SIZES:
        person = np.repeat(np.arange(people), images)
        for spread in (1.5, 10.0):
            rng = np.random.default_rng(seed)
            hits = {"before interval": 0, "after interval": 0}
            for _ in range(replicates):
                correct = rng.random(len(person)) < rng.beta(0.8 * spread, 0.2 * spread, people)[person]
                low, high = wilson_interval(int(correct.sum()), len(correct))
                hits["before interval"] += low <= 0.8 <= high
                low, high = clustered_interval(correct, person)
                hits["after interval"] += low <= 0.8 <= high
            name = f"beta({0.8 * spread:g}, {0.2 * spread:g}) by person"
            yield from _rows("coverage", "accuracy", _size(people, images), name, hits, replicates)


def percentile_interval(
    values: Array, classes: Rows, rng: np.random.Generator, resamples: int = 400
) -> tuple[Array, Array]:
    """Return the ends of the percentile interval of the macro mean of (n, k) values, images taken as independent."""
    means = []
    for index in np.unique(classes):
        own = values[classes == index]
        counts = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), resamples)
        means.append(counts @ own / len(own))
    low, high = np.quantile(np.mean(means, 0), [0.025, 0.975], axis=0)
    return low, high


def mcnemar(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return the p-value of McNemar's exact test, images taken as independent."""
    gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _correct(rng: np.random.Generator, person: Rows, between: float) -> NDArray[np.bool_]:
    """Return which images are classified correctly; logits deviate between people by ``between`` times as within."""
    deviation = np.pi / 3**0.5  # of a logistic variable
    logits = 1 + between * deviation * rng.normal(size=person.max() + 1)[person]
    return logits + rng.logistic(size=len(person)) > 0


def _size(people: int, images: int) -> str:
    return f"{people} people x {images}"


def _rows(kind: str, what: str, size: str, setting: str, hits: dict[str, int], count: int) -> Iterator[Row]:
    for method in ("test", "interval"):
        if f"after {method}" in hits:
            before, after = (hits[f"{when} {method}"] / count for when in ("before", "after"))
            error = (after * (1 - after) / count) ** 0.5
            yield {
                "simulation": kind, "of": what, "size": size, "setting": setting, "method": method,
                "before": round(before, 4), "after": round(after, 4), "se": round(error, 4), "replicates": count,
            }  # fmt: skip


if __name__ == "__main__":
    main()
