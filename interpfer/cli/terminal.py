"""What the terminal shows: tables on stdout, progress and notes on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from interpfer.reports.leaderboard import HEADLINE
from interpfer.results.run import Run

PLAIN_WIDTH = 140
"""Columns of a table that goes to a file or a pipe."""

stderr = Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return a console for results; without colours and at a fixed width when not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar per kind of work on stderr, or one line where that is no terminal; yields what to report to."""
    columns = (
        TextColumn("{task.description:>11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
                if not stderr.is_terminal:
                    stderr.print(f"{what} ...")
            bars.update(tasks[what], completed=done, total=total)

        yield tell


def score_table(run: Run) -> Table:
    """Lay out one line per map and layer, baselines last, the headline value of each metric with its interval."""
    facts = run.manifest["arguments"]
    part = "all images" if facts["split"] == "all" else facts["split"]
    table = Table(
        title=f"{facts['model']} on {facts['dataset']}, {part}, protocol {facts['protocol']}",
        title_justify="left",
    )
    metrics = list(dict.fromkeys(run.scores["metric"]))
    for title in ("map", "layer"):
        table.add_column(title, no_wrap=True)
    for title in metrics:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    baselines = False
    for (name, layer), rows in run.scores.groupby(["map", "layer"], sort=False):
        if layer == "-" and not baselines:
            table.add_section()
            baselines = True
        cells, n = [], 0
        for metric in metrics:
            row = rows[(rows["metric"] == metric) & (rows["group"] == HEADLINE.get(metric, "macro"))].iloc[0]
            interval = f" [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" if row["ci_low"] == row["ci_low"] else ""
            cells.append(f"{row['value']:.3f}{interval}".replace("[", r"\["))
            n = max(n, int(row["n"]))
        twin = run.manifest.get("same", {}).get(f"{name}@{layer}", "").partition("@")[0]
        table.add_row(f"{name} = {twin}" if twin else str(name), str(layer), *cells, str(n))
    return table


def notes(run: Run) -> Iterator[str]:
    """Yield the sentences that belong to a table: accuracy, what was left out, where the results are."""
    counts, classification = run.manifest["counts"], run.manifest["classification"]
    yield (
        f"accuracy {classification['accuracy']:.3f}, macro F1 {classification['macro_f1']:.3f} "
        f"on {classification['n']} labelled images"
    )
    skipped = counts["skipped"]
    left = [
        *([f"{counts['neutral']} neutral"] if counts["neutral"] else []),
        *([f"{counts['unlabelled']} without a label"] if counts["unlabelled"] else []),
        *([_named(skipped["no landmarks"], "without landmarks")] if skipped["no landmarks"] else []),
        *([_named(list(skipped["unreadable"]), "unreadable")] if skipped["unreadable"] else []),
    ]
    yield f"scored {counts['scored']} of {counts['images']} images" + (f"; left out: {'; '.join(left)}" if left else "")
    if run.manifest.get("same"):
        yield "map = another: the two are the same thing for this model and layer, and were computed once"
    for why, keys in _by_reason(run.manifest.get("refused", {})).items():
        yield f"left out: {', '.join(keys)}: {why}"
    for key, count in counts["undefined_maps"].items():
        yield f"undefined (constant, zero or not finite): {count} maps of {key}"
    yield from run.manifest.get("warnings", [])
    if run.path is not None:
        yield f"written to {run.path}"


def _named(names: list[str], what: str, count: int = 3) -> str:
    return f"{len(names)} {what} ({', '.join(names[:count])}{', ...' if len(names) > count else ''})"


def _by_reason(refused: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for key, why in refused.items():
        reasons.setdefault(why, []).append(key)
    return reasons
