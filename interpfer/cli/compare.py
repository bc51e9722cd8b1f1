"""interpfer compare."""

from pathlib import Path

import click

from interpfer.cli.options import as_json, verb
from interpfer.results.options import CompareOptions


@verb("compare", CompareOptions, arguments=("run_a", "run_b"))
@as_json
def command(options: CompareOptions, json_wanted: bool) -> None:
    """Compare two run folders on the same images: RUN_B minus RUN_A.

    Differences have 95 % confidence intervals over images; p-values are those of McNemar's test for the accuracy and of
    Wilcoxon's test for scores, adjusted for all lines by Holm's method. The last column names the run that is better
    where significant: p < 0.05 and the interval excludes 0.

    \b
    interpfer compare runs/before runs/after
    interpfer compare runs/before runs/after --json
    """
    from interpfer.cli.run_tables import comparison_notes, comparison_table
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.comparison import compare, find_better
    from interpfer.results.run import load_run

    assert options.run_a is not None
    assert options.run_b is not None
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
    for note in comparison_notes(table, facts):
        print_note(note)
