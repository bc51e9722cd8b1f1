"""Tables of the page: cells with a text, a shade and a value to sort by."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from interpfer.reports.page.scores import Key, Scores, interval, number, summarise_metric
from interpfer.results.metric_facts import MetricFacts
from interpfer.results.run import Run


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: displayed text.
        value: value to sort by; NaN sorts last.
        shade: position in the colour scale, 0 to 1; None for no colour.
        title: text of the tooltip.
        mark: class in the style sheet: "expected", "diagonal", "up", "down" or "".
        scale: colour scale, one of ``shades.SCALES``.
    """

    text: str
    value: float = math.nan
    shade: float | None = None
    title: str = ""
    mark: str = ""
    scale: str = "of-table"


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        name: heading of the row.
        cells: its cells.
        detail: text after the heading, in grey.
        is_baseline: whether the row is of a baseline.
    """

    name: str
    cells: list[Cell]
    detail: str = ""
    is_baseline: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        key: values of the choosers above the table for which it is visible.
        caption: caption, for screen readers and print.
        head: heading of the first column.
        columns: headings of the other columns.
        lines: rows.
        note: sentence below the table.
    """

    key: dict[str, str]
    caption: str
    head: str
    columns: list[str]
    lines: list[Line]
    note: str = ""


def map_by_class(scores: Scores, same: dict[str, str]) -> list[Sheet]:
    """Return a table per metric: maps and baselines down, classes across.

    Args:
        scores: scores of a run.
        same: "map@layer" of each duplicate -> "map@layer" of the map that it repeats.
    """
    return [
        _sheet(
            scores, metric, {"metric": metric}, f"{metric} of each map by {scores.words.label}", "map",
            [(key, *_row_labels(key, same)) for key in (*scores.maps, *scores.baselines)],
        )
        for metric in scores.metrics
    ]  # fmt: skip


def layer_by_class(scores: Scores) -> list[Sheet]:
    """Return a table per metric and map with several layers: layers down, classes across."""
    sheets = []
    for metric in scores.metrics:
        for name in dict.fromkeys(name for name, _ in scores.maps):
            layers = [layer for layer in scores.layers if (name, layer) in scores.maps]
            if len(layers) > 1:
                rows = [((name, layer), layer, "") for layer in layers]
                caption = f"{metric} of {name} by layer and {scores.words.label}"
                sheets.append(_sheet(scores, metric, {"metric": metric, "map": name}, caption, "layer", rows))
    return sheets


def _sheet(
    scores: Scores, metric: str, key: dict[str, str], caption: str, head: str, rows: list[tuple[Key, str, str]]
) -> Sheet:
    facts = scores.facts(metric)
    groups = [None, *scores.classes, *(half for half in ("correct", "wrong") if _is_scored(scores, rows, metric, half))]
    values = [scores.at(row, metric, group).value for row, *_ in rows for group in groups]
    shade = _scale(values)
    lines = []
    for row, name, detail in rows:
        cells = []
        for group in groups:
            estimate = scores.at(row, metric, group)
            title = f"{interval(estimate, facts)} n = {estimate.n}".strip() if estimate.is_defined else "undefined"
            text = number(estimate.value, facts, short=group is not None)
            cells.append(Cell(text, estimate.value, shade(estimate.value), title))
        lines.append(Line(name, cells, detail, row[1] == "-"))
    return Sheet(key, caption, head, ["all", *(str(group) for group in groups[1:])], lines, _metric_note(metric, facts))


def _metric_note(metric: str, facts: MetricFacts) -> str:
    summary = summarise_metric(metric).rstrip(".")
    if not summary:
        return ""
    direction = "higher is better" if facts.higher_is_better else "lower is better"
    unit = ", in percent" if facts.bounds[1] == 100 else ""
    return f"{metric}: {summary} ({direction}{unit})."


def _is_scored(scores: Scores, rows: Iterable[tuple[Key, str, str]], metric: str, group: str) -> bool:
    return any(scores.at(row, metric, group).is_defined for row, *_ in rows)


def _row_labels(key: Key, same: dict[str, str]) -> tuple[str, str]:
    """Return the heading of a row, and the text after it in grey."""
    if key[1] == "-":
        return key[0].removeprefix("baseline:"), "baseline"
    twin = same.get("@".join(key), "").partition("@")[0]
    return key[0], " ".join(filter(None, [key[1], f"= {twin}" if twin else ""]))


def shaded(lines: list[Line]) -> list[Line]:
    """Return the lines with all their cells shaded in one scale."""
    shade = _scale([cell.value for line in lines for cell in line.cells])
    return [replace(line, cells=[replace(cell, shade=shade(cell.value)) for cell in line.cells]) for line in lines]


def _scale(values: Iterable[float]) -> "_Scale":
    defined = [value for value in values if math.isfinite(value)]
    return _Scale(min(defined, default=0.0), max(defined, default=1.0))


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def __call__(self, value: float) -> float | None:
        if not math.isfinite(value):
            return None
        return round((value - self.low) / (self.high - self.low), 3) if self.high > self.low else 0.0


def confusion_sheet(run: Run) -> Sheet:
    """Return the confusion matrix: counts shaded by their share of the true class, and the recall."""
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
        recall = row[columns.index(name)] / total if total and name in columns else math.nan
        cells.append(Cell(f"{100 * recall:.0f} %" if math.isfinite(recall) else "–", recall))
        lines.append(Line(name, cells, f"{total:,}"))
    return Sheet({}, "confusion matrix: true class down, predicted class across", "true", [*columns, "recall"], lines)
