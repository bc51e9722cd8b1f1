"""interpfer compare."""

from collections.abc import Sequence
from pathlib import Path

import click

from interpfer.cli.options import as_json, verb
from interpfer.results.options import CompareOptions


@verb("compare", CompareOptions, arguments=("run_a", "run_b"))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN...]")
@as_json
def command(others: tuple[Path, ...], options: CompareOptions, json_wanted: bool) -> None:
    """Compare two run folders on the same images: RUN_B minus RUN_A.

    Differences have 95 % confidence intervals and p-values of sign-flip tests, adjusted for all lines by Holm's method.
    Both are over people where the runs know subjects; else images are taken as independent, and the accuracy has
    McNemar's test. The last column names the run that is significantly better: p < 0.05 and the interval excludes 0.

    With --stability, of any number of runs: how the order of models and of maps changes when images (people, where
    known) are drawn again, with the metric, and with the scoring rules in which the runs differ. A second file
    NAME.agreement.csv is written beside --out NAME.csv.

    \b
    interpfer compare runs/before runs/after
    interpfer compare runs/before runs/after --json
    interpfer compare runs/a runs/b runs/c --stability
    """
    from interpfer.cli.run_tables import comparison_notes, comparison_table
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.comparison import compare, definition_note, find_better, subject_note
    from interpfer.results.run import load_run

    assert options.run_a is not None
    assert options.run_b is not None
    if options.stability:
        _show_stability([options.run_a, options.run_b, *others], options, json_wanted)
        return
    if others:
        raise click.UsageError("compare takes two runs, or any number with --stability.")
    run_a, run_b = load_run(options.run_a), load_run(options.run_b)
    table, facts = compare(run_a, run_b, options.seed), run_a.metric_facts
    if options.out is not None:
        write_atomic(Path(options.out), csv_bytes(table))
    if json_wanted:
        sides = find_better(table, facts)
        rows = [line | {"better": side} for line, side in zip(table.to_dict("records"), sides, strict=True)]
        click.echo(json_bytes(rows), nl=False)
        return
    console = stdout()
    console.print(comparison_table(table, str(options.run_a), str(options.run_b), console.width, facts))
    for note in filter(
        None, (*comparison_notes(table, facts), subject_note(run_a, run_b), definition_note(run_a, run_b))
    ):
        print_note(note)


def _show_stability(folders: Sequence[str | Path], options: CompareOptions, json_wanted: bool) -> None:
    from interpfer.cli.stability_tables import agreement_table, order_table, stability_notes
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.run import load_run
    from interpfer.results.stability import rank_stability

    stability = rank_stability([load_run(folder) for folder in folders], options.seed)
    if options.out is not None:
        out = Path(options.out)
        write_atomic(out, csv_bytes(stability.orders))
        write_atomic(out.with_suffix(f".agreement{out.suffix}"), csv_bytes(stability.agreements))
    if json_wanted:
        tables = {name: table.to_dict("records") for name, table in stability._asdict().items()}
        click.echo(json_bytes(tables), nl=False)
        return
    stdout().print(order_table(stability.orders))
    if not stability.agreements.empty:
        stdout().print(agreement_table(stability.agreements))
    for note in stability_notes(stability):
        print_note(note)
