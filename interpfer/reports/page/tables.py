"""The tables of the page: cells with a text, a shade and a value to sort by."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from interpfer.reports.page.scores import Key, Scores, interval, number, percent, summary
from interpfer.results.direction import higher_is_better
from interpfer.results.run import Run


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        text: as it is read.
        value: what it is sorted by; NaN sorts last.
        shade: 0 to 1, or None for no colour.
        title: said when pointed at.
        mark: words for the style sheet: "expected", "diagonal", "up", "down".
        scale: what the shade is a step of: one of ``shades.SCALES``.
    """

    text: str
    value: float = math.nan
    shade: float | None = None
    title: str = ""
    mark: str = ""
    scale: str = "of-table"


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
            cells.append(
                Cell(number(found.value, metric, short=group is not None), found.value, shade(found.value), title)
            )
        lines.append(Line(name, cells, detail, row[1] == "-"))
    better = "higher is better" if higher_is_better(metric) else "lower is better"
    unit = ", in percent" if percent(metric) else ""
    note = f"{metric}: {summary(metric).rstrip(chr(46))} ({better}{unit})." if summary(metric) else ""
    return Sheet(key, caption, head, ["all", *(str(group) for group in groups[1:])], lines, note)


def _any(scores: Scores, rows: Iterable[tuple[Key, str, str]], metric: str, group: str) -> bool:
    return any(scores.at(row, metric, group).defined for row, *_ in rows)


def _named(key: Key, same: dict[str, str]) -> tuple[str, str]:
    """Return the name of a line and what follows it in grey."""
    if key[1] == "-":
        return key[0].removeprefix("baseline:"), "baseline"
    twin = same.get("@".join(key), "").partition("@")[0]
    return key[0], " ".join(filter(None, [key[1], f"= {twin}" if twin else ""]))


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
                f"{count / total:.0%} of {name}" if total else "", "diagonal" if column == name else "", "more",
            )
            for column, count in zip(columns, row, strict=True)
        ]  # fmt: skip
        hits = row[columns.index(name)] / total if total and name in columns else math.nan
        cells.append(Cell(f"{100 * hits:.0f} %" if math.isfinite(hits) else "–", hits))
        lines.append(Line(name, cells, f"{total:,}"))
    return Sheet({}, "confusion matrix: true class down, predicted class across", "true", [*columns, "recall"], lines)
