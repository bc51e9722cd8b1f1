"""Tables of the groups of images by an attribute of the data set, as it annotates them."""

import math
from collections.abc import Mapping
from typing import Any

from interpfer.reports.page.scores import Scores, interval, number
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.run import GROUPS, Run

GAP_HEADS = ["map", "layer", "lowest", "", "highest", "", "gap", "p", "p (Holm)", "n"]


def by_group_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table of the groups and one of the largest gaps per attribute; none for a run without ``--by``."""
    facts = run.manifest.get(GROUPS)
    if not facts:
        return []
    sheets = []
    for column in facts["columns"]:
        sheets += [_groups_sheet(facts, column, scores), _gaps_sheet(facts, column, scores)]
    return sheets


def describe_left_out(facts: Mapping[str, Any], column: str) -> str:
    """Return a sentence on the images that are in no group of an attribute; "" where there are none.

    Examples:
        >>> describe_left_out({"smallest": 10, "left_out": {"age": {"70+": 3}}, "unknown": {"age": 2}}, "age")
        'age: groups of fewer than 10 images are left out (70+ 3); of 2 images it is not annotated'
    """
    small, unknown = facts["left_out"].get(column, {}), facts["unknown"].get(column, 0)
    named = ", ".join(f"{name} {count}" for name, count in list(small.items())[:8]) + (
        ", ..." if len(small) > 8 else ""
    )
    parts = [f"groups of fewer than {facts['smallest']} images are left out ({named})"] if small else []
    parts += [f"of {unknown} images it is not annotated"] if unknown else []
    return f"{column}: {'; '.join(parts)}" if parts else ""


def _groups_sheet(facts: Mapping[str, Any], column: str, scores: Scores) -> Sheet:
    metric = scores.primary
    names = [f"{metric} of {name} {layer}" for name, layer in scores.headline_maps]
    lines = []
    for row in facts["groups"]:
        if row["column"] != column:
            continue
        cells = [Cell(f"{row['n']:,}", row["n"]), Cell(f"{row['n_subjects']:,}" if row["n_subjects"] else "-")]
        for name in ("accuracy", "macro_f1"):
            value, low, high = (_value(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            cells.append(Cell(f"{number(value)} [{number(low)}, {number(high)}]", value))
        for key in scores.headline_maps:
            estimate = scores.at(key, metric, f"{column}={row['group']}")
            text = f"{number(estimate.value, scores.facts(metric))} {interval(estimate, scores.facts(metric))}"
            cells.append(Cell(text, estimate.value, title=f"n = {estimate.n}"))
        lines.append(Line(str(row["group"]), cells))
    heads = ["images", "people", "accuracy", "macro F1", *names]
    return Sheet({}, f"scores by {column}, as annotated", column, heads, lines, describe_left_out(facts, column))


def _gaps_sheet(facts: Mapping[str, Any], column: str, scores: Scores) -> Sheet:
    lines = []
    units = ""
    for row in facts["gaps"]:
        if row["column"] != column:
            continue
        units = row["units"]
        own = None if row["layer"] == "-" else scores.facts(row["metric"])
        low, high, gap = (_value(row[name]) for name in ("low", "high", "gap"))
        cells = [Cell(row["map"]), Cell(row["layer"]), Cell(row["lowest"]), Cell(number(low, own), low)]
        cells += [Cell(row["highest"]), Cell(number(high, own), high), Cell(number(gap, own), gap)]
        cells += [Cell(_p(row[name]), _value(row[name])) for name in ("p", "p_holm")] + [
            Cell(f"{row['n']:,}", row["n"])
        ]
        lines.append(Line(row["metric"], cells))
    note = f"permutation tests over {units}; p-values are corrected over all lines of all attributes (Holm)"
    return Sheet({}, f"largest gaps between the groups of {column}", "metric", GAP_HEADS, lines, note)


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _p(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2g}"
