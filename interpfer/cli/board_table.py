"""How a ranking looks in the terminal, as wide as that is."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from interpfer.reports.escape import plain
from interpfer.reports.leaderboard.ranking import Entry, Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, labels

COUNTS = ("runs", "n")
DROP_ORDER = ("runs", "n", "macro_f1", "cosine_skill", "pxap", "accuracy")
NAMES = 22
"""Columns that model, map and layer get at least when they share one."""

PADDING = 3


def board_table(ranking: Ranking, wanted: Sequence[str] | None, width: int) -> tuple[Table, list[str]]:
    """Lay out one line per entry; also return the columns left out for want of room.

    In a narrow terminal model, map and layer share a column, and columns that nobody asked for go.
    """
    columns = [*ranking.shown(wanted), *COUNTS]
    names = [max(len(plain(labels(entry)[place])) for entry in ranking.entries) for place in range(1, len(LABELS))]
    together = _room(ranking, columns) + sum(max(a, len(b)) + PADDING for a, b in zip(names, LABELS[1:], strict=True))
    if together <= width:
        return _table(ranking, columns, apart=True), []
    gone = []
    for name in DROP_ORDER:
        asked = wanted is not None and name in wanted
        if name in columns and name != ranking.sort and not asked and _room(ranking, columns) + NAMES > width:
            columns.remove(name)
            gone.append(name)
    return _table(ranking, columns, apart=False), gone


def _room(ranking: Ranking, columns: Sequence[str]) -> int:
    """Return what rank and numbers take of a line."""
    widest = [max(len(name), *(len(_text(entry, name)) for entry in ranking.entries)) for name in columns]
    return len(LABELS[0]) + PADDING + sum(width + PADDING for width in widest) + PADDING + 1


def _table(ranking: Ranking, columns: Sequence[str], apart: bool) -> Table:
    table = Table(title=Text(plain(ranking.title)), title_justify="left")
    table.add_column(LABELS[0], justify="right", no_wrap=True)
    for name in LABELS[1:] if apart else ("model, map, layer",):
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for entry in ranking.entries:
        first, *names = (plain(text) for text in labels(entry))
        if not apart:
            model, name, layer = names
            names = [f"{model}\n{name} {layer}" if entry.model else name]
        numbers = [Text(_text(entry, name), "bold" if _best(ranking, entry, name) else "") for name in columns]
        table.add_row(first, *map(Text, names), *numbers, style="dim" if entry.baseline else None)
    return table


def _text(entry: Entry, column: str) -> str:
    if column == "runs":
        return str(entry.runs) if entry.model else ""
    return plain(entry.n) if column == "n" else cell(entry, column)


def _best(ranking: Ranking, entry: Entry, column: str) -> bool:
    return column not in COUNTS and ranking.is_best(entry, column)
