"""Several runs side by side: what changed on the same images."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interpfer.reports.page import provenance
from interpfer.reports.page.change import signed, signed_interval, summarise_change
from interpfer.reports.page.headline import baseline_phrases
from interpfer.reports.page.scores import UNIFORM, Key, Scores, interval, number
from interpfer.reports.page.tables import Cell, Line, Sheet, map_by_class, shaded
from interpfer.results.comparison import compare, definition_note, describe_independence, find_better, subject_note
from interpfer.results.comparison_notes import landmark_note
from interpfer.results.run import Run

MARKS = {"b": "up", "a": "down", "": ""}
"""Significantly better run of a line -> class of its cell in the style sheet."""

RATES = ("accuracy", "macro_f1")


def comparison_context(runs: Sequence[Run], names: Sequence[str]) -> dict[str, Any]:
    """Return the values of the template of several runs, without pictures.

    Args:
        runs: at least two; the others are compared with the first.
        names: name of each run.

    Raises:
        RunError: the runs cannot be compared.
    """
    scores = [Scores(run) for run in runs]
    first, *others = scores
    comparisons = [compare(runs[0], other) for other in runs[1:]]
    return {
        "title": " → ".join(names) if len(names) == 2 else f"{len(names)} runs side by side",
        "names": list(names),
        "arguments": runs[0].manifest["arguments"],
        "datasets": list(dict.fromkeys(run.dataset for run in runs)),
        "landmark_note": landmark_note(runs),
        "landmarks": list(dict.fromkeys(run.landmarks for run in runs)),
        "baselines": _baselines(scores, names),
        "has_uniform": any(UNIFORM in each.baselines for each in scores),
        "changes": [
            summarise_change(_without_duplicates(lines, first, other), first, names[0], name)
            for lines, other, name in zip(comparisons, others, names[1:], strict=True)
        ],
        "test_names": "sign-flip tests"
        + ("" if _has_subjects(comparisons) else ", for the accuracy of McNemar's test"),
        "independence": _independence(comparisons, runs, names),
        "overview": _overview(runs, scores, names),
        "difference_sheets": [
            _difference_sheets(lines, first, names[0], name) for lines, name in zip(comparisons, names[1:], strict=True)
        ],
        "by_class": _by_class(scores, names),
        "metric": first.primary,
        "runs": [
            {
                "name": name,
                "model": provenance.describe_model(run),
                "hashes": provenance.input_hashes(run),
                "command": provenance.reproduce_command(run),
                "placeholders": provenance.placeholder_note(run),
                "left_out": provenance.left_out(run),
                "warnings": run.manifest.get("warnings", []),
            }
            for run, name in zip(runs, names, strict=True)
        ],
        "paper": provenance.PAPER,
        "software": provenance.cite_software(runs[0]),
    }


def _has_subjects(comparisons: Sequence[pd.DataFrame]) -> bool:
    return all(bool((lines["n_subjects"] > 0).any()) for lines in comparisons)


def _independence(comparisons: Sequence[pd.DataFrame], runs: Sequence[Run], names: Sequence[str]) -> str:
    """Return sentences on what intervals and tests take as independent: once if all comparisons agree."""
    phrases = [
        "; ".join(
            filter(None, (describe_independence(lines), subject_note(runs[0], other), definition_note(runs[0], other)))
        )
        for lines, other in zip(comparisons, runs[1:], strict=True)
    ]
    if len(set(phrases)) == 1:
        return f"{phrases[0][:1].upper()}{phrases[0][1:]}."
    return "".join(f"{name}: {phrase}. " for name, phrase in zip(names[1:], phrases, strict=True)).strip()


def _baselines(scores: Sequence[Scores], names: Sequence[str]) -> str:
    """Return the scores of the baselines in words: once if all runs have the same, else for each run."""
    phrases = ["; ".join(baseline_phrases(each)) for each in scores]
    if len(set(phrases)) == 1:
        return phrases[0]
    return "; ".join(f"in {name} {phrase}" for name, phrase in zip(names, phrases, strict=True) if phrase)


def _without_duplicates(lines: pd.DataFrame, first: Scores, other: Scores) -> pd.DataFrame:
    """Leave out the maps that are duplicates in both runs."""
    sides = ((first, "layer_a"), (other, "layer_b"))
    is_duplicate = [
        all((key := (line["map"], line[layer])) in each.maps and key not in each.distinct for each, layer in sides)
        for line in lines.to_dict("records")
    ]
    return lines[[not duplicate for duplicate in is_duplicate]]


def _overview(runs: Sequence[Run], scores: Sequence[Scores], names: Sequence[str]) -> Sheet:
    """Return a line per run: accuracy, F1, the headline maps and the uniform map."""
    metric, headline_maps = scores[0].primary, [name for name, _ in scores[0].headline_maps]
    lines = []
    for run, own, name in zip(runs, scores, names, strict=True):
        classification, facts = run.manifest["classification"], own.facts(metric)
        rates = [math.nan if classification[key] is None else float(classification[key]) for key in RATES]
        cells = [Cell(number(rate), rate) for rate in rates]
        deepest = dict(own.deepest)
        for map_name in headline_maps:
            estimate = own.at((map_name, deepest.get(map_name, "")), metric)
            text = f"{number(estimate.value, facts)} {interval(estimate, facts)}".strip()
            cells.append(Cell(text, estimate.value))
        uniform = own.at(UNIFORM, metric)
        cells.append(Cell(number(uniform.value, facts), uniform.value))
        count = run.manifest["counts"]["scored"]
        cells.append(Cell(f"{count:,}", float(count)))
        lines.append(Line(name, cells, own.layers[-1] if own.layers else ""))
    of_maps = (f"{metric} of {name}" for name in headline_maps)
    columns = ["accuracy", "macro F1", *of_maps, "uniform map", scores[0].words.many]
    return Sheet({}, "runs", "run and its deepest layer", columns, lines)


def _difference_sheets(table: pd.DataFrame, first: Scores, before: str, after: str) -> list[Sheet]:
    """Return a table of paired differences per metric: a line for the accuracy, then one per map and layer."""
    lines: dict[str, list[Line]] = {}
    for line, side in zip(table.to_dict("records"), find_better(table, first.recorded), strict=True):
        metric = str(line["metric"])
        facts = first.facts(metric)
        layers = [str(line["layer_a"]), str(line["layer_b"])]
        detail = layers[0] if layers[0] == layers[1] else " → ".join(layers)
        a, b, difference = (float(line[column]) for column in ("a", "b", "difference"))
        cells = [
            Cell(number(a, facts), a),
            Cell(number(b, facts), b),
            Cell(signed(difference, facts), difference, mark=MARKS[side]),
            Cell(signed_interval(line, facts), float(line["ci_low"])),
            Cell(_p_value(float(line["p_holm"])), float(line["p_holm"])),
            Cell(f"{int(line['n']):,}", float(line["n"])),
        ]
        name = "accuracy" if metric == "accuracy" else str(line["map"])
        lines.setdefault(metric, []).append(Line(name, cells, "" if detail == "-" else detail))
    accuracy = lines.pop("accuracy")
    columns = [before, after, "difference", "95 % interval", "p (Holm)", "n"]
    caption = f"paired differences, {after} minus {before}, on the same {first.words.many}: "
    return [
        Sheet({"metric": metric}, caption + metric, "map", columns, [*accuracy, *rows])
        for metric, rows in lines.items()
    ]


def _by_class(scores: Sequence[Scores], names: Sequence[str]) -> list[Sheet]:
    """Return a table per metric and map: runs down, classes across, each run at its deepest layer."""
    sheets = []
    by_metric = [{sheet.key["metric"]: sheet for sheet in map_by_class(each, {})} for each in scores]
    for metric in scores[0].metrics:
        if not all(metric in each for each in by_metric):
            continue
        own_sheets, columns = [each[metric] for each in by_metric], by_metric[0][metric].columns
        uniform = _uniform_lines(scores, own_sheets, names)
        for name in dict.fromkeys(key[0] for key in scores[0].deepest):
            lines = []
            for own, sheet, run_name in zip(scores, own_sheets, names, strict=True):
                key = next((key for key in own.deepest if key[0] == name), None)
                if key is not None:
                    lines.append(Line(run_name, _row(own, sheet, key, columns), key[1]))
            caption = f"{metric} of {name} by run and {scores[0].words.label}"
            sheets.append(Sheet({"metric": metric, "map": name}, caption, "run", columns, shaded([*lines, *uniform])))
    return sheets


def _uniform_lines(scores: Sequence[Scores], sheets: Sequence[Sheet], names: Sequence[str]) -> list[Line]:
    """Return the line of the uniform map; one per run where they differ, as on other faces."""
    rows = {
        name: _row(own, sheet, UNIFORM, sheets[0].columns)
        for own, sheet, name in zip(scores, sheets, names, strict=True)
        if UNIFORM in own.baselines
    }
    texts = [[cell.text for cell in cells] for cells in rows.values()]
    if len(rows) == len(scores) and all(text == texts[0] for text in texts):
        return [Line("uniform", rows[names[0]], "baseline", is_baseline=True)]
    return [Line("uniform", cells, f"baseline of {name}", is_baseline=True) for name, cells in rows.items()]


def _row(scores: Scores, sheet: Sheet, key: Key, columns: Sequence[str]) -> list[Cell]:
    """Return the cells of a map, in the columns of another run's table."""
    cells = sheet.lines[[*scores.maps, *scores.baselines].index(key)].cells
    by_column = dict(zip(sheet.columns, cells, strict=True))
    return [by_column.get(column, Cell("–")) for column in columns]


def _p_value(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
