"""The terminal: results go to stdout, progress and notes to stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from interpfer.runtime.progress import Progress as ProgressReport
from interpfer.runtime.progress import no_progress

PLAIN_WIDTH = 140
"""Columns of a table that goes to a file or a pipe."""

stderr = Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return a console for results; without colours and at a fixed width when not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def print_note(note: str) -> None:
    """Print a note on stderr."""
    stderr.print(note, markup=False, soft_wrap=True)


@contextmanager
def progress_bars(show: bool = True) -> Iterator[ProgressReport]:
    """Show one bar per kind of work on stderr, or one line where that is no terminal; yields the function to call."""
    if not show:
        yield no_progress
        return
    columns = (
        TextColumn("{task.description:>11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:

        def update(what: str, done: int, total: int, note: str = "") -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, note="")
                if not stderr.is_terminal:
                    stderr.print(f"{what} ...")
            bars.update(tasks[what], completed=done, total=total, note=note)

        yield update
