"""The tables of the AU evidence profile: where a map's energy lies, against a map that is the same everywhere."""

import math
from collections.abc import Hashable
from typing import Any

from interpfer.labels import EXPRESSIONS
from interpfer.metrics.au_profile import agreement
from interpfer.reports.page.scores import Scores
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.run import Run
from interpfer.truth.base import BACKGROUND

FARTHEST = 4
"""Times the energy of a uniform map at which the colours of a profile end, on the page and in figures."""


def au_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table per map, the class map first, then the others of the deepest layer, and the best of all.

    Energy is given as a multiple of what a uniform map has in the same region, since regions differ much in size.
    """
    table = run.au_profile
    if table is None or table.empty:
        return []
    table = table[table["by"] == "true"]
    agreed = {
        (line["map"], line["layer"], line["expression"]): float(line["energy"])
        for line in agreement(table).to_dict("records")
    }
    wanted = (scores.main, *scores.headline_maps, *scores.deepest, scores.best(scores.primary))
    sheets = []
    for name, layer in dict.fromkeys(key for key in wanted if key in scores.distinct):
        own = table[(table["map"] == name) & (table["layer"] == layer)]
        if own.empty:
            continue
        aus = [str(au) for au in own["au"].unique()]
        lines = []
        for expression in (name for name in EXPRESSIONS if name in set(own["expression"])):
            rows = own[own["expression"] == expression]
            facts = {str(row["au"]): row for row in rows.to_dict("records")}
            cells = [_outside(facts[au]) if au == BACKGROUND else _region(facts[au]) for au in aus]
            cells.append(_percent(agreed[name, layer, expression]))
            lines.append(Line(expression, cells, f"{int(rows['n'].iloc[0]):,}"))
        columns = ["in no region" if au == BACKGROUND else f"AU {au}".replace("+", " ") for au in aus]
        caption = f"energy of {name} at {layer} as a multiple of a uniform map's, by expression and action unit"
        columns.append("of it in expected ones")
        sheets.append(Sheet({"map": f"{name} {layer}"}, caption, "expression", columns, lines))
    return sheets


def _region(row: dict[Hashable, Any]) -> Cell:
    """Return how many times a uniform map's energy lies in a region; colours run to ``FARTHEST``, as in figures."""
    share, uniform, codebook = (float(row[name]) for name in ("share", "uniform", "codebook"))
    mark = "expected" if bool(row["expected"]) else ""
    if not (math.isfinite(share) and uniform > 0):
        return Cell("–", mark=mark)
    times = share / uniform
    title = f"{100 * share:.1f} % of the energy, of a uniform map {100 * uniform:.1f} %"
    title += f", of the AU heatmap {100 * codebook:.1f} %" if math.isfinite(codebook) else ""
    far = math.log(max(times, 1e-9)) / math.log(FARTHEST)
    scale = "less" if far < 0 else "more"
    return Cell(f"{times:.1f}", times, round(min(abs(far), 1), 3), title, mark, scale)


def _outside(row: dict[Hashable, Any]) -> Cell:
    cell = _percent(float(row["share"]))
    return Cell(cell.text, cell.value, title=f"of a uniform map {100 * float(row['uniform']):.0f} %")


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:.0f} %", share) if math.isfinite(share) else Cell("–")
