"""Tables of scores by action unit: a map against the region of each action unit that was coded."""

import math
from collections.abc import Hashable
from typing import Any

from interpfer.au.names import AU_NAMES
from interpfer.reports.page.scores import Key, Scores, interval, number
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.au_recall import ALL
from interpfer.results.run import Run
from interpfer.truth.planes import PREFIX, plane_au


def au_score_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table per map: action units down, metrics across; none where no action units are coded.

    The maps are those of the headline, the others of the deepest layer and the best of all, then the baselines.
    """
    names = sorted({str(group) for group in run.scores["group"] if _is_au(str(group))}, key=plane_au)
    if not names:
        return []
    candidates = (scores.main, *scores.headline_maps, *scores.deepest, scores.best(scores.primary))
    chosen = [*(key for key in candidates if key in scores.distinct), *scores.baselines]
    metrics = [name for name in scores.metrics if any(scores.at(key, name, names[0]).n for key in scores.baselines)]
    metrics = metrics or scores.metrics
    f1 = run.manifest["classification"].get("aus", {}).get("f1", {})
    columns = ["faces", *metrics, "recall", "precision", *(["F1 of the output"] if f1 else [])]
    sheets = []
    for key in dict.fromkeys(key for key in chosen if key is not None):
        lines = []
        for name in names:
            faces = max((scores.at(key, metric, name).n for metric in metrics), default=0)
            cells = [Cell(f"{faces:,}", faces), *(_score_cell(scores, key, metric, name) for metric in metrics)]
            cells += _recall_cells(run, key, name)
            if f1:
                cells.append(_share_cell(f1.get(name)))
            lines.append(Line(f"AU {plane_au(name)}", cells, AU_NAMES.get(plane_au(name), "")))
        title = f"{key[0]} {key[1]}".removesuffix(" -")
        caption = f"scores of {title} by action unit, against the region of the action unit alone"
        sheets.append(Sheet({"map": title}, caption, "action unit", columns, lines, _overall(run, key)))
    return sheets


def _is_au(group: str) -> bool:
    return group.startswith(PREFIX) and group.removeprefix(PREFIX).isdecimal()


def _score_cell(scores: Scores, key: Key, metric: str, group: str) -> Cell:
    estimate, facts = scores.at(key, metric, group), scores.facts(metric)
    title = f"{interval(estimate, facts)} n = {estimate.n}".strip() if estimate.is_defined else "undefined"
    return Cell(number(estimate.value, facts, short=True), estimate.value, title=title)


def _recall_cells(run: Run, key: Key, name: str) -> list[Cell]:
    line = _recall_line(run, key, name)
    if line is None:
        return [Cell("–"), Cell("–")]
    titles = (
        f"[{line[f'{kind}_low']:.2f}, {line[f'{kind}_high']:.2f}] n = {int(line[count])}"
        for kind, count in (("recall", "n"), ("precision", "n_used"))
    )
    return [_share_cell(line[kind], title) for kind, title in zip(("recall", "precision"), titles, strict=True)]


def _recall_line(run: Run, key: Key, name: str) -> dict[Hashable, Any] | None:
    table = run.au_recall
    if table is None:
        return None
    rows = table[(table["map"] == key[0]) & (table["layer"] == key[1]) & (table["au"] == name)]
    return None if rows.empty else rows.to_dict("records")[0]


def _share_cell(value: float | None, title: str = "") -> Cell:
    if value is None or not math.isfinite(value):
        return Cell("–")
    return Cell(f"{value:.2f}", value, title=title)


def _overall(run: Run, key: Key) -> str:
    line = _recall_line(run, key, ALL)
    if line is None or not math.isfinite(line["recall"]):
        return ""
    precision = f", and {line['precision']:.0%} of the used regions are coded" if line["precision"] >= 0 else ""
    return f"Mean over faces: the map uses {line['recall']:.0%} of the regions that are coded as present{precision}."
