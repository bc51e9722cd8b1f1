"""Groups of images by an attribute of the data set, such as an annotated age: scores of each, and the largest gaps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.labels import class_indices
from interpfer.results.attributes import find_groups
from interpfer.results.clips import decided
from interpfer.results.run import GAPS_FILE, GROUPS, GROUPS_FILE
from interpfer.results.tables import Tables
from interpfer.statistics.bootstrap import RESAMPLES, Rows, image_weights, intervals, subject_weights
from interpfer.statistics.comparison import holm
from interpfer.statistics.groups import Gap, Grouping, find_f1_gap, find_gaps, macro_f1_of_draws
from interpfer.statistics.proportions import clustered_interval
from interpfer.statistics.small_samples import interval_factors, widen

GROUP_COLUMNS = ["column", "group", "n", "n_subjects", "accuracy", "accuracy_low", "accuracy_high",
                 "macro_f1", "macro_f1_low", "macro_f1_high"]  # fmt: skip
GAP_COLUMNS = ["column", "map", "layer", "metric", "lowest", "low", "highest", "high", "gap", "p", "p_holm", "n",
               "units"]  # fmt: skip


def group_facts(tables: Tables) -> dict[str, Any]:
    """Return what run.json says about groups: their classification, the gaps, and what was left out.

    Args:
        tables: the finished batches of a run, with at least one column.
    """
    lines, gaps = list[dict[str, Any]](), list[dict[str, Any]]()
    left_out, unknown = {}, {}
    for column, values in tables.attributes.items():
        names, left_out[column] = find_groups(values, tables.least_group)
        unknown[column] = values.count("")
        if not names:
            continue
        grouping = Grouping(np.array(class_indices(values, names), np.intp), len(names), tables.subjects)
        own, f1 = _classification(tables, column, names, grouping)
        lines += own
        gaps += _gaps(tables, column, names, grouping, f1)
    for line, p in zip(gaps, holm([line["p"] for line in gaps]), strict=True):
        line["p_holm"] = p
    return {
        "columns": list(tables.by),
        "smallest": tables.least_group,
        "groups": lines,
        "gaps": [{name: line[name] for name in GAP_COLUMNS} for line in gaps],
        "left_out": left_out,
        "unknown": unknown,
    }


def group_tables(manifest: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return file -> table of the groups of a run; none of a run without."""
    facts = manifest.get(GROUPS)
    if not facts:
        return {}
    return {
        GROUPS_FILE: pd.DataFrame(facts["groups"], columns=GROUP_COLUMNS),
        GAPS_FILE: pd.DataFrame(facts["gaps"], columns=GAP_COLUMNS),
    }


def _classification(
    tables: Tables, column: str, names: Sequence[str], grouping: Grouping
) -> tuple[list[dict[str, Any]], Gap | None]:
    """Return accuracy and macro F1 of each group, and the gap of the F1."""
    known = np.array([bool(label) for label in tables.labels], bool) & bool(tables.outputs)
    true = np.where(known, np.array(class_indices(tables.labels, tables.dataset.classes), np.intp), -1)
    guess = np.array(class_indices(decided(tables), tables.dataset.classes), np.intp)
    f1, gap = find_f1_gap(true, guess, grouping, tables.seed) if known.any() else (np.full(len(names), np.nan), None)
    lines = []
    for index, name in enumerate(names):
        rows = np.flatnonzero(grouping.groups == index)
        labelled = rows[known[rows]]
        people = None if tables.subjects is None else tables.subjects[labelled]
        correct: NDArray[np.bool_] = true[labelled] == guess[labelled]
        ends = clustered_interval(correct, people)
        f1_ends = _f1_interval(f1[index], true[labelled], guess[labelled], people, tables.seed)
        values = (correct.mean() if len(labelled) else np.nan, *ends, f1[index], *f1_ends)
        n_subjects = 0 if tables.subjects is None else len(np.unique(tables.subjects[rows]))
        cells = (column, name, len(rows), n_subjects, *map(float, values))
        lines.append(dict(zip(GROUP_COLUMNS, cells, strict=True)))
    return lines, gap


def _f1_interval(value: float, true: Rows, guess: Rows, people: Rows | None, seed: int) -> tuple[float, float]:
    """Return the bootstrap interval of a macro F1, widened for few images or people."""
    if not len(true):
        return np.nan, np.nan
    one = np.zeros(len(true), np.intp)
    weights = image_weights(one, RESAMPLES, seed) if people is None else subject_weights(people, RESAMPLES, seed)
    draws = macro_f1_of_draws(true, guess, weights)
    factor = interval_factors([np.arange(len(true))], ("all",), people)["micro"]
    low, high = np.clip(widen(np.array([value]), intervals(draws[:, None]), factor)[0], 0, 1).tolist()
    return low, high


def _gaps(
    tables: Tables, column: str, names: Sequence[str], grouping: Grouping, f1: Gap | None
) -> list[dict[str, Any]]:
    """Return the largest gap of accuracy, F1, and of each metric of each map that uses the network."""
    maps = [place for place, (_, layer) in enumerate(tables.columns) if layer != "-"]
    keys = [(*tables.columns[place], metric) for metric in tables.metrics for place in maps]
    scores = [tables.values[metric][:, place] for metric in tables.metrics for place in maps]
    if f1 is not None:
        known = np.array([bool(label) for label in tables.labels], bool)
        keys.insert(0, ("-", "-", "accuracy"))
        correct = np.array([a == b for a, b in zip(tables.labels, decided(tables), strict=True)], float)
        scores.insert(0, np.where(known, correct, np.nan))
    gaps = find_gaps(np.stack(scores, 1), tables.classes, grouping, tables.seed) if scores else []
    if f1 is not None:
        keys.insert(1, ("-", "-", "macro_f1"))
        gaps.insert(1, f1)
    lines = []
    for (map_name, layer, metric), gap in zip(keys, gaps, strict=True):
        lowest, highest = (names[index] if index >= 0 else "" for index in (gap.lowest, gap.highest))
        cells = (column, map_name, layer, metric, lowest, gap.low, highest, gap.high, gap.high - gap.low, gap.p,
                 np.nan, gap.n, grouping.units)  # fmt: skip
        lines.append(dict(zip(GAP_COLUMNS, cells, strict=True)))
    return lines
