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
    much.

    \b
    interpfer compare runs/before runs/after
    interpfer compare runs/before runs/after --json
    """
    from rich.table import Table

    from interpfer.cli.terminal import stdout
    from interpfer.metrics import decimals
    from interpfer.reports.comparison import better, compare
    from interpfer.results.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.run import load_run

    lines = compare(load_run(run_a), load_run(run_b), seed)
    if out is not None:
        write_atomic(out, csv_bytes(lines))
    if json_wanted:
        told = [line | {"better": winner} for line, winner in zip(lines.to_dict("records"), better(lines), strict=True)]
        click.echo(json_bytes(told), nl=False)
        return
    table = Table(title=f"a: {run_a}, b: {run_b}", title_justify="left")
    for name in ("map", "layer", "metric", "a", "b", "b - a", "p (Holm)", "n", "better"):
        table.add_column(
            name, no_wrap=True, justify="left" if name in ("map", "layer", "metric", "better") else "right"
        )
    for line, winner in zip(lines.to_dict("records"), better(lines), strict=True):
        places = decimals(line["metric"])
        layer = line["layer_a"] if line["layer_a"] == line["layer_b"] else f"{line['layer_a']} / {line['layer_b']}"
        table.add_row(
            *(str(line["map"]), layer, str(line["metric"]), f"{line['a']:.{places}f}", f"{line['b']:.{places}f}"),
            rf"{line['difference']:+.{places}f} \[{line['ci_low']:+.{places}f}, {line['ci_high']:+.{places}f}]",
            *(f"{line['p_holm']:.2g}", str(line["n"]), winner),
        )
    stdout().print(table)
