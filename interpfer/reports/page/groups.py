"""Groups of runs, such as the seeds of two trainings, compared on the page of several runs."""

import math
from collections.abc import Sequence
from typing import Any

from interpfer.errors import RunError
from interpfer.reports.page.change import signed, signed_interval
from interpfer.reports.page.scores import Scores, number
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.comparison import find_better
from interpfer.results.group_comparison import compare_run_groups
from interpfer.results.metric_facts import MetricFacts
from interpfer.results.run import Run

MARKS = {"b": "up", "a": "down", "": ""}
"""Significantly better group of a line -> class of its cell in the style sheet."""


def group_context(runs: Sequence[Run], groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each pair of groups its title and a table per metric.

    Args:
        runs: all runs.
        groups: name of the group of each run.

    Raises:
        RunError: there is one group alone, or the runs cannot be compared.
    """
    members = {
        name: [run for run, own in zip(runs, groups, strict=True) if own == name] for name in dict.fromkeys(groups)
    }
    if len(members) < 2:
        raise RunError(f"--groups must name two groups at least, got '{groups[0]}' for all runs.")
    table, first = compare_run_groups(members), Scores(runs[0])
    pairs = []
    for (before, after), lines in table.groupby(["group_a", "group_b"], sort=False):
        sheets: dict[str, list[Line]] = {}
        for line, side in zip(lines.to_dict("records"), find_better(lines, first.recorded), strict=True):
            metric = str(line["metric"])
            sheets.setdefault(metric, []).append(_line({str(key): value for key, value in line.items()}, side, first))
        accuracy = sheets.pop("accuracy", [])
        columns = [str(before), str(after), "difference", "95 % interval", "p (Holm)", "n"]
        counts = [f"{name} ({len(members[str(name)])} runs)" for name in (after, before)]
        pairs.append({
            "title": " compared with ".join(counts),
            "sheets": [
                Sheet({"metric": metric}, f"{after} minus {before}: {metric}", "map", columns, [*accuracy, *own])
                for metric, own in sheets.items()
            ],
        })  # fmt: skip
    return pairs


def _line(line: dict[str, Any], side: str, first: Scores) -> Line:
    metric = str(line["metric"])
    facts = first.facts(metric)
    layers = list(dict.fromkeys([str(line["layer_a"]), str(line["layer_b"])]))
    p = float(line["p_holm"])
    cells = [
        Cell(_mean(float(line["a"]), float(line["std_a"]), facts), float(line["a"])),
        Cell(_mean(float(line["b"]), float(line["std_b"]), facts), float(line["b"])),
        Cell(signed(float(line["difference"]), facts), float(line["difference"]), mark=MARKS[side]),
        Cell(signed_interval(line, facts), float(line["ci_low"])),
        Cell("–" if math.isnan(p) else f"{p:.2g}", p),
        Cell(f"{int(line['n']):,}", float(line["n"])),
    ]
    name = "accuracy" if metric == "accuracy" else str(line["map"])
    return Line(name, cells, "" if layers == ["-"] else " → ".join(layers))


def _mean(mean: float, std: float, facts: MetricFacts) -> str:
    """Return a mean with the standard deviation over runs, where there are several."""
    return number(mean, facts) if math.isnan(std) else f"{number(mean, facts)} ± {number(std, facts)}"
