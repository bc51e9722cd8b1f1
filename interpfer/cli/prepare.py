"""interpfer prepare."""

from pathlib import Path

import click

from interpfer.cli.options import data_options


@click.command("prepare")
@data_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="e.g. --out rafdb-landmarks.txt."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of drawn data sets, e.g. --seed 1.")
def command(dataset: str, data_root: Path | None, split: str, landmarks: str | None, out: Path, seed: int) -> None:
    """Find the landmarks of a data set once.

    Writes a landmark file for --landmarks, a list of failures (FILE.failures.csv) and a sheet of faces to look at
    (FILE.png). What was found is remembered: an interrupted call goes on where it stopped, and score uses it too.

    \b
    interpfer prepare --dataset csv --data-root faces --landmarks embedded --out landmarks.txt
    """
    from interpfer.cli.terminal import progress_bars, stderr
    from interpfer.datasets import DATASETS
    from interpfer.plan import find_landmarks
    from interpfer.prepare import prepare

    faces = DATASETS.get(dataset).open(data_root, split, seed)
    with progress_bars() as tell:
        done = prepare(faces, find_landmarks(landmarks, faces), out, tell)
    click.echo(f"{done.found} of {len(faces)} faces found: {done.landmarks}")
    for name, why in list(done.failed.items())[:10]:
        stderr.print(f"failed: {name}: {why}", markup=False)
    if len(done.failed) > 10:
        stderr.print(f"and {len(done.failed) - 10} more: {done.failures}")
    stderr.print(f"look at {done.sheet}")
