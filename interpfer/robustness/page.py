"""The page of a study: a picture of the values of every choice, and what is found under each."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from interpfer import __version__
from interpfer.reports.environment import template_environment
from interpfer.reports.escape import plain
from interpfer.reports.page.render import page_bytes
from interpfer.robustness.conclusions import ABOVE, ALIKE, BELOW, Conclusions
from interpfer.robustness.study import Study

LEFT, WIDTH, LINE, TOP = 330, 900, 26, 10
"""Where the axis of a picture begins, its whole width, the height of a line, and the margin above: pixels."""

SIGNS = {ABOVE: "\N{BLACK UP-POINTING TRIANGLE} above", BELOW: "\N{BLACK DOWN-POINTING TRIANGLE} below", ALIKE: "="}


def study_page(study: Study, values: pd.DataFrame, conclusions: Conclusions, manifest: dict[str, Any]) -> bytes:
    """Return robustness.html, which opens from disk and makes no network request.

    Args:
        study: the runs.
        values: of every choice.
        conclusions: what holds under which choices.
        manifest: what was scored.
    """
    environment = template_environment("interpfer.robustness")
    names = [study.name(choice) for choice in study.choices]
    page = environment.get_template("robustness.html.j2").render(
        models=list(study.runs),
        data=f"{manifest['dataset_name']} ({manifest['split']})",
        counts=manifest["counts"],
        choices=[plain(name) for name in names],
        pictures=[_picture(study, values, str(metric)) for metric in values["metric"].unique()],
        lines=_lines(conclusions),
        left=LEFT,
        width=WIDTH,
        intervals=manifest["intervals"],
        version=__version__,
    )
    return page_bytes(page)


def _picture(study: Study, values: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return the positions of one metric's dots: a line per model, map and layer, a dot per choice."""
    own = values[values["metric"] == metric]
    known = own[["value", "ci_low", "ci_high"]].to_numpy(float).ravel()
    known = known[[math.isfinite(value) for value in known]]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(LEFT + 15 + (value - low) / span * (WIDTH - LEFT - 30), 1)

    order = {tuple(choice): place for place, choice in enumerate(study.choices)}
    step = (LINE - 8) / max(len(order), 1)
    lines = []
    for place, (key, rows) in enumerate(own.groupby(["model", "map", "layer"], sort=False)):
        model, name, layer = map(str, key)
        dots = []
        for row in rows.to_dict("records"):
            index = order[tuple(row[field] for field in study.choices[0]._fields)]
            value, start, end = (float(row[key]) for key in ("value", "ci_low", "ci_high"))
            if not math.isfinite(value):
                continue
            y = round(TOP + place * LINE + 4 + (index + 0.5) * step, 1)
            ends = (x(start), x(end)) if math.isfinite(start) and math.isfinite(end) else (x(value), x(value))
            title = f"{study.name(study.choices[index])}: {value:.3f} ({start:.3f} to {end:.3f})"
            dots.append({"x": x(value), "y": y, "ends": ends, "title": plain(title), "hue": index % 8})
        label = " \N{MIDDLE DOT} ".join([*([model] if len(study.runs) > 1 else []), name, *([layer] * (layer != "-"))])
        lines.append({"label": plain(label), "y": TOP + place * LINE, "dots": dots, "is_baseline": layer == "-"})
    ticks = [{"x": x(low + share * span), "text": f"{low + share * span:.3g}"} for share in (0, 0.25, 0.5, 0.75, 1)]
    return {"metric": metric, "lines": lines, "ticks": ticks, "height": TOP + len(lines) * LINE + 28, "line": LINE}


def _lines(conclusions: Conclusions) -> list[dict[str, Any]]:
    lines = []
    for row, found in zip(conclusions.table.to_dict("records"), conclusions.findings, strict=True):
        lines.append({
            "kind": row["kind"],
            "of": plain(str(row["of"])),
            "layer": plain(str(row["layer"])),
            "metric": row["metric"],
            "conclusion": plain(str(row["conclusion"])),
            "holds": f"{round(row['holds'] * row['choices'])} of {row['choices']}",
            "tau": "" if math.isnan(row["tau"]) else f"{row['tau']:.2f}".replace("-", "\N{MINUS SIGN}"),
            "cells": _cells(found, str(row["conclusion"])),
        })  # fmt: skip
    return lines


def _cells(found: Sequence[str], most: str) -> list[dict[str, str]]:
    cells = []
    for text in found:
        verdict = next((word for word in (ALIKE, ABOVE, BELOW) if f" {word} " in text), "")
        mark = {ABOVE: "above", BELOW: "below"}.get(verdict, "") if verdict else ("" if text == most else "other")
        shown = SIGNS[verdict] if verdict else ("same" if text == most else text)
        cells.append({"text": plain(shown if text else ""), "mark": mark, "title": plain(text)})
    return cells
