"""interpfer compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import as_json, verb
from interpfer.results.options import CompareOptions

if TYPE_CHECKING:
    import pandas as pd

    from interpfer.results.hypotheses import Hypotheses
    from interpfer.results.run import Run


@verb("compare", CompareOptions, arguments=("run_a", "run_b"))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN...]")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=RUN,RUN",
    help="Runs of one training with several seeds; pass two or more, e.g. --group plain=runs/p0,runs/p1.",
)
@as_json
def command(others: tuple[Path, ...], groups: tuple[str, ...], options: CompareOptions, json_wanted: bool) -> None:
    """Compare two run folders on the same images: RUN_B minus RUN_A.

    Differences have 95 % confidence intervals and p-values of sign-flip tests, adjusted for all lines by Holm's method.
    Both are over people where the runs know subjects; else images are taken as independent, and the accuracy has
    McNemar's test. The last column names the run that is significantly better: p < 0.05 and the interval excludes 0.

    With --group, of groups of runs (seeds): intervals and tests account for people and for seeds. With --unpaired, of
    runs on different images, over the classes that both have.

    With --by, in each group of images by attributes that the runs were scored with: whether a change helps everybody.

    With --stability, of any number of runs: how the order of models and of maps changes when images (people, where
    known) are drawn again, with the metric, and with the scoring rules in which the runs differ. A second file
    NAME.agreement.csv is written beside --out NAME.csv.

    \b
    interpfer compare runs/before runs/after
    interpfer compare runs/before runs/after --metrics cosine --maps gradcam
    interpfer compare --group plain=runs/p0,runs/p1,runs/p2 --group guided=runs/g0,runs/g1,runs/g2
    interpfer compare runs/under-50 runs/over-50 --unpaired
    interpfer compare runs/a runs/b runs/c --stability
    interpfer compare runs/before runs/after --by gender,age
    """
    from interpfer.results.hypotheses import Hypotheses
    from interpfer.results.run import load_whole_run

    folders = [folder for folder in (options.run_a, options.run_b, *others) if folder is not None]
    if groups:
        if folders or options.unpaired or options.stability:
            raise click.UsageError("--group takes all runs: pass no others, nor --unpaired or --stability.")
        members = {name: [load_whole_run(folder) for folder in paths] for name, paths in _read_groups(groups).items()}
        _show_groups(members, Hypotheses(options.maps, options.layers, options.metrics), options, json_wanted)
        return
    missing = ["RUN_A", "RUN_B"][len(folders) :]
    if missing:
        raise click.UsageError(f"missing: {', '.join(missing)}")
    if options.stability:
        _show_stability(folders, options, json_wanted)
        return
    if others:
        raise click.UsageError("compare takes two runs, or any number with --stability.")
    if options.by is not None:
        if options.unpaired:
            raise click.UsageError("--by compares the same images: leave out --unpaired.")
        _show_by(folders, Hypotheses(options.maps, options.layers, options.metrics), options, json_wanted)
        return
    _show_two(folders, Hypotheses(options.maps, options.layers, options.metrics), options, json_wanted)


def _show_two(
    folders: Sequence[str | Path], hypotheses: "Hypotheses", options: CompareOptions, json_wanted: bool
) -> None:
    from interpfer.cli.run_tables import comparison_notes
    from interpfer.results.comparison import compare, definition_note, subject_note
    from interpfer.results.comparison_notes import explain_tests, landmark_note, overlap_note
    from interpfer.results.group_comparison import absent_classes_note, compare_different_images
    from interpfer.results.run import load_whole_run

    run_a, run_b = runs = [load_whole_run(folder) for folder in folders]
    if options.unpaired:
        table = compare_different_images(run_a, run_b, hypotheses)
        own = [absent_classes_note(run_a, run_b)]
    else:
        table = compare(run_a, run_b, options.seed, hypotheses)
        own = [overlap_note(runs), subject_note(run_a, run_b)]
    notes = [
        *comparison_notes(table, run_a.metric_facts),
        *own,
        definition_note(run_a, run_b),
        landmark_note(runs),
        *explain_tests(table),
    ]
    _show(table, run_a, (str(folders[0]), str(folders[1])), notes, options, json_wanted)


def _show_by(
    folders: Sequence[str | Path], hypotheses: "Hypotheses", options: CompareOptions, json_wanted: bool
) -> None:
    """Show the comparison of two runs in each group of images."""
    from interpfer.cli.run_tables import comparison_notes
    from interpfer.files import csv_bytes, write_atomic
    from interpfer.results.by_comparison import GROUP, compare_by, describe_groups
    from interpfer.results.comparison_notes import overlap_note
    from interpfer.results.run import load_whole_run

    run_a, run_b = (load_whole_run(folder) for folder in folders)
    table = compare_by(run_a, run_b, options.by or "", options.seed, hypotheses, options.min_group)
    if options.out is not None:
        write_atomic(Path(options.out), csv_bytes(table))
    if json_wanted:
        _print_json(table, run_a)
        return
    for name, lines in table.groupby(GROUP, sort=False):
        _print_table(lines, run_a, (f"{folders[0]}, {name}", str(folders[1])))
    p_values = f"p-values are adjusted for all {len(table)} lines of all groups (Holm)"
    notes = [*describe_groups(table, run_a), *comparison_notes(table, run_a.metric_facts), p_values]
    _print_notes([*notes, overlap_note([run_a, run_b])])


def _show_groups(
    groups: Mapping[str, Sequence["Run"]], hypotheses: "Hypotheses", options: CompareOptions, json_wanted: bool
) -> None:
    from itertools import combinations

    from interpfer.cli.run_tables import comparison_notes
    from interpfer.files import csv_bytes, write_atomic
    from interpfer.results.comparison_notes import explain_tests, group_notes, landmark_note, overlap_note
    from interpfer.results.group_comparison import compare_run_groups

    table = compare_run_groups(groups, hypotheses)
    runs = [run for members in groups.values() for run in members]
    if options.out is not None:
        write_atomic(Path(options.out), csv_bytes(table))
    if json_wanted:
        _print_json(table, runs[0])
        return
    for pair in combinations(groups, 2):
        lines = table[(table["group_a"] == pair[0]) & (table["group_b"] == pair[1])]
        _print_table(lines, runs[0], (_title(pair[0], groups), _title(pair[1], groups)))
    notes = [*comparison_notes(table, runs[0].metric_facts), *group_notes(groups)]
    _print_notes([*notes, overlap_note(runs), landmark_note(runs), *explain_tests(table)])


def _show(
    table: "pd.DataFrame",
    run: "Run",
    names: tuple[str, str],
    notes: Sequence[str],
    options: CompareOptions,
    json_wanted: bool,
) -> None:
    from interpfer.files import csv_bytes, write_atomic

    if options.out is not None:
        write_atomic(Path(options.out), csv_bytes(table))
    if json_wanted:
        _print_json(table, run)
        _print_notes([note for note in notes if note.startswith("WARNING")])
        return
    _print_table(table, run, names)
    _print_notes(notes)


def _print_json(table: "pd.DataFrame", run: "Run") -> None:
    from interpfer.files import json_bytes
    from interpfer.results.comparison import find_better

    sides = find_better(table, run.metric_facts)
    rows = [line | {"better": side} for line, side in zip(table.to_dict("records"), sides, strict=True)]
    click.echo(json_bytes(rows), nl=False)


def _print_table(table: "pd.DataFrame", run: "Run", names: tuple[str, str]) -> None:
    from interpfer.cli.run_tables import comparison_table
    from interpfer.cli.terminal import stdout

    console = stdout()
    console.print(comparison_table(table, *names, console.width, run.metric_facts))


def _print_notes(notes: Sequence[str]) -> None:
    from interpfer.cli.terminal import print_note

    for note in filter(None, notes):
        print_note(note)


def _title(name: str, groups: Mapping[str, Sequence["Run"]]) -> str:
    count = len(groups[name])
    return f"{name} ({count} run{'s' if count > 1 else ''})"


def _read_groups(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return name -> folders of ``NAME=RUN,RUN``."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, _, folders = text.partition("=")
        runs = [folder.strip() for folder in folders.split(",") if folder.strip()]
        if not name or not runs or name in groups:
            raise click.UsageError(f"--group must be NAME=RUN,RUN with a name of its own, got '{text}'.")
        groups[name] = runs
    if len(groups) < 2:
        raise click.UsageError("--group must be passed at least twice.")
    return groups


def _show_stability(folders: Sequence[str | Path], options: CompareOptions, json_wanted: bool) -> None:
    from interpfer.cli.stability_tables import agreement_table, order_table, stability_notes
    from interpfer.cli.terminal import print_note, stdout
    from interpfer.files import csv_bytes, json_bytes, write_atomic
    from interpfer.results.run import load_whole_run
    from interpfer.results.stability import rank_stability

    stability = rank_stability([load_whole_run(folder) for folder in folders], options.seed)
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
