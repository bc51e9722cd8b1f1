"""How runs, comparisons and trainings look in the terminal: tables, and the sentences that belong to them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from interpfer.metrics import decimals
from interpfer.reports.page.headline import headline
from interpfer.reports.page.scores import Scores
from interpfer.results.comparison import better
from interpfer.results.run import Run, headline_group
from interpfer.scoring.sanity import sentences

METRIC_WIDTH = 23
"""Columns that a score and its interval take."""

WIDE: tuple[tuple[int, ...], ...] = ((0,), (1,), (2,), (3,), (4,), (5, 6), (7,), (8,), (9,))
NARROW: tuple[tuple[int, ...], ...] = ((0, 1, 2), (3, 4), (5, 6), (7, 8, 9))
"""Which facts of a comparison share a column."""


def run_facts(run: Run) -> dict[str, Any]:
    """Return a run for ``--json``: run.json, and the lines of scores.csv."""
    return {"run": run.manifest, "scores": run.scores.to_dict("records"), "path": str(run.path) if run.path else None}


def score_tables(run: Run, width: int) -> Iterator[Table]:
    """Yield tables of one line per map and layer, each with as many metrics as fit into ``width`` characters."""
    metrics = list(dict.fromkeys(run.scores["metric"]))
    names = run.scores[["map", "layer"]].astype(str).map(len).max().sum() + 16
    together = max((width - int(names)) // METRIC_WIDTH, 1)
    for start in range(0, len(metrics), together):
        yield _score_table(run, metrics[start : start + together])


def _score_table(run: Run, metrics: Sequence[str]) -> Table:
    """Lay out one line per map and layer, baselines last, the headline value of each metric with its interval."""
    facts = run.manifest["arguments"]
    part = "all images" if facts["split"] == "all" else facts["split"]
    if run.manifest.get("limit"):
        part = f"{run.manifest['limit']} images" + ("" if facts["split"] == "all" else f" of {facts['split']}")
    table = Table(
        title=f"{facts['model']} on {facts['dataset']}, {part}, protocol {facts['protocol']}",
        title_justify="left",
    )
    for title in ("map", "layer"):
        table.add_column(title, overflow="fold")
    for title in metrics:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    baselines = False
    for (name, layer), rows in run.scores.groupby(["map", "layer"], sort=False):
        if layer == "-" and not baselines:
            table.add_section()
            baselines = True
        cells, n = [], 0
        for metric in metrics:
            row = rows[(rows["metric"] == metric) & (rows["group"] == headline_group(metric))].iloc[0]
            places = decimals(metric)
            known = row["ci_low"] == row["ci_low"]
            interval = f" [{row['ci_low']:.{places}f}, {row['ci_high']:.{places}f}]" if known else ""
            cells.append(f"{row['value']:.{places}f}{interval}".replace("[", r"\["))
            n = max(n, int(row["n"]))
        twin = run.manifest.get("same", {}).get(f"{name}@{layer}", "").partition("@")[0]
        table.add_row(f"{name} = {twin}" if twin else str(name), str(layer), *cells, str(n))
    return table


def comparison_table(lines: pd.DataFrame, name_a: str, name_b: str, width: int) -> Table:
    """Lay out what ``interpfer.results.comparison.compare`` found; where a line would not fit, it takes three."""
    rows = []
    for line, winner in zip(lines.to_dict("records"), better(lines), strict=True):
        places = decimals(line["metric"])
        layer = line["layer_a"] if line["layer_a"] == line["layer_b"] else f"{line['layer_a']} / {line['layer_b']}"
        ends = [f"{line[name]:.{places}f}" for name in ("a", "b")]
        moved = f"{line['difference']:+.{places}f}"
        interval = f"[{line['ci_low']:+.{places}f}, {line['ci_high']:+.{places}f}]"
        chance = [f"{line['p_holm']:.2g}", str(line["n"])]
        rows.append([str(line["map"]), layer, str(line["metric"]), *ends, moved, interval, *chance, winner])
    heads = ["map", "layer", "metric", "a", "b", "b - a", "", "p (Holm)", "n", "better"]
    widest = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    stacked = sum(widest) + 3 * len(heads) > width
    groups = NARROW if stacked else WIDE
    between = "\n" if stacked else " "
    table = Table(title=Text(f"a: {name_a}, b: {name_b}"), title_justify="left", show_lines=stacked)
    for group in groups:
        title = between.join(heads[place] for place in group).strip()
        named = group[0] < 3
        left = named or group == (9,)
        table.add_column(title, justify="left" if left else "right", no_wrap=not named, overflow="fold")
    for row in rows:
        table.add_row(*(Text(between.join(row[place] for place in group)) for group in groups))
    return table


def comparison_notes(lines: pd.DataFrame) -> Iterator[str]:
    """Yield what has to be known of the numbers of a comparison."""
    for metric in dict.fromkeys(name for name in lines["metric"] if headline_group(name) == "micro"):
        yield f"{metric} here is a mean over faces; in a run's own table it is pooled over all pixels, and differs"


def sweep_line(line: Mapping[str, Any]) -> str:
    """Tell how one training of a sweep ended."""
    scores = f"accuracy {line['accuracy']:.3f}  ATT-COS {line['att_cos']:.3f}  CAM-COS {line['cam_cos']:.3f}"
    return f"weight {line['weight']:g}: {scores}"


def sweep_table(lines: pd.DataFrame) -> Table:
    """Lay out what ``interpfer.finetuning.sweep.sweep`` found."""
    table = Table(title="one training per weight of the guide", title_justify="left")
    for name in lines:
        table.add_column(str(name), justify="right", no_wrap=True)
    for line in lines.to_dict("records"):
        values = [f"{line[name]:.3f}" for name in ("accuracy", "macro_f1", "att_cos", "cam_cos")]
        weight = "as it came" if line["weight"] != line["weight"] else f"{line['weight']:g}"
        table.add_row(weight, *values, str(line["n"]))
    return table


def history_line(line: Mapping[str, Any]) -> str:
    """Say how an epoch of a fine-tuning went."""
    parts = [f"{name.replace('_', ' ')} {line[name]:.3f}" for name in ("loss", "cross_entropy", "attention", "cam")
             if line[name] == line[name]]  # fmt: skip
    held = f"accuracy {line['val_accuracy']:.3f}, ATT-COS {line['att_cos']:.3f}, CAM-COS {line['cam_cos']:.3f}"
    star = " *" if line["best"] else ""
    return f"epoch {line['epoch']}: {', '.join(parts)}; held out: {held} ({line['seconds']:.1f} s){star}"


def notes(run: Run) -> Iterator[str]:
    """Yield the sentences that belong to a table: the verdict, accuracy, what was left out, where the results are."""
    said = headline(run, Scores(run))
    yield f"{said.verdict} {said.sentence}"
    yield from said.notes
    counts, classification = run.manifest["counts"], run.manifest["classification"]
    yield (
        f"accuracy {classification['accuracy']:.3f}, macro F1 {classification['macro_f1']:.3f} "
        f"on {classification['n']} labelled images"
    )
    skipped = counts["skipped"]
    left = [
        *([f"{counts['neutral']} neutral"] if counts["neutral"] else []),
        *([f"{counts['unlabelled']} without a label"] if counts["unlabelled"] else []),
        *([_named(skipped["no landmarks"], "without landmarks")] if skipped["no landmarks"] else []),
        *([_named(list(skipped["unreadable"]), "unreadable")] if skipped["unreadable"] else []),
    ]
    sample = " of a random sample (--limit)" if run.manifest.get("limit") else ""
    yield f"scored {counts['scored']} of {counts['images']} images{sample}" + (
        f"; left out: {'; '.join(left)}" if left else ""
    )
    if run.manifest.get("same"):
        yield "map = another: the two are the same thing for this model and layer, and were computed once"
    for why, keys in _by_reason(run.manifest.get("refused", {})).items():
        yield f"left out: {', '.join(keys)}: {why}"
    for key, count in counts["undefined_maps"].items():
        yield f"undefined (constant, zero or not finite): {count} maps of {key}"
    yield from run.manifest.get("warnings", [])
    if run.manifest.get("sanity"):
        yield from sentences(run.manifest["sanity"])
    if run.path is not None:
        yield f"written to {run.path}"


def _named(names: list[str], what: str, count: int = 3) -> str:
    return f"{len(names)} {what} ({', '.join(names[:count])}{', ...' if len(names) > count else ''})"


def _by_reason(refused: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for key, why in refused.items():
        reasons.setdefault(why, []).append(key)
    return reasons
