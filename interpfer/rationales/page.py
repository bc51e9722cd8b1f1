"""The page of a file of rationales: the values beside those of the baselines, and by action unit."""

import math
from typing import Any

import pandas as pd

from interpfer import __version__
from interpfer.rationales.baselines import BASELINES
from interpfer.rationales.scores import TEXT
from interpfer.rationales.summary import METRICS
from interpfer.reports.environment import template_environment
from interpfer.reports.escape import plain
from interpfer.reports.page.render import page_bytes

MAX_BAD = 20
"""How many bad rows the page lists."""


def rationale_page(
    scores: pd.DataFrame, by_au: pd.DataFrame, maps: pd.DataFrame | None, manifest: dict[str, Any]
) -> bytes:
    """Return rationales.html, which opens from disk and makes no network request.

    Args:
        scores: a line per kind of rows and metric.
        by_au: a line per kind of rows and action unit.
        maps: the texts against maps; None without a run.
        manifest: what was scored.
    """
    environment = template_environment("interpfer.rationales")
    kinds = list(scores["of"].unique())
    page = environment.get_template("rationales.html.j2").render(
        name=plain(manifest["name"]),
        data=f"{manifest['dataset']} ({manifest['split']})" if manifest["dataset"] else "the labels of the rows",
        counts=manifest["counts"],
        truth=manifest["truth"],
        kinds=kinds,
        baselines={name: what for name, what in BASELINES.items() if name in kinds},
        verdicts=verdicts(scores),
        metrics=[
            {"name": name, "what": what, "cells": [_cell(scores, kind, name) for kind in kinds]}
            for name, what in METRICS.items()
            if scores[(scores["metric"] == name) & (scores["of"] == TEXT)]["n"].gt(0).any()
        ],
        units=[_unit(row) for row in by_au[by_au["of"] == TEXT].to_dict("records")],
        has_boxes=manifest["boxes"]["unit"] != "",
        maps=[] if maps is None else [_map(row) for row in maps.to_dict("records")],
        notes=[plain(note) for note in manifest["notes"]],
        bad=[plain(line) for line in manifest["bad"][:MAX_BAD]],
        intervals=manifest["intervals"],
        version=__version__,
    )
    return page_bytes(page)


def verdicts(scores: pd.DataFrame) -> list[str]:
    """Return sentences: for action units and boxes, whether the texts are above each baseline.

    Intervals that do not overlap count as a difference; texts and baselines are of the same faces, so that this test
    finds fewer differences than there are.
    """
    found = {(row["of"], row["metric"]): row for row in scores.to_dict("records")}
    sentences = []
    for metric, what in (("au_f1", "F1 of the action units"), ("iou", "intersection over union of the boxes")):
        own = found[(TEXT, metric)]
        if not math.isfinite(own["value"]):
            continue
        words: dict[str, list[str]] = {}
        for name in [name for name in BASELINES if (name, metric) in found]:
            other = found[(name, metric)]
            above, below = own["ci_low"] > other["ci_high"], own["ci_high"] < other["ci_low"]
            word = "above" if above else "below" if below else "not told apart from"
            words.setdefault(word, []).append(f"{name} ({other['value']:.3f})")
        listed = "; ".join(f"{word} {', '.join(names)}" for word, names in words.items())
        sentences.append(f"The {what} is {own['value']:.3f}: {listed}.")
    return sentences


def _cell(scores: pd.DataFrame, kind: str, metric: str) -> dict[str, str]:
    row = scores[(scores["of"] == kind) & (scores["metric"] == metric)].iloc[0]
    return _value(row["value"], row["ci_low"], row["ci_high"])


def _value(value: float, low: float, high: float) -> dict[str, str]:
    if not math.isfinite(value):
        return {"value": "-", "interval": ""}
    return {"value": f"{value:.3f}", "interval": f"{low:.3f} to {high:.3f}" if math.isfinite(low) else ""}


def _unit(row: dict[Any, Any]) -> dict[str, str]:
    numbers = ("precision", "recall", "f1", "iou", "hit", "pointing")
    cells = {name: f"{row[name]:.3f}" if math.isfinite(row[name]) else "-" for name in numbers}
    interval = f"{row['f1_ci_low']:.3f} to {row['f1_ci_high']:.3f}" if math.isfinite(row["f1_ci_low"]) else ""
    counts = {"au": str(row["au"]), "present": str(row["present"]), "named": str(row["named"])}
    return counts | cells | {"name": row["name"], "interval": interval}


def _map(row: dict[Any, Any]) -> dict[str, str]:
    return {name: str(row[name]) for name in ("map", "layer", "of", "metric")} | _value(
        row["value"], row["ci_low"], row["ci_high"]
    )
