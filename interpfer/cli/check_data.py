"""interpfer check-data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import verb
from interpfer.datasets.options import CheckDataOptions

if TYPE_CHECKING:
    from rich.table import Table

    from interpfer.datasets.integrity import IntegrityReport

MAX_LINES = 10
"""Most lines printed per kind of problem."""


@verb("check-data", CheckDataOptions)
@click.pass_context
def command(ctx: click.Context, options: CheckDataOptions) -> None:
    """Check that a data set is complete: counts as published, every image readable.

    Prints the number of images per class and split (of clips: of clips and of their sampled frames), images with the
    same pixels within and across splits, then the problems by kind. Exit status 1 if there are problems; images with
    the same pixels are none.

    \b
    interpfer check-data --dataset rafdb --data-root RAF-DB
    """
    from interpfer.cli.terminal import progress_bars, stdout
    from interpfer.datasets import DATASETS
    from interpfer.datasets.integrity import open_splits, read_images
    from interpfer.labels import EXPRESSIONS, ask_about, list_names, sort_classes

    assert options.dataset is not None
    name, data_root, split = options.dataset, options.data_root, options.split
    dataset_class = DATASETS.get(name)
    root = Path(data_root) if data_root else None
    datasets, report = open_splits(dataset_class, root, None if split is None else [split])
    with progress_bars() as update:
        read_images(datasets, report, update)
    stdout().print(_table(f"{name} in {data_root}" if data_root else name, report, dataset_class.order))
    labels = {label for counts in report.counts.values() for label in counts}
    if own := [ask_about(name) for name in sort_classes(labels) if name not in EXPRESSIONS]:
        click.echo(f"classes outside the eight expressions, matched with those of a model by name: {list_names(own)}")
    for kind, lines in report.copies.items():
        _print_lines(f"groups of images with the same pixels {kind}", lines)
    for problem, lines in report.problems.items():
        _print_lines(problem, lines)
    compared = ", ".join(split for split, is_published in report.published.items() if is_published)
    comparison = f"compared the counts of {compared} with the published ones"
    clips = sum(sum(counts.values()) for counts in report.clips.values())
    images = f"{report.read} frames of {clips} clips" if clips else f"{report.read} images"
    click.echo(f"read {images}; {comparison if compared else 'there are no published counts to compare'}")
    count = sum(map(len, report.problems.values()))
    click.echo("no problems found" if not count else "1 problem found" if count == 1 else f"{count} problems found")
    if count:
        ctx.exit(1)


def _table(title: str, report: "IntegrityReport", numbered: Sequence[str]) -> "Table":
    """Return images per class and split; of a split with clips, a column of clips before that of their frames."""
    from rich.table import Table
    from rich.text import Text

    from interpfer.labels import sort_classes

    columns = dict[str, tuple[Mapping[str, int], Mapping[str, int] | None]]()  # counts, and what is left out
    for split, counts in report.counts.items():
        left_out = report.left_out[split]
        if split in report.clips:
            columns |= {f"{split}, clips": (report.clips[split], left_out), f"{split}, frames": (counts, None)}
        else:
            columns[split] = (counts, left_out)
    table = Table(title=title, title_justify="left")
    table.add_column("class", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    labels = {label for counts, _ in columns.values() for label in counts}
    order = [*numbered, *(label for label in sort_classes(labels) if label not in numbered)]
    for label in [*order, *([""] if "" in labels else [])]:
        table.add_row(Text(label or "no label"), *(str(counts.get(label, 0)) for counts, _ in columns.values()))
    table.add_section()
    table.add_row("total" if report.clips else "images", *(str(sum(own.values())) for own, _ in columns.values()))
    for reason in dict.fromkeys(reason for left_out in report.left_out.values() for reason in left_out):
        cells = ("" if own is None else str(own.get(reason, 0)) for _, own in columns.values())
        table.add_row(f"left out: {reason}", *cells)
    return table


def _print_lines(title: str, lines: list[str]) -> None:
    click.echo(f"{title}: {len(lines)}")
    for line in lines[:MAX_LINES]:
        click.echo(f"  {line}")
    if len(lines) > MAX_LINES:
        click.echo(f"  and {len(lines) - MAX_LINES} more")
