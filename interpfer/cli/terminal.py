"""What the terminal shows: tables on stdout, progress and notes on stderr."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from interpfer.metrics import decimals
from interpfer.results.run import HEADLINE, Run
from interpfer.sanity import sentences

PLAIN_WIDTH = 140
"""Columns of a table that goes to a file or a pipe."""

METRIC_WIDTH = 23
"""Columns that a score and its interval take."""

stderr = Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return a console for results; without colours and at a fixed width when not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def say(note: str) -> None:
    """Print a note on stderr as it is."""
    stderr.print(note, markup=False, soft_wrap=True)


@contextmanager
def progress_bars(show: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar per kind of work on stderr, or one line where that is no terminal; yields what to report to."""
    if not show:
        yield lambda *_: None
        return
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


def run_facts(run: Run) -> dict[str, Any]:
    """Return a run for ``--json``: run.json, and the lines of scores.csv."""
    return {"run": run.manifest, "scores": run.scores.to_dict("records"), "path": str(run.path) if run.path else None}


def score_tables(run: Run, width: int) -> Iterator[Table]:
    """Yield tables of one line per map and layer, each with as many metrics as fit into ``width`` characters."""
    metrics = list(dict.fromkeys(run.scores["metric"]))
    names = run.scores[["map", "layer"]].astype(str).map(len).max().sum() + 16
    together = max((width - int(names)) // METRIC_WIDTH, 1)
    for start in range(0, len(metrics), together):
        yield _score_table(run, metrics[start : start + together])


def _score_table(run: Run, metrics: Sequence[str]) -> Table:
    """Lay out one line per map and layer, baselines last, the headline value of each metric with its interval."""
    facts = run.manifest["arguments"]
    part = "all images" if facts["split"] == "all" else facts["split"]
    table = Table(
        title=f"{facts['model']} on {facts['dataset']}, {part}, protocol {facts['protocol']}",
        title_justify="left",
    )
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
            places = decimals(metric)
            known = row["ci_low"] == row["ci_low"]
            interval = f" [{row['ci_low']:.{places}f}, {row['ci_high']:.{places}f}]" if known else ""
            cells.append(f"{row['value']:.{places}f}{interval}".replace("[", r"\["))
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
    if run.manifest.get("sanity"):
        yield from sentences(run.manifest["sanity"])
    if run.path is not None:
        yield f"written to {run.path}"


def _named(names: list[str], what: str, count: int = 3) -> str:
    return f"{len(names)} {what} ({', '.join(names[:count])}{', ...' if len(names) > count else ''})"


def _by_reason(refused: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for key, why in refused.items():
        reasons.setdefault(why, []).append(key)
    return reasons
