"""interpfer score."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.scoring.options import ScoreOptions

if TYPE_CHECKING:
    from interpfer.results.run import Run


@verb("score", ScoreOptions, arguments=("model",))
@click.argument("others", nargs=-1, type=click.Path(path_type=Path), metavar="[MODEL...]")
@as_json
@quiet_option
def command(others: tuple[Path, ...], options: ScoreOptions, json_wanted: bool, quiet: bool) -> None:
    """Score where MODEL looks: its maps against the AU heatmap of each face, or the mask of each picture.

    Masks of any pictures, as polygons, boxes or images, are given with --truth masks --masks PATH. MODEL is a
    checkpoint with a model card beside it (same name, .yaml). The table shows, per map and layer, the cosine with the
    heatmap (CAM-COS, ATT-COS), the skill over a uniform map, and PxAP, with 95 % confidence intervals, above the
    baselines that a score has to beat.

    Several models are scored one after the other on the same images, each into a folder of its own under --out; with
    --resume, finished ones are kept.

    \b
    interpfer score model.pt --dataset csv --data-root faces --landmarks faces/landmarks.txt --out runs/mine
    interpfer score --config runs/mine/run.json --out runs/again
    interpfer score tuned/seed-0/model.pt tuned/seed-1/model.pt --dataset csv --data-root faces --out runs
    """
    from interpfer.cli.run_tables import run_facts
    from interpfer.cli.terminal import progress_bars
    from interpfer.files import json_bytes
    from interpfer.runtime.processes import join_processes, shut_down
    from interpfer.scoring.score import score
    from interpfer.scoring.several import score_models

    assert options.model is not None
    assert options.dataset is not None
    group = join_processes(options.device)
    try:
        with progress_bars(group.is_main and not quiet) as update:
            if others:
                runs = score_models([options.model, *others], options.dataset, options=options, progress=update)
            else:
                runs = [score(options.model, options.dataset, options=options, progress=update)]
    finally:
        shut_down()
    if not group.is_main:
        return
    if json_wanted:
        facts = [run_facts(run) for run in runs]
        click.echo(json_bytes(facts if others else facts[0]), nl=False)
    show_runs(runs, not json_wanted, not quiet)


def show_runs(runs: Sequence["Run"], with_tables: bool, with_notes: bool) -> None:
    """Print the tables of some runs and the notes below them."""
    from interpfer.cli.run_tables import notes, score_tables
    from interpfer.cli.terminal import print_note, stdout

    console = stdout()
    for run in runs:
        for table in score_tables(run, console.width) if with_tables else ():
            console.print(table)
        for note in notes(run) if with_notes else ():
            print_note(note)
