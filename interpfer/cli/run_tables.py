"""Tables and notes of runs, comparisons and trainings for the terminal."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from rich.table import Table
from rich.text import Text

from interpfer.cli.group_notes import group_notes
from interpfer.cli.occlusion_table import occlusion_table
from interpfer.landmarks.reasons import EMPTY_MASK, IMPLAUSIBLE, OFF_PICTURE, OUT_OF_VIEW
from interpfer.reports.page.headline import summarise_run
from interpfer.reports.page.scores import Scores
from interpfer.results.comparison import describe_independence, find_better
from interpfer.results.metric_facts import MetricFacts, facts_of
from interpfer.results.published import PUBLISHED, describe_published
from interpfer.results.run import Run
from interpfer.scoring.sanity import sentences

METRIC_WIDTH = 23
"""Width of a score with its interval."""

WIDE: tuple[tuple[int, ...], ...] = ((0,), (1,), (2,), (3,), (4,), (5, 6), (7,), (8,), (9,))
NARROW: tuple[tuple[int, ...], ...] = ((0, 1, 2), (3, 4), (5, 6), (7, 8, 9))
"""Values of a line of a comparison that share a column."""


def run_facts(run: Run) -> dict[str, Any]:
    """Return a run as values for ``--json``: run.json and the lines of scores.csv."""
    facts = {"run": run.manifest, "scores": run.scores.to_dict("records"), "path": str(run.path) if run.path else None}
    return facts | ({} if run.occluded is None else {"occlusion": run.occluded.summary.to_dict("records")})


def score_tables(run: Run, width: int) -> Iterator[Table]:
    """Yield tables with one line per map and layer, each with as many metrics as fit into ``width`` characters."""
    metrics = list(dict.fromkeys(run.scores["metric"]))
    names = run.scores[["map", "layer"]].astype(str).map(len).max().sum() + 16
    per_table = max((width - int(names)) // METRIC_WIDTH, 1)
    for start in range(0, len(metrics), per_table):
        yield _score_table(run, metrics[start : start + per_table])
    if run.occluded is not None:
        yield occlusion_table(run.occluded)


def _score_table(run: Run, metrics: Sequence[str]) -> Table:
    """Return one line per map and layer, baselines last, with the headline value of each metric and its interval."""
    arguments = run.manifest["arguments"]
    is_all = arguments["split"] == "all"
    images = "all images" if is_all else arguments["split"]
    if run.manifest.get("limit"):
        images = f"{run.manifest['limit']} images" + ("" if is_all else f" of {arguments['split']}")
    table = Table(
        title=f"{arguments['model']} on {run.dataset}, {images}, protocol {arguments['protocol']}",
        title_justify="left",
    )
    for title in ("map", "layer"):
        table.add_column(title, overflow="fold")
    for title in metrics:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    has_baselines = False
    for (name, layer), rows in run.scores.groupby(["map", "layer"], sort=False):
        if layer == "-" and not has_baselines:
            table.add_section()
            has_baselines = True
        cells, n = [], 0
        for metric in metrics:
            facts = run.metric_facts[metric]
            row = rows[(rows["metric"] == metric) & (rows["group"] == facts.headline)].iloc[0]
            cells.append(_estimate(row["value"], row["ci_low"], row["ci_high"], facts.decimals))
            n = max(n, int(row["n"]))
        twin = run.manifest.get("same", {}).get(f"{name}@{layer}", "").partition("@")[0]
        table.add_row(f"{name} = {twin}" if twin else str(name), str(layer), *cells, str(n))
    return table


def _estimate(value: float, low: float, high: float, places: int) -> str:
    """Return a value with its interval, if it has one, for a cell."""
    interval = rf" \[{low:.{places}f}, {high:.{places}f}]" if low == low else ""
    return f"{value:.{places}f}{interval}"


def truth_table(runs: Mapping[str, Run], metric: str = "cosine") -> Table:
    """Return one line per map and layer with the headline value of a metric in runs of the same maps by several truths.

    Args:
        runs: name of the truth -> run.
        metric: one that all runs have.
    """
    table = Table(title=f"{metric} by the truth that maps are compared with", title_justify="left")
    for title in ("map", "layer"):
        table.add_column(title, overflow="fold")
    values: dict[tuple[str, str], list[str]] = {}
    for title, run in runs.items():
        facts = run.metric_facts[metric]
        rows = run.scores[(run.scores["metric"] == metric) & (run.scores["group"] == facts.headline)]
        table.add_column(f"{title} (n {rows['n'].max()})", justify="right", no_wrap=True)
        for row in rows.to_dict("records"):
            cell = _estimate(row["value"], row["ci_low"], row["ci_high"], facts.decimals)
            values.setdefault((row["map"], row["layer"]), []).append(cell)
    has_baselines = False
    for (name, layer), cells in values.items():
        if layer == "-" and not has_baselines:
            table.add_section()
            has_baselines = True
        table.add_row(name, layer, *cells)
    return table


def comparison_table(
    table: pd.DataFrame, name_a: str, name_b: str, width: int, recorded: Mapping[str, MetricFacts] | None = None
) -> Table:
    """Return the result of a comparison as a table; where a line does not fit, it takes three.

    Args:
        table: result of ``interpfer.results.comparison.compare``.
        name_a: name of the first run.
        name_b: name of the second run.
        width: width of the terminal.
        recorded: facts of the metrics, as a run records them; None for those of the installed metrics.
    """
    rows = []
    for line, side in zip(table.to_dict("records"), find_better(table, recorded), strict=True):
        places = facts_of(str(line["metric"]), recorded).decimals
        layer = line["layer_a"] if line["layer_a"] == line["layer_b"] else f"{line['layer_a']} / {line['layer_b']}"
        values = [f"{_number(line[name], f'.{places}f')}{_std(line, name, places)}" for name in ("a", "b")]
        difference, low, high = (_number(line[name], f"+.{places}f") for name in ("difference", "ci_low", "ci_high"))
        interval = "-" if low == high == "-" else f"[{low}, {high}]"
        p_and_n = [_number(line["p_holm"], ".2g"), str(line["n"])]
        rows.append([str(line["map"]), layer, str(line["metric"]), *values, difference, interval, *p_and_n, side])
    heads = ["map", "layer", "metric", "a", "b", "b - a", "", "p (Holm)", "n", "better"]
    widest = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    is_narrow = sum(widest) + 3 * len(heads) > width
    groups = NARROW if is_narrow else WIDE
    separator = "\n" if is_narrow else " "
    layout = Table(title=Text(f"a: {name_a}, b: {name_b}"), title_justify="left", show_lines=is_narrow)
    for group in groups:
        title = separator.join(heads[place] for place in group).strip()
        is_name = group[0] < 3
        justify: Literal["left", "right"] = "left" if is_name or group == (9,) else "right"
        layout.add_column(title, justify=justify, no_wrap=not is_name, overflow="fold")
    for row in rows:
        layout.add_row(*(Text(separator.join(row[place] for place in group)) for group in groups))
    return layout


def _number(value: float, form: str) -> str:
    """Format a value, "-" where it is undefined."""
    return format(value, form) if value == value else "-"


def _std(line: Mapping[Any, Any], side: str, places: int) -> str:
    """Return the standard deviation over the runs of a group, "" for a single run."""
    std = line.get(f"std_{side}", float("nan"))
    return f" +- {std:.{places}f}" if std == std else ""


def comparison_notes(table: pd.DataFrame, recorded: Mapping[str, MetricFacts] | None = None) -> Iterator[str]:
    """Yield notes on the tests and values of a comparison; for the arguments see ``comparison_table``."""
    yield describe_independence(table)
    for metric in dict.fromkeys(map(str, table["metric"])):
        if facts_of(metric, recorded).headline == "micro":
            yield f"{metric}: mean over faces here; the table of a run pools it over all pixels, so values differ"


def sweep_line(line: Mapping[str, Any]) -> str:
    """Format one training of a sweep as a line."""
    scores = f"accuracy {line['accuracy']:.3f}  ATT-COS {line['att_cos']:.3f}  CAM-COS {line['cam_cos']:.3f}"
    return f"weight {line['weight']:g}: {scores}"


def sweep_table(lines: pd.DataFrame) -> Table:
    """Return the result of ``interpfer.finetuning.sweep.sweep`` as a table."""
    table = Table(title="one training per weight of the guide", title_justify="left")
    for name in lines:
        table.add_column(str(name), justify="right", no_wrap=True)
    for line in lines.to_dict("records"):
        values = [f"{line[name]:.3f}" for name in ("accuracy", "macro_f1", "att_cos", "cam_cos")]
        weight = "original" if line["weight"] != line["weight"] else f"{line['weight']:g}"
        table.add_row(weight, *values, str(line["n"]))
    return table


def history_line(line: Mapping[str, Any]) -> str:
    """Format one epoch of fine-tuning as a line."""
    parts = [f"{name.replace('_', ' ')} {line[name]:.3f}" for name in ("loss", "cross_entropy", "attention", "cam")
             if line[name] == line[name]]  # fmt: skip
    scores = f"accuracy {line['val_accuracy']:.3f}, ATT-COS {line['att_cos']:.3f}, CAM-COS {line['cam_cos']:.3f}"
    star = " *" if line["best"] else ""
    return f"epoch {line['epoch']}: {', '.join(parts)}; held-out: {scores} ({line['seconds']:.1f} s){star}"


def notes(run: Run) -> Iterator[str]:
    """Yield the notes below a score table: the headline, accuracy, what was left out, where the results are."""
    headline = summarise_run(run, Scores(run))
    yield f"{headline.verdict} {headline.sentence}"
    yield from headline.notes
    classification = run.manifest["classification"]
    if classification["n"]:
        yield (
            f"accuracy {classification['accuracy']:.3f}, macro F1 {classification['macro_f1']:.3f} "
            f"on {classification['n']} labelled images"
        )
    if aus := classification.get("aus"):
        mean = math.nan if aus["mean_f1"] is None else aus["mean_f1"]
        yield f"mean F1 {mean:.3f} of {len(aus['f1'])} AU outputs ({aus['output']} above {aus['threshold']})"
    if published := run.manifest.get(PUBLISHED):
        yield describe_published(published)
    yield from group_notes(run)
    yield _image_counts(run)
    if cut := run.manifest["counts"].get("partly_seen"):
        yield f"{cut} faces are partly outside of what the network sees of a picture; maps and heatmaps end there"
    if run.manifest.get("same"):
        yield "map = another: both maps are identical for this model and layer and computed once"
    for reason, keys in _by_reason(run.manifest.get("refused", {})).items():
        yield f"left out: {', '.join(keys)}: {reason}"
    for key, count in run.manifest["counts"]["undefined_maps"].items():
        yield f"undefined (constant, zero or not finite): {count} maps of {key}"
    yield from run.manifest.get("warnings", [])
    if run.manifest.get("sanity"):
        yield from sentences(run.manifest["sanity"])
    if run.path is not None:
        yield f"written to {run.path}"


def _image_counts(run: Run) -> str:
    counts = run.manifest["counts"]
    skipped, no_truth = counts["skipped"], counts.get("without_truth", {})
    labels = ", ".join(f"{label} {count}" for label, count in no_truth.items())
    left_out = [
        *([f"{counts['neutral']} neutral"] if counts["neutral"] else []),
        *([f"{sum(no_truth.values())} without a truth ({labels})"] if no_truth else []),
        *([f"{counts['unlabelled']} without a label"] if counts["unlabelled"] else []),
        *([_count_names(skipped["no landmarks"], "without landmarks")] if skipped["no landmarks"] else []),
        *(
            _count_names([*skipped[kind]], f"with {kind}{_main_faults(skipped[kind])}")
            for kind in (IMPLAUSIBLE, OFF_PICTURE, EMPTY_MASK, OUT_OF_VIEW)
            if skipped.get(kind)
        ),
        *([_count_names(list(skipped["unreadable"]), "unreadable")] if skipped["unreadable"] else []),
    ]
    sample = " of a random sample (--limit)" if run.manifest.get("limit") else ""
    reasons = f"; left out: {'; '.join(left_out)}" if left_out else ""
    return f"scored {counts['scored']} of {counts['images']} images{sample}{reasons}"


def _main_faults(faults: Mapping[str, str] | Sequence[str]) -> str:
    counts = Counter(faults.values() if isinstance(faults, Mapping) else [])
    return f": {', '.join(fault for fault, _ in counts.most_common(2))}" if counts else ""


def _count_names(names: Sequence[str], reason: str, most: int = 3) -> str:
    return f"{len(names)} {reason} ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"


def _by_reason(failed: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for key, reason in failed.items():
        reasons.setdefault(reason, []).append(key)
    return reasons
