"""Charts of the page, as positions in percent of an axis; the templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.labels import sort_classes
from interpfer.reports.page.scores import UNIFORM, Key, Scores, interval, number
from interpfer.results.metric_facts import MetricFacts
from interpfer.results.run import Run

BINS = 24
MAX_ROWS = 18
"""Most rows of the chart of scores, and most panels of the distributions."""


@dataclass(frozen=True)
class Bar:
    """A map in the chart of scores.

    Attributes:
        name: the map.
        detail: its layer.
        at: position of the score.
        low: position of the lower end of the interval.
        width: width of the interval.
        text: the score as written.
        interval: the interval as written.
        is_headline: whether the headline describes the map.
    """

    name: str
    detail: str
    at: float
    low: float
    width: float
    text: str
    interval: str
    is_headline: bool


@dataclass(frozen=True)
class Mark:
    """A baseline in the chart of scores, drawn as a line across.

    Attributes:
        phrase: the baseline in words.
        at: position of its score.
        text: the score as written.
    """

    phrase: str
    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Scores on one axis.

    Attributes:
        metric: metric of the axis.
        bars: one per map.
        marks: one per baseline.
        ticks: position and text of each tick.
        note: sentence below the chart.
    """

    metric: str
    bars: list[Bar]
    marks: list[Mark]
    ticks: list[tuple[float, str]]
    note: str = ""


def score_chart(scores: Scores) -> Chart:
    """Return the chart of scores; of many maps, those of the deepest layer and the best."""
    metric, facts = scores.primary, scores.facts(scores.primary)
    keys, note = _chart_maps(scores)
    estimates = [scores.at(key, metric) for key in (*keys, *scores.baselines)]
    ends = [
        end for estimate in estimates if estimate.is_defined for end in (estimate.value, estimate.low, estimate.high)
    ]
    axis = _make_axis([end for end in ends if math.isfinite(end)])
    bars = []
    for key in keys:
        estimate = scores.at(key, metric)
        if not estimate.is_defined:
            continue
        low, high = map(axis.place, estimate.ends)
        bars.append(
            Bar(
                key[0], key[1], axis.place(estimate.value), low, high - low, number(estimate.value, facts),
                interval(estimate, facts), key in scores.headline_maps,
            )
        )  # fmt: skip
    marks = [
        Mark(scores.phrases[key], axis.place(estimate.value), number(estimate.value, facts))
        for key in scores.baselines
        if key in scores.phrases and (estimate := scores.at(key, metric)).is_defined
    ]
    return Chart(metric, bars, marks, [(axis.place(tick), f"{tick:g}") for tick in axis.ticks], note)


def _chart_maps(scores: Scores) -> tuple[list[Key], str]:
    """Return the maps of the chart of scores, and a note on those that it leaves out."""
    keys = scores.distinct
    if len(keys) <= MAX_ROWS:
        return keys, "Identical maps are shown once." if len(keys) < len(scores.maps) else ""
    best, headline_maps = scores.best(scores.primary), scores.headline_maps
    first = {*headline_maps, best}
    others = [key for key in keys if key in scores.deepest and key not in first]
    chosen = {*first, *others[: MAX_ROWS - len(first)]}
    keys = [key for key in keys if key in chosen]
    return keys, f"{len(keys)} maps: those of the deepest layer, and the best of all. The table below holds all maps."


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return the position of a value, in percent."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0), 1), 2)


