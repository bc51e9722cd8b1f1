"""Charts of the page as positions in percent; the templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpfer.labels import EXPRESSIONS
from interpfer.reports.page.scores import SAID, Key, Scores, interval, number
from interpfer.results.run import Run

BINS = 24
MOST = 18
"""Rows of the chart of scores at most."""


@dataclass(frozen=True)
class Bar:
    """A value with its interval on an axis, in percent of its length."""

    name: str
    detail: str
    at: float
    low: float
    width: float
    text: str
    interval: str
    headline_maps: bool


@dataclass(frozen=True)
class Mark:
    """A baseline across the chart."""

    name: str
    said: str
    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Scores on one axis, baselines as lines across."""

    metric: str
    bars: list[Bar]
    marks: list[Mark]
    ticks: list[tuple[float, str]]
    note: str = ""


def score_chart(scores: Scores) -> Chart:
    """Place the maps and the baselines on one axis; of many layers, the deepest and the best."""
    metric = scores.primary
    keys = scores.distinct
    note = "Maps that are the same thing are shown once." if len(keys) < len(scores.maps) else ""
    if len(keys) > MOST:
        best, chosen = scores.best(metric), scores.headline_maps
        others = [key for key in keys if key in scores.deepest and key not in chosen and key != best]
        shown = {*chosen, best, *others[: MOST - len({*chosen, best})]}
        keys = [key for key in keys if key in shown]
        note = f"{len(keys)} maps: those of the deepest layer, and the best of all; all are in the table below."
    found = [scores.at(key, metric) for key in (*keys, *scores.baselines)]
    ends = [end for value in found if value.defined for end in (value.value, value.low, value.high)]
    axis = _axis([end for end in ends if math.isfinite(end)])
    bars = []
    for key in keys:
        value = scores.at(key, metric)
        if not value.defined:
            continue
        low, high = (end if math.isfinite(end) else value.value for end in (value.low, value.high))
        bars.append(
            Bar(
                key[0], key[1], axis.place(value.value), axis.place(low), axis.place(high) - axis.place(low),
                number(value.value, metric), interval(value, metric), key in scores.headline_maps,
            )
        )  # fmt: skip
    marks = [
        Mark(name, SAID.get(name, name), axis.place(value.value), number(value.value, metric))
        for name, layer in scores.baselines
        if name in SAID and (value := scores.at((name, layer), metric)).defined
    ]
    return Chart(metric, bars, marks, [(axis.place(tick), f"{tick:g}") for tick in axis.ticks], note)


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where a value stands, in percent."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0), 1), 2)


def _axis(values: Sequence[float]) -> _Axis:
    """Return an axis from 0, or below it, to a round number."""
    low, high = min([0.0, *values]), max([*values, 1e-9])
    step = 10 ** math.floor(math.log10(high - low))
    step = next(step * factor for factor in (0.1, 0.2, 0.25, 0.5, 1, 2) if (high - low) / (step * factor) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return _Axis(first * step, last * step, tuple(round(i * step, 10) for i in range(first, last + 1)))


@dataclass(frozen=True)
class Histogram:
    """How the scores of single faces spread.

    Attributes:
        name: of the map.
        detail: its layer.
        right: per bin, height of the faces that are classified rightly, in percent of the highest bin.
        wrong: of the others, on top of them.
        most: how many faces the highest bin holds.
        mark: where a uniform map's mean stands, in percent of the axis; None where there is none.
        median: likewise, of all faces.
        said: the whole in words.
    """

    name: str
    detail: str
    right: list[float]
    wrong: list[float]
    most: int
    mark: float | None
    median: float
    said: str


@dataclass(frozen=True)
class Box:
    """Quartiles and the 5th and 95th percentile of the scores of a class, in percent of the axis."""

    name: str
    n: int
    ends: tuple[float, float]
    quartiles: tuple[float, float]
    median: float
    text: str


@dataclass(frozen=True)
class Spread:
    """The distributions of a run: one panel per map, one box per class for one map."""

    metric: str
    ticks: list[tuple[float, str]]
    panels: list[Histogram]
    boxes: list[Box]
    of: Key | None


def spread(run: Run, scores: Scores) -> Spread:
    """Count how the scores of single faces spread, per map of the deepest layer."""
    metric, table = scores.primary, run.per_image
    if metric not in table:
        return Spread(metric, [], [], [], None)
    values = {key: own for key, own in table.groupby(["map", "layer"], sort=False)}
    found = [values[key][metric].to_numpy(float) for key in scores.deepest if key in values]
    every = np.concatenate(found) if found else np.zeros(0)
    every = every[np.isfinite(every)]
    if not len(every):
        return Spread(metric, [], [], [], None)
    axis = _axis([float(every.min()), float(every.max())])
    uniform = scores.at(("baseline:uniform", "-"), metric)
    panels = []
    for key in scores.deepest[:MOST]:
        own = values[key]
        score = own[metric].to_numpy(float)
        right = (own["label"] == own["predicted"]).to_numpy(bool)
        if np.isfinite(score).any():
            panels.append(_panel(key, score, right, axis, axis.place(uniform.value) if uniform.defined else None))
    main, boxes = scores.main, []
    if main in values:
        own = values[main]
        for name in EXPRESSIONS:
            score = own.loc[own["label"] == name, metric].to_numpy(float)
            score = score[np.isfinite(score)]
            if len(score):
                marks = np.percentile(score, [5, 25, 50, 75, 95])
                low, first, median, third, high = (axis.place(float(mark)) for mark in marks)
                text = number(float(marks[2]), metric)
                boxes.append(Box(name, len(score), (low, high), (first, third), median, text))
    ticks = [(axis.place(tick), f"{tick:g}") for tick in axis.ticks]
    return Spread(metric, ticks, panels, boxes, main)


def _panel(
    key: Key, score: NDArray[np.float64], right: NDArray[np.bool_], axis: _Axis, uniform: float | None
) -> Histogram:
    there = np.isfinite(score)
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    counts = [np.histogram(score[there & half], edges)[0] for half in (right, ~right)]
    top = max(int((counts[0] + counts[1]).max()), 1)
    good, bad = ([round(100 * int(count) / top, 1) for count in half] for half in counts)
    median = float(np.median(score[there]))
    said = f"{key[0]} at {key[1]}: median {median:.2f} over {int(there.sum())} faces"
    return Histogram(key[0], key[1], good, bad, top, uniform, axis.place(median), said)
