"""What becomes of accuracy, agreement and maps under occlusion: each occlusion beside the clean faces."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.metrics.base import DatasetMetric
from interpfer.metrics.hole import HOLE_METRICS
from interpfer.occlusion import CLEAN
from interpfer.occlusion.kinds import Occlusion
from interpfer.results.metric_facts import facts_of
from interpfer.results.occluded import COLUMN, OccludedTables
from interpfer.results.tables import Tables
from interpfer.statistics.classification import classify
from interpfer.statistics.comparison import Difference, compare_accuracy, compare_scores, holm
from interpfer.statistics.proportions import clustered_interval
from interpfer.statistics.summary import summarise, summarise_table

AREA = "accuracy_area"
"""Mean accuracy over the shares from 0 to the largest: the area under the curve, divided by its length."""

COLUMNS = (
    *(COLUMN, "map", "layer", "metric", "value", "ci_low", "ci_high", "clean", "difference", "difference_low"),
    *("difference_high", "p", "p_holm", "test", "n", "n_subjects"),
)

UNIT = ("accuracy", AREA, "flips", "area")
"""Quantities that are shares."""

NAN = float("nan")


class Covered(NamedTuple):
    """The finished batches of one occlusion.

    Attributes:
        occlusion: what covers the faces.
        tables: their scores.
    """

    occlusion: Occlusion
    tables: Tables

    @property
    def facts(self) -> NDArray[np.float64]:
        """(rows, 3): whether a face could be covered, the area of its hole, and the change of its probability."""
        parts = [part.covered for part in self.tables.parts if part.covered is not None]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """Which faces could be covered."""
        return self.facts[:, 0] > 0

    @property
    def example(self) -> NDArray[np.uint8] | None:
        """A covered face with its maps, for the report."""
        shown = (part.example for part in self.tables.parts if part.example is not None and len(part.example))
        return next(shown, None)


def occluded_tables(clean: Tables, scores: pd.DataFrame, covered: Sequence[Covered]) -> OccludedTables:
    """Return the tables of a run with occlusions.

    Args:
        clean: the finished batches of the faces as they are.
        scores: their rows of scores.csv.
        covered: those of each occlusion, of the same rows.
    """
    parts = {CLEAN: (scores, clean.image_rows().frame())}
    parts |= {each.occlusion.name: (each.tables.scores(), each.tables.image_rows().frame()) for each in covered}
    tables = [
        pd.concat([pair[place].assign(**{COLUMN: name}) for name, pair in parts.items()], ignore_index=True)
        for place in range(2)
    ]
    tables = [table[[*(name for name in table if name != COLUMN), COLUMN]] for table in tables]
    examples = {each.occlusion.name: each.example for each in covered}
    shown = {name: picture for name, picture in examples.items() if picture is not None}
    return OccludedTables(tables[0], tables[1], summary_table(clean, covered), shown)


def occlusion_facts(covered: Sequence[Covered], dataset_classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return per occlusion the classification of the covered faces, how many they are and the mean area of the hole."""
    facts = {}
    for each in covered:
        tables, drawn = each.tables, each.drawn
        labels = [label if is_drawn else "" for label, is_drawn in zip(tables.labels, drawn.tolist(), strict=True)]
        kept = classify(labels, tables.predicted, tuple(dataset_classes), tables.outputs, tables.confidence).facts()
        area = float(each.facts[drawn, 1].mean()) if drawn.any() else NAN
        facts[each.occlusion.name] = {"covered": int(drawn.sum()), "scored": int(tables.valid.sum()), "area": area}
        facts[each.occlusion.name] |= {name: kept[name] for name in ("accuracy", "macro_f1", "n") if name in kept}
    return facts


def summary_table(clean: Tables, covered: Sequence[Covered]) -> pd.DataFrame:
    """Return occlusion.csv: every line compares an occlusion with the same faces as they are.

    Tests are paired, with people as units where they are known, and corrected over the table (Holm 1979).
    """
    lines = [line for each in covered for line in (*_of_faces(clean, each), *_of_maps(clean, each))]
    lines += _areas(clean, covered)
    table = pd.DataFrame(lines, columns=[name for name in COLUMNS if name != "p_holm"])
    table.insert(COLUMNS.index("p_holm"), "p_holm", holm(table["p"].astype(float).tolist()) if len(table) else [])
    return table


def _line(
    name: str, key: tuple[str, str], metric: str, ends: tuple[float, float], change: Difference
) -> tuple[Any, ...]:
    least, most = (0.0, 1.0) if metric in UNIT else facts_of(metric).bounds
    low, high = np.clip(ends, least, most).tolist()
    reach = most - least
    around = np.clip([change.low, change.high], -reach, reach).tolist()
    test = change.test if change.p == change.p else ""
    sides = (change.b, low, high, change.a, change.difference, *around)
    return (name, *key, metric, *sides, change.p, test, change.n, change.n_subjects)


