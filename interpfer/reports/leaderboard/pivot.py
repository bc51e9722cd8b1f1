"""One metric of a leaderboard as a table of models by maps, layers or protocols."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interpfer.reports.escape import guard, latex, markdown
from interpfer.reports.leaderboard.entries import Entry, Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, map_label


@dataclass(frozen=True)
class Pivot:
    """A metric of models (and maps, where these are not the columns) by another property.

    Attributes:
        title: metric, data set and rules, on one line.
        heads: names of all columns.
        rows: labels and formatted scores of each line, "" where there is none.
        best: positions (row, column) of the best score of each column; baselines do not count.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]]


def make_pivots(rankings: Sequence[Ranking], by: str, metric: str, plus_minus: str = " ± ") -> list[Pivot]:
    """Return a table per ranking, or with ``by="protocols"`` one of all rankings.

    Args:
        rankings: what to show.
        by: one of ``interpfer.choices.PIVOTS``.
        metric: the metric in the cells.
        plus_minus: text between mean and standard deviation.
    """
    if by != "protocols":
        return [_make_pivot([ranking], by, metric, plus_minus) for ranking in rankings]
    return [_make_pivot(rankings, by, metric, plus_minus)] if rankings else []


def _make_pivot(rankings: Sequence[Ranking], by: str, metric: str, plus_minus: str) -> Pivot:
    names: dict[tuple[str, ...], dict[str, tuple[Entry, str]]] = {}
    columns: dict[str, None] = {}
    values: dict[str, list[tuple[float, tuple[str, ...]]]] = {}
    for ranking in rankings:
        for entry in ranking.entries:
            key, column = _place(entry, ranking, by)
            columns[column] = None
            names.setdefault(key, {})[column] = entry, cell(entry, metric, plus_minus)
            mean = entry.scores[metric].mean if metric in entry.scores else float("nan")
            if not entry.is_baseline and mean == mean:
                sign = -1 if metric in ranking.lower else 1
                values.setdefault(column, []).append((sign * mean, key))
    labels = ("model",) if by == "maps" else ("model", "map") if by == "layers" else ("model", "map", "layer")
    keys = list(names)
    rows = tuple((*key, *(names[key].get(column, (None, ""))[1] for column in columns)) for key in keys)
    best = frozenset(
        (keys.index(key), len(labels) + place)
        for place, column in enumerate(columns)
        for value, key in values.get(column, ())
        if value == max(value for value, _ in values[column])
    )
    titles = dict.fromkeys(ranking.title for ranking in rankings)
    return Pivot(f"{metric}. {'; '.join(titles)}", (*labels, *columns), rows, best)


def _place(entry: Entry, ranking: Ranking, by: str) -> tuple[tuple[str, ...], str]:
    """Return the labels of the row, and the column, of an entry."""
    model = entry.model or "-"
    if by == "maps":
        layers = {other.layer for other in ranking.entries if (other.model, other.map) == (entry.model, entry.map)}
        return (model,), f"{map_label(entry)} {entry.layer}" if len(layers) > 1 else map_label(entry)
    if by == "layers":
        return (model, map_label(entry)), entry.layer
    return (model, map_label(entry), entry.layer), ranking.rules["protocol"]


def pivot_to_csv(pivots: Sequence[Pivot]) -> str:
    """Return the tables as CSV, one after the other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for pivot in pivots:
        writer.writerow(map(guard, pivot.heads))
        writer.writerows(map(guard, row) for row in pivot.rows)
    return out.getvalue()


def pivot_to_markdown(pivots: Sequence[Pivot]) -> str:
    """Return the tables as Markdown, the best of each column in bold."""
    parts = []
    for pivot in pivots:
        lines = [
            f"**{markdown(pivot.title)}**",
            "",
            _line(map(markdown, pivot.heads)),
            _line("---" for _ in pivot.heads),
        ]
        for place, row in enumerate(pivot.rows):
            cells = [markdown(text) for text in row]
            lines.append(_line(f"**{text}**" if (place, i) in pivot.best else text for i, text in enumerate(cells)))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def pivot_to_latex(pivots: Sequence[Pivot]) -> str:
    """Return the tables as LaTeX (booktabs), the best of each column in bold."""
    parts = ["% \\usepackage{booktabs}"]
    for pivot in pivots:
        texts = sum(head in LABELS for head in pivot.heads)
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(pivot.title)}.}}",
            rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(pivot.heads) - texts)}}}",
            r"\toprule",
            " & ".join(map(latex, pivot.heads)) + r" \\",
            r"\midrule",
        ]
        for place, row in enumerate(pivot.rows):
            cells = [latex(text) for text in row[:texts]]
            for i, text in enumerate(row[texts:], texts):
                number = text.replace("±", r"\pm")
                cells.append(
                    "" if not text else rf"$\mathbf{{{number}}}$" if (place, i) in pivot.best else f"${number}$"
                )
            parts.append(" & ".join(cells) + r" \\")
        parts += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


PIVOT_FORMATS = {"csv": pivot_to_csv, "md": pivot_to_markdown, "latex": pivot_to_latex}
"""Formats of a pivot; for the terminal it is written as Markdown."""
