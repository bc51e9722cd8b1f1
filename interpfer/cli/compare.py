"""interpfer compare."""

from pathlib import Path

import click

from interpfer.cli.options import as_json


@click.command("compare")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap, e.g. --seed 1.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write CSV too, e.g. --out compare.csv.")
@as_json
def command(run_a: Path, run_b: Path, seed: int, out: Path | None, json_wanted: bool) -> None:
    """Compare two run folders on the same images: RUN_B minus RUN_A.

    Differences come with 95 % intervals over images; p is McNemar's for the accuracy and Wilcoxon's for scores,
    adjusted for all lines after Holm. The last column names the run that is better where chance would seldom do as
    much: p below 0.05, and an interval without 0.

    \b
    interpfer compare runs/before runs/after
    interpfer compare runs/before runs/after --json
    """
    from interpfer.cli.run_tables import comparison_notes, comparison_table
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.comparison import better, compare
    from interpfer.results.run import load_run

    lines = compare(load_run(run_a), load_run(run_b), seed)
    if out is not None:
        write_atomic(out, csv_bytes(lines))
    if json_wanted:
        told = [line | {"better": winner} for line, winner in zip(lines.to_dict("records"), better(lines), strict=True)]
        click.echo(json_bytes(told), nl=False)
        return
    console = stdout()
    console.print(comparison_table(lines, str(run_a), str(run_b), console.width))
    for note in comparison_notes(lines):
        print_note(note)
