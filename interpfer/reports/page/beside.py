"""Several runs side by side: what changed on the same images."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interpfer.reports.comparison import better, compare
from interpfer.reports.page import provenance
from interpfer.reports.page.scores import SAID, Scores, interval, number
from interpfer.reports.page.tables import Cell, Line, Sheet, map_by_class, shaded
from interpfer.results.run import Run

MARKS = {"b": "up", "a": "down", "": ""}
"""How the winner of a line is marked."""


def beside(runs: Sequence[Run], names: Sequence[str]) -> dict[str, Any]:
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
        "baselines": _baselines(scores[0], metric),
        "verdicts": [_verdict(change, metric, names[0], name) for change, name in zip(changes, names[1:], strict=True)],
        "overview": _overview(runs, scores, names),
        "changes": [_change_sheets(change, names[0], name) for change, name in zip(changes, names[1:], strict=True)],
        "by_class": _by_class(scores, names),
        "metrics": scores[0].metrics,
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


def _verdict(change: pd.DataFrame, metric: str, before: str, after: str) -> str:
    """Say what became of the accuracy, of how many maps, and of the one that moved most."""
    winners = better(change)
    lines = list(zip(change.to_dict("records"), winners, strict=True))
    parts = [_moved(lines[0][0], lines[0][1], "the accuracy")]
    own = [
        (line, winner) for line, winner in lines[1:] if line["metric"] == metric and math.isfinite(line["difference"])
    ]
    if own:
        line, winner = max(own, key=lambda item: abs(item[0]["difference"]))
        layer = "" if line["layer_a"] == "-" else f" at {line['layer_a']}"
        moved = _moved(line, winner, f"the {metric} of {line['map']}{layer}")
        if len(own) > 1:
            rise, fall, stay = (sum(winner == side for _, winner in own) for side in ("b", "a", ""))
            counts = (
                f"Of {len(own)} maps {rise} come closer to the AU heatmaps, {fall} move away, {stay} stay within chance"
            )
            return f"From {before} to {after}, {parts[0]}. {counts}; most of all, {moved}."
        parts.append(moved)
    return f"From {before} to {after}, {' and '.join(parts)}."


def _baselines(scores: Scores, metric: str) -> str:
    """Return what has to be beaten, in one sentence; nothing where no baseline was scored."""
    found = [(said, scores.at((name, "-"), metric)) for name, said in SAID.items()]
    words = [f"{said} {number(value.value, metric)}" for said, value in found if value.defined]
    return f"To be beaten, in {metric}: {', '.join(words)}." if words else ""


def _moved(line: dict[Any, Any], winner: str, what: str) -> str:
    metric = str(line["metric"])
    ends = f"{number(float(line['a']), metric)} to {number(float(line['b']), metric)}"
    if not winner:
        return f"{what} stays within chance ({ends})"
    return f"{what} {'rises' if line['difference'] > 0 else 'falls'} from {ends}"


def _overview(runs: Sequence[Run], scores: Sequence[Scores], names: Sequence[str]) -> Sheet:
    """Return a line per run: accuracy, F1, and its best map beside the uniform one."""
    metric = scores[0].primary
    lines = []
    for run, found, name in zip(runs, scores, names, strict=True):
        facts = run.manifest["classification"]
        rates = [math.nan if facts[key] is None else float(facts[key]) for key in ("accuracy", "macro_f1")]
        cells = [Cell(number(rate), rate) for rate in rates]
        best = found.best(metric)
        value = found.at(best, metric) if best else None
        cells.append(
            Cell(f"{number(value.value, metric)} {interval(value, metric)}", value.value) if value else Cell("–")
        )
        uniform = found.at(("baseline:uniform", "-"), metric)
        cells.append(Cell(number(uniform.value, metric), uniform.value))
        count = run.manifest["counts"]["scored"]
        cells.append(Cell(f"{count:,}", float(count)))
        lines.append(Line(name, cells, " ".join(best) if best else ""))
    columns = ["accuracy", "macro F1", f"best {metric}", "uniform map", "faces"]
    return Sheet({}, "the runs", "run and its best map", columns, lines)


def _change_sheets(change: pd.DataFrame, before: str, after: str) -> list[Sheet]:
    """Return a table of paired differences per metric: a line for the accuracy, then one per map and layer."""
    lines: dict[str, list[Line]] = {}
    for line, winner in zip(change.to_dict("records"), better(change), strict=True):
        metric = str(line["metric"])
        layers = [str(line["layer_a"]), str(line["layer_b"])]
        detail = layers[0] if layers[0] == layers[1] else " → ".join(layers)
        ends = [float(line["ci_low"]), float(line["ci_high"])]
        said = ", ".join(_signed(end, metric) for end in ends)
        cells = [
            Cell(number(float(line["a"]), metric), float(line["a"])),
            Cell(number(float(line["b"]), metric), float(line["b"])),
            Cell(_signed(float(line["difference"]), metric), float(line["difference"]), mark=MARKS[winner]),
            Cell(f"[{said}]" if all(map(math.isfinite, ends)) else "–", ends[0]),
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
        for name in dict.fromkeys(key[0] for key in scores[0].deepest):
            lines = []
            for found, sheets_of, run_name in zip(scores, tabled, names, strict=True):
                key = next((key for key in found.deepest if key[0] == name), None)
                rows = [*found.maps, *found.baselines]
                if key is not None:
                    sheet = sheets_of[metric]
                    cells = dict(zip(sheet.columns, sheet.lines[rows.index(key)].cells, strict=True))
                    columns = tabled[0][metric].columns
                    lines.append(Line(run_name, [cells.get(column, Cell("–")) for column in columns], key[1]))
            caption = f"{metric} of {name} by run and expression"
            columns = tabled[0][metric].columns
            sheets.append(Sheet({"metric": metric, "map": name}, caption, "run", columns, shaded(lines)))
    return sheets


def _signed(value: float, metric: str) -> str:
    text = number(value, metric)
    return f"+{text}" if value > 0 else text


def _chance(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
