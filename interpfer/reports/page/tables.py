"""The tables of the page: cells with a text, a shade and a value to sort by."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from interpfer.expressions import EXPRESSIONS
from interpfer.metrics.au_profile import BACKGROUND, agreement
from interpfer.reports.direction import rises
from interpfer.reports.page.scores import Key, Scores, interval, number, percent, summary
from interpfer.results.run import Run


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        text: as it is read.
        value: what it is sorted by; NaN sorts last.
        shade: 0 to 1, or None for no colour.
        title: said when pointed at.
        mark: "expected", "used", "expected used", "diagonal", or "".
    """

    text: str
    value: float = math.nan
    shade: float | None = None
    title: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A row: its name, what follows it in grey, and its cells."""

    name: str
    cells: list[Cell]
    detail: str = ""
    baseline: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        key: what the choosers above it say when it is shown.
        caption: read aloud with it.
        head: of the first column.
        columns: headings of the others.
        lines: the rows.
        note: a sentence below.
    """

    key: dict[str, str]
    caption: str
    head: str
    columns: list[str]
    lines: list[Line]
    note: str = ""


def map_by_class(scores: Scores, same: dict[str, str]) -> list[Sheet]:
    """Return a table per metric: maps and baselines down, classes across."""
    return [
        _sheet(
            scores, metric, {"metric": metric}, f"{metric} of each map by expression", "map",
            [(key, *_named(key, same)) for key in (*scores.maps, *scores.baselines)],
        )
        for metric in scores.metrics
    ]  # fmt: skip


def layer_by_class(scores: Scores) -> list[Sheet]:
    """Return a table per metric and map that has several layers: layers down, classes across."""
    sheets = []
    for metric in scores.metrics:
        for name in dict.fromkeys(name for name, _ in scores.maps):
            layers = [layer for layer in scores.layers if (name, layer) in scores.maps]
            if len(layers) > 1:
                rows = [((name, layer), layer, "") for layer in layers]
                caption = f"{metric} of {name} by layer and expression"
                sheets.append(_sheet(scores, metric, {"metric": metric, "map": name}, caption, "layer", rows))
    return sheets


def _sheet(
    scores: Scores, metric: str, key: dict[str, str], caption: str, head: str, rows: list[tuple[Key, str, str]]
) -> Sheet:
    groups = [None, *scores.classes, *(half for half in ("correct", "wrong") if _any(scores, rows, metric, half))]
    values = [scores.at(row, metric, group).value for row, *_ in rows for group in groups]
    shade = _scale(values)
    lines = []
    for row, name, detail in rows:
        cells = []
        for group in groups:
            found = scores.at(row, metric, group)
            title = f"{interval(found, metric)} n = {found.n}".strip() if found.defined else "undefined"
            digits = 2 if group else 3
            cells.append(Cell(number(found.value, metric, digits), found.value, shade(found.value), title))
        lines.append(Line(name, cells, detail, row[1] == "-"))
    better = "higher is better" if rises(metric) else "lower is better"
    unit = ", in percent" if percent(metric) else ""
    note = f"{metric}: {summary(metric).rstrip(chr(46))} ({better}{unit})." if summary(metric) else ""
    return Sheet(key, caption, head, ["all", *(str(group) for group in groups[1:])], lines, note)


def _any(scores: Scores, rows: Iterable[tuple[Key, str, str]], metric: str, group: str) -> bool:
    return any(scores.at(row, metric, group).defined for row, *_ in rows)


def _named(key: Key, same: dict[str, str]) -> tuple[str, str]:
    twin = same.get("@".join(key), "").partition("@")[0]
    return key[0], " ".join(filter(None, ["" if key[1] == "-" else key[1], f"= {twin}" if twin else ""]))


def shaded(lines: list[Line]) -> list[Line]:
    """Return the lines with all their cells in one scale of shades."""
    shade = _scale([cell.value for line in lines for cell in line.cells])
    return [replace(line, cells=[replace(cell, shade=shade(cell.value)) for cell in line.cells]) for line in lines]


def _scale(values: Iterable[float]) -> "_Scale":
    found = [value for value in values if math.isfinite(value)]
    return _Scale(min(found, default=0.0), max(found, default=1.0))


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def __call__(self, value: float) -> float | None:
        if not math.isfinite(value):
            return None
        return round((value - self.low) / (self.high - self.low), 3) if self.high > self.low else 0.0


def confusion_sheet(run: Run) -> Sheet:
    """Return the confusion matrix: counts, shaded by their share of the true class, and the recall."""
    columns = [str(name) for name in run.confusion]
    lines = []
    for name, row in zip(map(str, run.confusion.index), run.confusion.to_numpy(), strict=True):
        total = int(row.sum())
        cells = [
            Cell(
                f"{int(count):,}", float(count), count / total if total else None,
                f"{count / total:.0%} of {name}" if total else "", "diagonal" if column == name else "",
            )
            for column, count in zip(columns, row, strict=True)
        ]  # fmt: skip
        hits = row[columns.index(name)] / total if total and name in columns else math.nan
        cells.append(Cell(f"{100 * hits:.0f} %" if math.isfinite(hits) else "–", hits))
        lines.append(Line(name, cells, f"{total:,}"))
    return Sheet({}, "confusion matrix: true class down, predicted class across", "true", [*columns, "recall"], lines)


def au_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table per map of the deepest layer: where its energy lies, by expression and action unit."""
    table = run.au_profile
    if table is None or table.empty:
        return []
    table = table[table["by"] == "true"]
    agreed = {
        (line["map"], line["layer"], line["expression"]): float(line["energy"])
        for line in agreement(table).to_dict("records")
    }
    sheets = []
    for name, layer in scores.deepest:
        own = table[(table["map"] == name) & (table["layer"] == layer)]
        if own.empty:
            continue
        aus = [str(au) for au in own["au"].unique()]
        names = [expression for expression in EXPRESSIONS if expression in set(own["expression"])]
        lines = []
        shade = _scale([0.0, *own.loc[own["au"] != BACKGROUND, "share"].astype(float)])
        for expression in names:
            rows = own[own["expression"] == expression]
            facts = {str(row["au"]): row for row in rows.to_dict("records")}
            cells = [_au_cell(facts[au], au, shade) for au in aus]
            inside = agreed[name, layer, expression]
            cells.append(Cell(f"{100 * inside:.0f}" if math.isfinite(inside) else "–", inside))
            lines.append(Line(expression, cells, f"{int(rows['n'].iloc[0]):,}"))
        columns = ["none" if au == BACKGROUND else f"AU {au}".replace("+", " ") for au in aus]
        caption = f"share of the energy of {name} at {layer}, in percent, by expression and action unit"
        sheets.append(Sheet({"map": name}, caption, "expression", [*columns, "in expected"], lines))
    return sheets


def _au_cell(row: dict[Hashable, Any], au: str, shade: _Scale) -> Cell:
    share, uniform, codebook = (float(row[name]) for name in ("share", "uniform", "codebook"))
    title = f"uniform map {100 * uniform:.0f} %"
    title += f", AU heatmap {100 * codebook:.0f} %" if math.isfinite(codebook) else ""
    mark = " ".join(word for word in ("expected", "used") if bool(row[word]))
    return Cell(f"{100 * share:.0f}", share, None if au == BACKGROUND else shade(share), title, mark)
