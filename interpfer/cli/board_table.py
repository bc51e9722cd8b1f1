"""Table of a ranking for the terminal, fitted to its width."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from interpfer.reports.escape import plain
from interpfer.reports.leaderboard.entries import Entry, Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, labels

COUNTS = ("runs", "n")
DROP_ORDER = ("runs", "n", "macro_f1", "cosine_skill", "pxap", "accuracy")
"""Columns to hide in a narrow terminal, first ones first."""

NAMES_WIDTH = 22
"""Smallest width of the column that model, map and layer share."""

PADDING = 3


def board_table(ranking: Ranking, wanted: Sequence[str] | None, width: int) -> tuple[Table, list[str]]:
    """Return a table of one line per entry, and the columns hidden because they do not fit.

    In a narrow terminal model, map and layer share a column, and columns that are not in ``wanted`` are hidden.
    """
    columns = [*ranking.select_metrics(wanted), *COUNTS]
    names = [max(len(plain(labels(entry)[place])) for entry in ranking.entries) for place in range(1, len(LABELS))]
    names_width = sum(max(a, len(b)) + PADDING for a, b in zip(names, LABELS[1:], strict=True))
    if _numbers_width(ranking, columns) + names_width <= width:
        return _table(ranking, columns, split_names=True), []
    hidden_columns = []
    for name in DROP_ORDER:
        is_kept = name == ranking.sort or (wanted is not None and name in wanted)
        if name in columns and not is_kept and _numbers_width(ranking, columns) + NAMES_WIDTH > width:
            columns.remove(name)
            hidden_columns.append(name)
    return _table(ranking, columns, split_names=False), hidden_columns


def _numbers_width(ranking: Ranking, columns: Sequence[str]) -> int:
    """Return the width of rank and numbers."""
    widest = [max(len(name), *(len(_text(entry, name)) for entry in ranking.entries)) for name in columns]
    return len(LABELS[0]) + PADDING + sum(width + PADDING for width in widest) + PADDING + 1


def _table(ranking: Ranking, columns: Sequence[str], split_names: bool) -> Table:
    table = Table(title=Text(plain(ranking.title)), title_justify="left")
    table.add_column(LABELS[0], justify="right", no_wrap=True)
    for name in LABELS[1:] if split_names else ("model, map, layer",):
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for entry in ranking.entries:
        first, *names = (plain(text) for text in labels(entry))
        if not split_names:
            model, name, layer = names
            names = [f"{model}\n{name} {layer}" if entry.model else name]
        numbers = [Text(_text(entry, name), "bold" if _is_best(ranking, entry, name) else "") for name in columns]
        table.add_row(first, *map(Text, names), *numbers, style="dim" if entry.is_baseline else None)
    return table


def _text(entry: Entry, column: str) -> str:
    if column == "runs":
        return str(entry.runs) if entry.model else ""
    return plain(entry.n) if column == "n" else cell(entry, column)


def _is_best(ranking: Ranking, entry: Entry, column: str) -> bool:
    return column not in COUNTS and ranking.is_best(entry, column)