def _make_axis(values: Sequence[float]) -> _Axis:
    """Return an axis with round ends that includes 0."""
    low, high = min([0.0, *values]), max([*values, 1e-9])
    step = 10 ** math.floor(math.log10(high - low))
    step = next(step * factor for factor in (0.1, 0.2, 0.25, 0.5, 1, 2) if (high - low) / (step * factor) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return _Axis(first * step, last * step, tuple(round(i * step, 10) for i in range(first, last + 1)))


@dataclass(frozen=True)
class Histogram:
    """Distribution of the scores of single faces for one map.

    Attributes:
        name: the map.
        detail: its layer.
        correct: height per bin of the correctly classified faces, in percent of the highest bin.
        wrong: height per bin of the misclassified faces, stacked on the others.
        most: number of faces in the highest bin.
        mark: position of a uniform map's mean; None where there is none.
        description: the distribution in words.
    """

    name: str
    detail: str
    correct: list[float]
    wrong: list[float]
    most: int
    mark: float | None
    description: str


@dataclass(frozen=True)
class Box:
    """Distribution of the scores of one class.

    Attributes:
        name: the class.
        n: number of faces.
        ends: positions of the 5th and 95th percentile.
        quartiles: positions of the quartiles.
        median: position of the median.
        text: the median as written.
    """

    name: str
    n: int
    ends: tuple[float, float]
    quartiles: tuple[float, float]
    median: float
    text: str


@dataclass(frozen=True)
class Distributions:
    """Distributions of the scores of single faces.

    Attributes:
        metric: metric of the axis.
        ticks: position and text of each tick.
        panels: one histogram per map.
        boxes: one box per class for ``main``.
        main: map and layer of the boxes.
    """

    metric: str
    ticks: list[tuple[float, str]]
    panels: list[Histogram]
    boxes: list[Box]
    main: Key | None


def distributions(run: Run, scores: Scores) -> Distributions:
    """Return the distributions of the scores of single faces, per map of the deepest layer and per class."""
    metric, table = scores.primary, run.per_image
    if metric not in table:
        return Distributions(metric, [], [], [], None)
    table = table[["label", "predicted", "map", "layer", metric]]
    tables = {key: rows for key, rows in table.groupby(["map", "layer"], sort=False, observed=True)}
    keys = [key for key in scores.deepest if key in tables]
    columns = [tables[key][metric].to_numpy(float) for key in keys]
    values = np.concatenate(columns) if columns else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return Distributions(metric, [], [], [], None)
    axis = _make_axis([float(values.min()), float(values.max())])
    uniform = scores.at(UNIFORM, metric)
    mark = axis.place(uniform.value) if uniform.is_defined else None
    panels = []
    for key in keys[:MAX_ROWS]:
        score = tables[key][metric].to_numpy(float)
        label, predicted = (tables[key][name].astype(object) for name in ("label", "predicted"))
        is_unknown = predicted.isna() | (predicted == "")  # of a model without classes
        correct = ((label == predicted) | is_unknown).to_numpy(bool)
        if np.isfinite(score).any():
            panels.append(_histogram(key, score, correct, axis, mark))
    main = scores.main
    boxes = [] if main is None or main not in tables else _boxes(tables[main], metric, scores.facts(metric), axis)
    return Distributions(metric, [(axis.place(tick), f"{tick:g}") for tick in axis.ticks], panels, boxes, main)


def _histogram(
    key: Key, score: NDArray[np.float64], correct: NDArray[np.bool_], axis: _Axis, mark: float | None
) -> Histogram:
    defined = np.isfinite(score)
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    counts = [np.histogram(score[defined & half], edges)[0] for half in (correct, ~correct)]
    most = max(int((counts[0] + counts[1]).max()), 1)
    good, bad = ([round(100 * int(count) / most, 1) for count in half] for half in counts)
    median = float(np.median(score[defined]))
    description = f"{key[0]} at {key[1]}: median {median:.2f} over {int(defined.sum())} faces"
    return Histogram(key[0], key[1], good, bad, most, mark, description)


def _boxes(table: pd.DataFrame, metric: str, facts: MetricFacts, axis: _Axis) -> list[Box]:
    boxes = []
    for name in sort_classes(table["label"]):
        score = table.loc[table["label"] == name, metric].to_numpy(float)
        score = score[np.isfinite(score)]
        if len(score):
            percentiles = [float(value) for value in np.percentile(score, [5, 25, 50, 75, 95])]
            low, first, median, third, high = map(axis.place, percentiles)
            boxes.append(Box(name, len(score), (low, high), (first, third), median, number(percentiles[2], facts)))
    return boxes
