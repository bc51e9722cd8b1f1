"""Tables of the AU profile: share of a map's energy per action unit, compared with a uniform map."""

import math
from collections.abc import Hashable
from typing import Any

from interpfer.labels import sort_classes
from interpfer.metrics.au_profile import agreement
from interpfer.reports.page.scores import Scores
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.run import Run
from interpfer.truth.base import BACKGROUND

MAX_RATIO = 4
"""Ratio to the energy of a uniform map at which the colours of a profile end, on the page and in figures."""


def au_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table per map: the class map first, then the others of the deepest layer, and the best of all.

    Energy is given as a ratio to a uniform map's energy in the same region, because regions differ in size.
    """
    table = run.au_profile
    if table is None or table.empty:
        return []
    table = table[table["by"] == "true"]
    expected_energy = {
        (line["map"], line["layer"], line["expression"]): float(line["energy"])
        for line in agreement(table).to_dict("records")
    }
    candidates = (scores.main, *scores.headline_maps, *scores.deepest, scores.best(scores.primary))
    sheets = []
    for name, layer in dict.fromkeys(key for key in candidates if key in scores.distinct):
        profile = table[(table["map"] == name) & (table["layer"] == layer)]
        if profile.empty:
            continue
        aus = [str(au) for au in profile["au"].unique()]
        lines = []
        for expression in sort_classes(profile["expression"]):
            rows = profile[profile["expression"] == expression]
            by_au = {str(row["au"]): row for row in rows.to_dict("records")}
            cells = [_background_cell(by_au[au]) if au == BACKGROUND else _region_cell(by_au[au]) for au in aus]
            cells.append(_percent_cell(expected_energy[name, layer, expression]))
            lines.append(Line(expression, cells, f"{int(rows['n'].iloc[0]):,}"))
        columns = ["in no region" if au == BACKGROUND else f"AU {au}".replace("+", " ") for au in aus]
        caption = f"energy of {name} at {layer} as a ratio to a uniform map's, by expression and action unit"
        columns.append("rest in expected regions")
        sheets.append(Sheet({"map": f"{name} {layer}"}, caption, "expression", columns, lines))
    return sheets


def _region_cell(row: dict[Hashable, Any]) -> Cell:
    """Return the ratio of a region's energy to that of a uniform map; colours end at ``MAX_RATIO``, as in figures."""
    share, uniform, codebook = (float(row[name]) for name in ("share", "uniform", "codebook"))
    mark = "expected" if bool(row["expected"]) else ""
    if not (math.isfinite(share) and uniform > 0):
        return Cell("–", mark=mark)
    ratio = share / uniform
    title = f"{100 * share:.1f} % of the energy; uniform map: {100 * uniform:.1f} %"
    title += f"; AU heatmap: {100 * codebook:.1f} %" if math.isfinite(codebook) else ""
    shade = math.log(max(ratio, 1e-9)) / math.log(MAX_RATIO)
    scale = "less" if shade < 0 else "more"
    return Cell(f"{ratio:.1f}", ratio, round(min(abs(shade), 1), 3), title, mark, scale)


def _background_cell(row: dict[Hashable, Any]) -> Cell:
    cell = _percent_cell(float(row["share"]))
    return Cell(cell.text, cell.value, title=f"uniform map: {100 * float(row['uniform']):.0f} %")


def _percent_cell(share: float) -> Cell:
    return Cell(f"{100 * share:.0f} %", share) if math.isfinite(share) else Cell("–")
