"""From scores of rows to values with confidence intervals.

Precision, recall and F1 are of all faces and action units together; ``au_f1_macro`` is the mean of the F1 of the action
units that occur, ``au_f1_face`` that of the faces. IoU, hits and pointing are means over boxes. Intervals are of a
bootstrap over images, or over people with all their images, widened for few of them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.au.names import AU_NAMES
from interpfer.rationales.scores import RowScores
from interpfer.rationales.units import f1_score, precision_score, recall_score
from interpfer.statistics.bootstrap import Rows, intervals, means_by_image, means_by_subject
from interpfer.statistics.proportions import clustered_interval
from interpfer.statistics.small_samples import interval_factors, widen

Array = NDArray[np.float64]

METRICS: Mapping[str, str] = {
    "accuracy": "share of answers that are the label",
    "au_precision": "share of the action units named that are there",
    "au_recall": "share of the action units there that are named",
    "au_f1": "F1 over all faces and action units",
    "au_f1_macro": "mean of the F1 of the action units that occur",
    "au_f1_face": "mean of the F1 of the faces",
    "consistency": "mean F1 of the action units named with the codebook's of the answer given",
    "iou": "mean intersection over union of boxes",
    "hit": "share of boxes with an intersection over union of at least .5",
    "pointing": "share of boxes whose centre lies in the box of the action unit",
}
"""Metric -> what it is, in the order of tables."""


class Value(NamedTuple):
    """A value with its 95 % confidence interval.

    Attributes:
        value: NaN where undefined.
        ci_low: lower end.
        ci_high: upper end.
        n: number of faces that it is of.
    """

    value: float
    ci_low: float
    ci_high: float
    n: int


class Summaries(NamedTuple):
    """Values of one kind of rows.

    Attributes:
        metrics: metric -> value.
        by_au: a line per action unit: au, name, present, named, and columns of precision, recall, f1, iou, hit and
            pointing, with the interval of f1.
    """

    metrics: dict[str, Value]
    by_au: pd.DataFrame


def summarise_rows(scores: RowScores, aus: tuple[int, ...], subjects: Rows | None, seed: int) -> Summaries:
    """Return the values of n rows.

    Args:
        scores: of each row.
        aus: their a FACS numbers.
        subjects: (n,) number of the person on each image; None where images are taken as independent.
        seed: random seed of the bootstrap.
    """
    columns = _Columns.of(scores, len(aus))
    resampled = _resample(columns.table, subjects, seed)
    observed = columns.table.mean(0, keepdims=True)
    values, draws = columns.values(observed), columns.values(resampled)
    counts = columns.faces(scores)
    metrics = {}
    for name in METRICS:
        if name == "accuracy":
            metrics[name] = _accuracy(scores.correct, subjects)
            continue
        members = [np.flatnonzero(counts[name])]
        factor = interval_factors(members, ["all"], subjects)["micro"]
        ends = widen(values[name], intervals(draws[name][:, None]), factor).clip(0, 1)
        metrics[name] = Value(float(values[name][0]), float(ends[0, 0]), float(ends[0, 1]), int(counts[name].sum()))
    return Summaries(metrics, _by_au(columns, observed, resampled, scores, aus))


def _resample(table: Array, subjects: Rows | None, seed: int) -> Array:
    """Return the means of the columns in resamples of images or people; columns that are 0 everywhere are not drawn."""
    used = np.logical_or.reduce(table != 0, 0)
    own, everyone = table[:, used], [np.arange(len(table))]
    means = means_by_image(own, everyone, seed) if subjects is None else means_by_subject(own, everyone, subjects, seed)
    resampled = np.zeros((len(means[0]), table.shape[1]))
    resampled[:, used] = means[0]
    return resampled


def _accuracy(correct: Array, subjects: Rows | None) -> Value:
    known = np.isfinite(correct)
    hits = correct[known] == 1
    low, high = clustered_interval(hits, None if subjects is None else subjects[known])
    return Value(float(hits.mean()) if len(hits) else np.nan, low, high, len(hits))


class _Columns(NamedTuple):
    """Columns per row whose means give all values.

    Attributes:
        table: (n, 3 a + 4 a + 4): hits, extra, missed by action unit; iou, hits, pointing, count by action unit; F1 of
            the face and whether it is defined; the same of consistency.
        a: number of action units.
    """

    table: Array
    a: int

    @classmethod
    def of(cls, scores: RowScores, a: int) -> "_Columns":
        n = len(scores.correct)
        boxes = [np.zeros((n, a))] * 4 if scores.grounding is None else list(scores.grounding)
        single = [part for each in (scores.f1, scores.consistency) for part in (np.nan_to_num(each), np.isfinite(each))]
        return cls(np.column_stack([*scores.counts, *boxes, *single]).astype(float), a)

    def unit_parts(self, means: Array) -> list[Array]:
        """Return seven (r, a) arrays: hits, extra, missed, iou, hits of boxes, pointing, count."""
        return [means[:, place * self.a : (place + 1) * self.a] for place in range(7)]

    def values(self, means: Array) -> dict[str, Array]:
        """Return metric -> (r,) values of (r, k) means."""
        hits, extra, missed, iou, box_hits, pointing, count = self.unit_parts(means)
        occurs = (self.table[:, : self.a].sum(0) + self.table[:, 2 * self.a : 3 * self.a].sum(0)) > 0
        by_au = np.nan_to_num(f1_score(hits, extra, missed)[:, occurs])
        sums = [part.sum(1) for part in (hits, extra, missed)]
        single = means[:, 7 * self.a :]
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "au_precision": precision_score(*sums),
                "au_recall": recall_score(sums[0], sums[2]),
                "au_f1": f1_score(*sums),
                "au_f1_macro": by_au.mean(1) if occurs.any() else np.full(len(means), np.nan),
                "au_f1_face": single[:, 0] / single[:, 1],
                "consistency": single[:, 2] / single[:, 3],
                "iou": iou.sum(1) / count.sum(1),
                "hit": box_hits.sum(1) / count.sum(1),
                "pointing": pointing.sum(1) / count.sum(1),
            }

    def faces(self, scores: RowScores) -> dict[str, NDArray[np.bool_]]:
        """Return metric -> (n,) which faces its value is of."""
        units = np.logical_or.reduce(np.column_stack(scores.counts), 1)
        boxes = np.zeros(len(units), np.bool_)
        if scores.grounding is not None:
            boxes = np.logical_or.reduce(scores.grounding.boxes > 0, 1)
        defined = {"au_f1_face": np.isfinite(scores.f1), "consistency": np.isfinite(scores.consistency)}
        return {name: defined.get(name, boxes if name in ("iou", "hit", "pointing") else units) for name in METRICS}


def _by_au(
    columns: _Columns, observed: Array, resampled: Array, scores: RowScores, aus: tuple[int, ...]
) -> pd.DataFrame:
    hits, extra, missed, iou, box_hits, pointing, count = (part[0] for part in columns.unit_parts(observed))
    draws = columns.unit_parts(resampled)
    ends = intervals(f1_score(*draws[:3]))
    present, named = scores.counts.hits | scores.counts.missed, scores.counts.hits | scores.counts.extra
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(
            {
                "au": aus,
                "name": [AU_NAMES.get(au, "") for au in aus],
                "present": present.sum(0),
                "named": named.sum(0),
                "precision": precision_score(hits, extra, missed),
                "recall": recall_score(hits, missed),
                "f1": f1_score(hits, extra, missed),
                "f1_ci_low": ends[:, 0],
                "f1_ci_high": ends[:, 1],
                "iou": iou / count,
                "hit": box_hits / count,
                "pointing": pointing / count,
            }
        )
    return table[(table["present"] > 0) | (table["named"] > 0)].reset_index(drop=True)
