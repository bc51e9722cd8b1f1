"""interpfer prepare."""

from pathlib import Path

import click

from interpfer.cli.options import Command, data_options

SHOWN = 10
"""Lines per kind of trouble."""


@click.command("prepare", cls=Command)
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="e.g. --out rafdb-landmarks.txt."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of drawn data sets, e.g. --seed 1.")
def command(dataset: str, data_root: Path | None, split: str, landmarks: str | None, out: Path, seed: int) -> None:
    """Find the landmarks of a data set once.

    Writes a landmark file for --landmarks, a list of failures and doubts with their reasons (FILE.failures.csv) and a
    sheet of faces to look at, failures first (FILE.png). What was found is remembered: an interrupted call goes on
    where it stopped, and score uses it too.

    \b
    interpfer prepare --dataset csv --data-root faces --landmarks embedded --out landmarks.txt
    """
    from interpfer.cli.terminal import progress_bars, stderr
    from interpfer.datasets import DATASETS
    from interpfer.faces.prepare import prepare, reasons
    from interpfer.landmarks.resolve import resolve_landmarks

    faces = DATASETS.get(dataset).open(data_root, split, seed)
    with progress_bars() as update:
        done = prepare(faces, resolve_landmarks(landmarks, faces.landmarks()), out, update)
    click.echo(f"{done.found} of {len(faces)} faces found: {done.landmarks}")
    for kind, notes in {"failed": done.failed, "doubtful": done.doubtful}.items():
        if notes:
            stderr.print(f"{kind}: {len(notes)} ({reasons(notes.values())})", markup=False)
        for name, note in list(notes.items())[:SHOWN]:
            stderr.print(f"  {name}: {note}", markup=False, soft_wrap=True)
        if len(notes) > SHOWN:
            stderr.print(f"  and {len(notes) - SHOWN} more in {done.failures}", markup=False, soft_wrap=True)
    stderr.print(f"look at {done.sheet}", soft_wrap=True)
