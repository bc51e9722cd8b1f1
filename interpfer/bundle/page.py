"""The first page of a bundle."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment

from interpfer import __version__
from interpfer.bundle.comparisons import PairedRuns
from interpfer.bundle.run_members import CARD, BundledRun
from interpfer.reports.environment import template_environment
from interpfer.reports.page import page_bytes
from interpfer.reports.page.scores import Scores, interval, number
from interpfer.results.comparison import find_better
from interpfer.results.run import Run

HEADLINES = ("cosine", "cosine_skill", "pxap")
"""Metrics of the tables, where the runs have them."""

RULES = ("protocol", "codebook", "geometry", "masks", "target", "landmarks")
"""Arguments of a run that are named where runs differ in them; the protocol always is."""

Row = tuple[str, str, str]
"""Model, map and layer."""


def index_page(runs: Sequence[BundledRun], pairs: Sequence[PairedRuns], members: Sequence[str], faces: bool) -> bytes:
    """Return index.html.

    Args:
        runs: the runs.
        pairs: their comparisons.
        members: names of all other members, to which the page links.
        faces: whether photographs are included.
    """
    names = set(members)
    context = {
        "runs": [_run_facts(bundled, names) for bundled in runs],
        "studies": [_study(group) for group in _by_data(runs)],
        "comparisons": [_comparison(pair) for pair in pairs if pair.table is not None],
        "not_compared": _not_compared(pairs),
        "files": [name for name in sorted(names) if "/" not in name or name.startswith("leaderboard/")],
        "faces": faces,
        "version": __version__,
    }
    return page_bytes(_environment().get_template("index.html.j2").render(**context))


def _by_data(runs: Sequence[BundledRun]) -> list[list[BundledRun]]:
    groups: dict[tuple[str, ...], list[BundledRun]] = {}
    for bundled in runs:
        arguments = bundled.run.manifest["arguments"]
        key = (bundled.run.dataset, str(arguments["split"]), str(bundled.run.manifest["dataset_digest"]))
        groups.setdefault(key, []).append(bundled)
    return list(groups.values())


def model_name(bundled: BundledRun) -> str:
    """Return the name of the model of a run."""
    return str(bundled.run.manifest["arguments"]["model"])


def _study(runs: Sequence[BundledRun]) -> dict[str, Any]:
    """Return the tables of all runs on one data set: maps down, rules across."""
    first = runs[0].run.manifest["arguments"]
    rules = {bundled.name: _rules(bundled, runs) for bundled in runs}
    columns = list(dict.fromkeys(rules.values()))
    models = _model_labels(runs)
    scores = {bundled.name: Scores(bundled.run) for bundled in runs}
    metrics = dict.fromkeys(metric for own in scores.values() for metric in own.metrics)
    wanted = [name for name in HEADLINES if name in metrics] or list(metrics)[:1]
    return {
        "title": f"{runs[0].run.dataset}, split {first['split']}",
        "columns": columns,
        "tables": [
            {"metric": metric, "rows": _rows(metric, runs, scores, rules, models, columns)} for metric in wanted
        ],
    }


def _rows(
    metric: str,
    runs: Sequence[BundledRun],
    scores: dict[str, Scores],
    rules: dict[str, str],
    models: dict[str, str],
    columns: Sequence[str],
) -> list[dict[str, Any]]:
    cells: dict[Row, dict[str, str]] = {}
    baselines: dict[Row, dict[str, str]] = {}
    for bundled in runs:
        own, column, model = scores[bundled.name], rules[bundled.name], models[bundled.name]
        if metric not in own.metrics:
            continue
        facts = own.facts(metric)
        for name, layer in (*own.maps, *own.baselines):
            estimate = own.at((name, layer), metric)
            text = f"{number(estimate.value, facts)} {interval(estimate, facts)}".strip()
            table = baselines if layer == "-" else cells
            table.setdefault((model, name, layer), {})[column] = text
    maps = list(dict.fromkeys((name, layer) for _, name, layer in baselines))
    for name, layer in maps:
        lines = [line for (_, other, at), line in baselines.items() if (other, at) == (name, layer)]
        if all(line == lines[0] for line in lines):
            cells["", name, layer] = lines[0]
        else:
            cells |= {key: line for key, line in baselines.items() if key[1:] == (name, layer)}
    return [
        {"model": key[0], "map": key[1], "layer": key[2], "cells": [line.get(column, "") for column in columns]}
        for key, line in cells.items()
    ]


def _model_labels(runs: Sequence[BundledRun]) -> dict[str, str]:
    """Return run -> its model; with the start of its hash where models of one name differ, or the name of the run."""
    by_name: dict[str, dict[str, None]] = {}
    for bundled in runs:
        by_name.setdefault(model_name(bundled), {})[str(bundled.run.manifest["checkpoint_sha256"])] = None
    labels, cells = {}, {}
    for bundled in runs:
        name, sha = model_name(bundled), str(bundled.run.manifest["checkpoint_sha256"])
        label = name if len(by_name[name]) == 1 else f"{name} ({sha[:8]})"
        key = (label, _rules(bundled, runs))
        labels[bundled.name] = label if key not in cells else f"{label}, {bundled.name}"
        cells[key] = bundled.name
    return labels


def _rules(bundled: BundledRun, runs: Sequence[BundledRun]) -> str:
    """Return what distinguishes the rules of a run from those of others on the same data."""
    values = [_rule_values(each) for each in runs]
    own = _rule_values(bundled)
    parts = [own["protocol"]] + [
        own[name] for name in RULES[1:] if len({each[name] for each in values}) > 1 and own[name]
    ]
    return ", ".join(parts)


def _rule_values(bundled: BundledRun) -> dict[str, str]:
    arguments = bundled.run.manifest["arguments"]
    values = {name: str(arguments.get(name) or "") for name in RULES}
    values["landmarks"] = f"landmarks {bundled.run.landmarks}"
    values["target"] = f"target {values['target']}"
    return values


def _run_facts(bundled: BundledRun, members: set[str]) -> dict[str, Any]:
    run, folder = bundled.run, bundled.folder
    accuracy = run.manifest["classification"]["accuracy"]
    own = [name for name in sorted(members) if name.startswith(f"{folder}/")]
    return {
        "name": bundled.name,
        "model": model_name(bundled),
        "network": _describe_network(run),
        "data": run.dataset,
        "landmarks": run.landmarks,
        "rules": run.manifest["arguments"]["protocol"],
        "accuracy": "" if accuracy is None else number(float(accuracy)),
        "faces": run.manifest["counts"]["scored"],
        "images": run.manifest["counts"]["images"],
        "report": f"{folder}/report.html",
        "card": f"{folder}/{CARD}" if f"{folder}/{CARD}" in members else "",
        "tables": [name for name in own if name.endswith((".csv", ".json"))],
        "figures": list({name.rpartition(".")[0]: name for name in own if name.endswith((".pdf", ".svg"))}.values()),
    }


def _describe_network(run: Run) -> str:
    """Return architecture, size and lineage of a model, "" where a run does not record them."""
    network = run.network
    size = f"{network['parameters']:,} parameters" if network["parameters"] else ""
    return ", ".join(filter(None, (str(network["architecture"]), size, str(network["lineage"]))))


def _comparison(pair: PairedRuns) -> dict[str, Any]:
    table = pair.table
    assert table is not None
    better = find_better(table, pair.a.run.metric_facts)
    wins = {side: better.count(side) for side in ("a", "b")}
    accuracy = table.iloc[0]
    return {
        "a": pair.a.name,
        "b": pair.b.name,
        "file": f"{pair.name}.csv",
        "n": int(accuracy["n"]),
        "accuracy": f"{float(accuracy['difference']):+.3f} [{float(accuracy['ci_low']):+.3f}, "
        f"{float(accuracy['ci_high']):+.3f}]".replace("-", "\N{MINUS SIGN}"),
        "lines": len(table),
        "better_a": wins["a"],
        "better_b": wins["b"],
    }


def _not_compared(pairs: Sequence[PairedRuns]) -> list[dict[str, Any]]:
    """Return each reason once, with its pairs."""
    reasons: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.table is None:
            reasons.setdefault(pair.reason, []).append(f"{pair.a.name} and {pair.b.name}")
    return [
        {"reason": reason, "pairs": names[0] if len(names) == 1 else f"{len(names)} pairs such as {names[0]}"}
        for reason, names in reasons.items()
    ]


@cache
def _environment() -> Environment:
    return template_environment("interpfer.bundle")
