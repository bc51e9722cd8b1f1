"""interpfer check-data."""

from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.datasets.options import CheckDataOptions

SHOWN = 10
"""Lines per kind of problem."""


@verb("check-data", CheckDataOptions)
@click.pass_context
def command(ctx: click.Context, options: CheckDataOptions) -> None:
    """Check that a data set is whole: counts as published, every image readable.

    Prints the images per class and split, then what is wrong, by kind. Exit status 1 when something is.

    \b
    interpfer check-data --dataset rafdb --data-root RAF-DB
    """
    from rich.table import Table

    from interpfer.cli.terminal import progress_bars, stdout
    from interpfer.datasets import DATASETS
    from interpfer.datasets.integrity import open_splits, read_images
    from interpfer.labels import EXPRESSIONS

    assert options.dataset is not None
    dataset, data_root, split = options.dataset, options.data_root, options.split
    kind = DATASETS.get(dataset)
    opened, check = open_splits(kind, Path(data_root) if data_root else None, None if split is None else [split])
    with progress_bars() as update:
        read_images(opened, check, update)
    table = Table(title=f"{dataset} in {data_root}" if data_root else dataset, title_justify="left")
    table.add_column("class", no_wrap=True)
    for name in check.counts:
        table.add_column(name, justify="right")
    present = {label for counts in check.counts.values() for label in counts}
    order = [*kind.order, *(name for name in EXPRESSIONS if name not in kind.order and name in present)]
    for label in [*order, *([""] if "" in present else [])]:
        table.add_row(label or "no label", *(str(counts.get(label, 0)) for counts in check.counts.values()))
    table.add_section()
    table.add_row("images", *(str(sum(counts.values())) for counts in check.counts.values()))
    for reason in dict.fromkeys(reason for counts in check.left_out.values() for reason in counts):
        table.add_row(f"left out: {reason}", *(str(counts.get(reason, 0)) for counts in check.left_out.values()))
    stdout().print(table)
    for problem, lines in check.problems.items():
        click.echo(f"{problem}: {len(lines)}")
        for line in lines[:SHOWN]:
            click.echo(f"  {line}")
        if len(lines) > SHOWN:
            click.echo(f"  and {len(lines) - SHOWN} more")
    known = ", ".join(name for name, known in check.published.items() if known)
    compared = f" and compared the counts of {known} with the published ones" if known else ""
    click.echo(f"read {check.read} images{compared or '; no counts are published to compare with'}")
    if check.problems:
        click.echo(f"{sum(map(len, check.problems.values()))} things are wrong")
        ctx.exit(1)
    click.echo("nothing is wrong")