def _of_faces(clean: Tables, each: Covered) -> list[tuple[Any, ...]]:
    """Return the lines on the predictions: accuracy, flips, change of the probability; and the area of the hole."""
    name, seed, nowhere = each.occlusion.name, clean.seed, ("-", "-")
    facts, drawn = each.facts, each.drawn
    rows = drawn & (clean.classes >= 0) & np.array([label != "" for label in clean.labels], bool)
    people = None if clean.subjects is None else clean.subjects[rows]
    before, after = clean.halves["correct"][rows], each.tables.halves["correct"][rows]
    lines = [_line(name, nowhere, "accuracy", clustered_interval(after, people),
                   compare_accuracy(before, after, seed, people))]  # fmt: skip
    own = None if clean.subjects is None else clean.subjects[drawn]
    flips = np.array(clean.predicted)[drawn] != np.array(each.tables.predicted)[drawn]
    ends, share = clustered_interval(flips, own), float(flips.mean()) if len(flips) else NAN
    lines.append(_line(name, nowhere, "flips", ends, _alone(share, len(flips), own)))
    for metric, values in (("probability_change", facts[drawn, 2]), ("area", facts[drawn, 1])):
        micro = summarise(values, np.zeros(len(values), np.intp), ("all",), seed, own)[1]
        lines.append(_line(name, nowhere, metric, (micro.low, micro.high), _alone(micro.value, micro.n, own)))
    return lines


def _alone(value: float, n: int, people: NDArray[np.intp] | None) -> Difference:
    """Return a value that is compared with nothing."""
    count = 0 if people is None else len(np.unique(people))
    return Difference(NAN, value, NAN, NAN, NAN, NAN, n, "", count)


def _of_maps(clean: Tables, each: Covered) -> list[tuple[Any, ...]]:
    """Return the lines on the maps: agreement over the visible truth, leak, and how far a map moves."""
    name, seed, tables = each.occlusion.name, clean.seed, each.tables
    area = np.where(each.drawn, each.facts[:, 1], np.nan)[:, None]
    own = [place for place, (_, layer) in enumerate(clean.columns) if layer != "-"]
    lines: list[tuple[Any, ...]] = []
    groups = (clean.classes, clean.names, seed, clean.subjects)
    for metric in (*clean.metrics, *HOLE_METRICS):
        if isinstance(tables.metrics[metric], DatasetMetric) or not own:
            continue
        after = tables.values[metric][:, own]
        before = clean.values[metric][:, own] if metric in clean.metrics else np.broadcast_to(area, after.shape)
        after = np.where(np.isfinite(before), after, np.nan)
        summaries = summarise_table(after, *groups)
        if metric in clean.metrics or metric == "leak":
            changes = compare_scores(before, after, *groups)
        else:
            changes = [_alone(macro.value, macro.n, clean.subjects) for macro, *_ in summaries]
        for place, (macro, *_), change in zip(own, summaries, changes, strict=True):
            lines.append(_line(name, clean.columns[place], metric, (macro.low, macro.high), change))
    return lines


def _areas(clean: Tables, covered: Sequence[Covered]) -> list[tuple[Any, ...]]:
    """Return the area under the curve of each occluder with several shares, over the faces that all of them cover."""
    lines = []
    for kind in dict.fromkeys(each.occlusion.kind for each in covered if each.occlusion.share is not None):
        curve = sorted(
            (each for each in covered if each.occlusion.kind == kind), key=lambda each: each.occlusion.share or 0.0
        )
        shares = [each.occlusion.share or 0.0 for each in curve]
        if len(curve) < 2 or not shares[-1]:
            continue
        labelled = np.array([label != "" for label in clean.labels], bool) & (clean.classes >= 0)
        rows = np.logical_and.reduce([labelled, *(each.drawn for each in curve)])
        people = None if clean.subjects is None else clean.subjects[rows]
        before = clean.halves["correct"][rows].astype(float)
        correct = np.array([before, *(each.tables.halves["correct"][rows] for each in curve)], float)
        area = curve_weights([0.0, *shares]) @ correct
        alike = np.zeros(len(area), np.intp)
        micro = summarise(area, alike, ("all",), clean.seed, people)[1]
        (change,) = compare_scores(before[:, None], area[:, None], alike, ("all",), clean.seed, people)
        lines.append(_line(kind, ("-", "-"), AREA, (micro.low, micro.high), change))
    return lines


def curve_weights(shares: Sequence[float]) -> NDArray[np.float64]:
    """Return the weight of each point of a curve in its mean height between the first and the last share.

    Args:
        shares: in ascending order.

    Examples:
        >>> curve_weights([0.0, 0.1, 0.4]).round(4).tolist()
        [0.125, 0.5, 0.375]
    """
    steps = np.diff(np.asarray(shares, float))
    return np.asarray((np.append(steps, 0) + np.append(0, steps)) / (2 * steps.sum()))
