"""Tables of the named regions of the face: share of a map's energy, skill and test against the uniform map."""

import math
from collections.abc import Hashable
from typing import Any

from interpfer.labels import sort_classes
from interpfer.metrics.facts import MACRO
from interpfer.reports.page.action_units import MAX_RATIO
from interpfer.reports.page.scores import Scores
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.regions import region_table
from interpfer.results.run import Run

LEVEL = 0.05
"""A cell is framed where the adjusted p-value is below this."""

SHARE, SKILL, P = "share of energy", "skill", "p-value"


def region_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return tables of region by expression, of shares, skills and p-values per map; none without these metrics.

    Maps: the class map first, then the others of the deepest layer, and the best of all.
    """
    table = region_table(run)
    candidates = (scores.main, *scores.headline_maps, *scores.deepest, scores.best(scores.primary))
    sheets = []
    for name, layer in dict.fromkeys(key for key in candidates if key in scores.distinct):
        rows = table[(table["map"] == name) & (table["layer"] == layer)]
        if rows.empty:
            continue
        present = set(rows["group"])
        groups = [*([MACRO] if MACRO in present else []), *sort_classes(present - {MACRO})]
        cells = {(row["region"], row["group"]): row for row in rows.to_dict("records")}
        regions = list(dict.fromkeys(map(str, rows["region"])))
        for number, make in ((SHARE, _share_cell), (SKILL, _skill_cell), (P, _p_cell)):
            lines = [Line(region, [make(cells[region, group]) for group in groups]) for region in regions]
            caption = f"{number} of {name} at {layer} by region and expression"
            columns = ["all" if group == MACRO else str(group) for group in groups]
            sheets.append(Sheet({"number": number, "map": f"{name} {layer}"}, caption, "region", columns, lines))
    return sheets


def _share_cell(row: dict[Hashable, Any]) -> Cell:
    share, ratio = float(row["share"]), float(row["ratio"])
    if not math.isfinite(share):
        return Cell("–")
    times = f" ×{ratio:.1f}" if math.isfinite(ratio) else ""
    return Cell(f"{100 * share:.0f} %{times}", share, _shade(ratio), _title(row), _mark(row), _scale(ratio > 1))


def _skill_cell(row: dict[Hashable, Any]) -> Cell:
    skill = float(row["skill"])
    if not math.isfinite(skill):
        return Cell("–")
    text = f"{skill:+.2f}".replace("-", "\N{MINUS SIGN}")
    return Cell(text, skill, _shade(float(row["ratio"])), _title(row), _mark(row), _scale(skill > 0))


def _p_cell(row: dict[Hashable, Any]) -> Cell:
    p = float(row["p_holm"])
    return Cell(_p_text(p), p, title=_title(row), mark=_mark(row)) if math.isfinite(p) else Cell("–")


def _shade(ratio: float) -> float | None:
    """Return the place in the colours, which end at ``MAX_RATIO`` as those of the action units do."""
    if not math.isfinite(ratio):
        return None
    return round(min(abs(math.log(max(ratio, 1e-9))) / math.log(MAX_RATIO), 1), 3)


def _scale(is_more: bool) -> str:
    return "more" if is_more else "less"


def _mark(row: dict[Hashable, Any]) -> str:
    return "expected" if float(row["p_holm"]) < LEVEL else ""


def _p_text(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}"


def _title(row: dict[Hashable, Any]) -> str:
    ends = {name: f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" for name in ("share", "skill")}
    people = f", {row['n_subjects']} people" if row["n_subjects"] else ""
    return (
        f"share {row['share']:.3f} {ends['share']}, uniform map {row['uniform']:.3f}; skill {row['skill']:.3f} "
        f"{ends['skill']}; p = {row['p']:.4g}, over the regions {row['p_holm']:.4g}; n = {row['n']}{people}"
    )
