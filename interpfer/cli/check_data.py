"""interpfer check-data."""

from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.datasets.options import CheckDataOptions

MAX_LINES = 10
"""Most lines printed per kind of problem."""


@verb("check-data", CheckDataOptions)
@click.pass_context
def command(ctx: click.Context, options: CheckDataOptions) -> None:
    """Check that a data set is complete: counts as published, every image readable.

    Prints the number of images per class and split, images with the same pixels within and across splits, then the
    problems by kind. Exit status 1 if there are problems; images with the same pixels are none.

    \b
    interpfer check-data --dataset rafdb --data-root RAF-DB
    """
    from rich.table import Table
    from rich.text import Text

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
    table = Table(title=f"{name} in {data_root}" if data_root else name, title_justify="left")
    table.add_column("class", no_wrap=True)
    for column in report.counts:
        table.add_column(column, justify="right")
    labels = {label for counts in report.counts.values() for label in counts}
    numbered = dataset_class.order
    order = [*numbered, *(label for label in sort_classes(labels) if label not in numbered)]
    for label in [*order, *([""] if "" in labels else [])]:
        table.add_row(Text(label or "no label"), *(str(counts.get(label, 0)) for counts in report.counts.values()))
    table.add_section()
    table.add_row("images", *(str(sum(counts.values())) for counts in report.counts.values()))
    for reason in dict.fromkeys(reason for counts in report.left_out.values() for reason in counts):
        table.add_row(f"left out: {reason}", *(str(counts.get(reason, 0)) for counts in report.left_out.values()))
    stdout().print(table)
    if own := [ask_about(name) for name in sort_classes(labels) if name not in EXPRESSIONS]:
        click.echo(f"classes outside the eight expressions, matched with those of a model by name: {list_names(own)}")
    for kind, lines in report.copies.items():
        _print_lines(f"groups of images with the same pixels {kind}", lines)
    for problem, lines in report.problems.items():
        _print_lines(problem, lines)
    compared = ", ".join(split for split, is_published in report.published.items() if is_published)
    comparison = f"compared the counts of {compared} with the published ones"
    click.echo(f"read {report.read} images; {comparison if compared else 'there are no published counts to compare'}")
    count = sum(map(len, report.problems.values()))
    click.echo("no problems found" if not count else "1 problem found" if count == 1 else f"{count} problems found")
    if count:
        ctx.exit(1)


def _print_lines(title: str, lines: list[str]) -> None:
    click.echo(f"{title}: {len(lines)}")
    for line in lines[:MAX_LINES]:
        click.echo(f"  {line}")
    if len(lines) > MAX_LINES:
        click.echo(f"  and {len(lines) - MAX_LINES} more")
