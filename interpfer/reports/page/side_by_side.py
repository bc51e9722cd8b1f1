"""Several runs side by side: what changed on the same images."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interpfer.reports.page import provenance
from interpfer.reports.page.change import change, signed, signed_interval
from interpfer.reports.page.headline import baseline_words
from interpfer.reports.page.scores import UNIFORM, Key, Scores, interval, number
from interpfer.reports.page.tables import Cell, Line, Sheet, map_by_class, shaded
from interpfer.results.comparison import better, compare
from interpfer.results.run import Run

MARKS = {"b": "up", "a": "down", "": ""}
"""How the winner of a line is marked."""


def comparison_context(runs: Sequence[Run], names: Sequence[str]) -> dict[str, Any]:
    """Return what the template of several runs shows, apart from pictures.

    Raises:
        RunError: the runs cannot be compared.
    """
    scores = [Scores(run) for run in runs]
    changes = [compare(runs[0], other) for other in runs[1:]]
    metric = scores[0].primary
    return {
        "title": " → ".join(names) if len(names) == 2 else f"{len(names)} runs side by side",
        "names": list(names),
        "facts": runs[0].manifest["arguments"],
        "baselines": _baselines(scores, names),
        "uniform": any((UNIFORM, "-") in one.baselines for one in scores),
        "verdicts": [
            change(_once(lines, scores[0], other), scores[0].headline_maps, metric, names[0], name)
            for lines, other, name in zip(changes, scores[1:], names[1:], strict=True)
        ],
        "overview": _overview(runs, scores, names),
        "changes": [_change_sheets(lines, names[0], name) for lines, name in zip(changes, names[1:], strict=True)],
        "by_class": _by_class(scores, names),
        "metric": metric,
        "runs": [
            {
                "name": name,
                "setting": provenance.setting(run),
                "hashes": provenance.hashes(run),
                "command": provenance.command(run),
                "left_out": provenance.left_out(run),
                "warnings": run.manifest.get("warnings", []),
            }
            for run, name in zip(runs, names, strict=True)
        ],
        "paper": provenance.PAPER,
        "software": provenance.software(runs[0]),
    }


def _baselines(scores: Sequence[Scores], names: Sequence[str]) -> str:
    """Say what each baseline reaches: once for all runs, or of each run where they differ."""
    said = ["; ".join(baseline_words(one)) for one in scores]
    if len(set(said)) == 1:
        return said[0]
    return "; ".join(f"in {name} {words}" for name, words in zip(names, said, strict=True) if words)


def _once(found: pd.DataFrame, first: Scores, other: Scores) -> pd.DataFrame:
    """Leave out the maps that are the same thing as another in both runs."""
    sides = ((first, "layer_a"), (other, "layer_b"))
    twins = [
        all((key := (line["map"], line[layer])) in one.maps and key not in one.distinct for one, layer in sides)
        for line in found.to_dict("records")
    ]
    return found[[not twin for twin in twins]]


def _overview(runs: Sequence[Run], scores: Sequence[Scores], names: Sequence[str]) -> Sheet:
    """Return a line per run: accuracy, F1, and the maps that the verdict speaks of beside the uniform one."""
    metric, headline_maps = scores[0].primary, [name for name, _ in scores[0].headline_maps]
    lines = []
    for run, found, name in zip(runs, scores, names, strict=True):
        facts = run.manifest["classification"]
        rates = [math.nan if facts[key] is None else float(facts[key]) for key in ("accuracy", "macro_f1")]
        cells = [Cell(number(rate), rate) for rate in rates]
        deepest = dict(found.deepest)
        for own in headline_maps:
            value = found.at((own, deepest.get(own, "")), metric)
            cells.append(Cell(f"{number(value.value, metric)} {interval(value, metric)}".strip(), value.value))
        uniform = found.at((UNIFORM, "-"), metric)
        cells.append(Cell(number(uniform.value, metric), uniform.value))
        count = run.manifest["counts"]["scored"]
        cells.append(Cell(f"{count:,}", float(count)))
        lines.append(Line(name, cells, found.layers[-1] if found.layers else ""))
    columns = ["accuracy", "macro F1", *(f"{metric} of {own}" for own in headline_maps), "uniform map", "faces"]
    return Sheet({}, "the runs", "run and its deepest layer", columns, lines)


def _change_sheets(found: pd.DataFrame, before: str, after: str) -> list[Sheet]:
    """Return a table of paired differences per metric: a line for the accuracy, then one per map and layer."""
    lines: dict[str, list[Line]] = {}
    for line, winner in zip(found.to_dict("records"), better(found), strict=True):
        metric = str(line["metric"])
        layers = [str(line["layer_a"]), str(line["layer_b"])]
        detail = layers[0] if layers[0] == layers[1] else " → ".join(layers)
        cells = [
            Cell(number(float(line["a"]), metric), float(line["a"])),
            Cell(number(float(line["b"]), metric), float(line["b"])),
            Cell(signed(float(line["difference"]), metric), float(line["difference"]), mark=MARKS[winner]),
            Cell(signed_interval(line), float(line["ci_low"])),
            Cell(_chance(float(line["p_holm"])), float(line["p_holm"])),
            Cell(f"{int(line['n']):,}", float(line["n"])),
        ]
        name = "accuracy" if metric == "accuracy" else str(line["map"])
        lines.setdefault(metric, []).append(Line(name, cells, "" if detail == "-" else detail))
    first = lines.pop("accuracy")
    columns = [before, after, "difference", "95 % interval", "p (Holm)", "n"]
    caption = f"paired differences, {after} minus {before}, on the same faces: "
    return [
        Sheet({"metric": metric}, caption + metric, "map", columns, [*first, *rows]) for metric, rows in lines.items()
    ]


def _by_class(scores: Sequence[Scores], names: Sequence[str]) -> list[Sheet]:
    """Return a table per metric and map: runs down, classes across; of each run the layer of the same depth."""
    sheets = []
    tabled = [{sheet.key["metric"]: sheet for sheet in map_by_class(one, {})} for one in scores]
    for metric in scores[0].metrics:
        if not all(metric in one for one in tabled):
            continue
        sheets_of, columns = [one[metric] for one in tabled], tabled[0][metric].columns
        blanks = _uniform(scores, sheets_of, names)
        for name in dict.fromkeys(key[0] for key in scores[0].deepest):
            lines = []
            for found, sheet, run_name in zip(scores, sheets_of, names, strict=True):
                key = next((key for key in found.deepest if key[0] == name), None)
                if key is not None:
                    lines.append(Line(run_name, _row(found, sheet, key, columns), key[1]))
            caption = f"{metric} of {name} by run and expression"
            sheets.append(Sheet({"metric": metric, "map": name}, caption, "run", columns, shaded([*lines, *blanks])))
    return sheets


def _uniform(scores: Sequence[Scores], sheets: Sequence[Sheet], names: Sequence[str]) -> list[Line]:
    """Return the line of a uniform map; one per run where they differ, since not all runs need be of the same faces."""
    rows = {
        name: _row(found, sheet, (UNIFORM, "-"), sheets[0].columns)
        for found, sheet, name in zip(scores, sheets, names, strict=True)
        if (UNIFORM, "-") in found.baselines
    }
    texts = [[cell.text for cell in cells] for cells in rows.values()]
    if len(rows) == len(scores) and all(text == texts[0] for text in texts):
        return [Line("uniform", rows[names[0]], "baseline", baseline=True)]
    return [Line("uniform", cells, f"baseline of {name}", baseline=True) for name, cells in rows.items()]


def _row(scores: Scores, sheet: Sheet, key: Key, columns: Sequence[str]) -> list[Cell]:
    """Return the cells of a map in the columns of another run's table."""
    cells = sheet.lines[[*scores.maps, *scores.baselines].index(key)].cells
    found = dict(zip(sheet.columns, cells, strict=True))
    return [found.get(column, Cell("–")) for column in columns]


def _chance(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
