"""interpfer prepare."""

from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.faces.options import PrepareOptions

SHOWN = 10
"""Lines per kind of trouble."""


@verb("prepare", PrepareOptions)
def command(options: PrepareOptions) -> None:
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

    assert options.dataset is not None
    assert options.out is not None
    root = Path(options.data_root) if options.data_root else None
    faces = DATASETS.get(options.dataset).open(root, options.split, options.seed)
    with progress_bars() as update:
        done = prepare(faces, resolve_landmarks(options.landmarks, faces.landmarks()), Path(options.out), update)
    click.echo(f"{done.found} of {len(faces)} faces found: {done.landmarks}")
    for kind, notes in {"failed": done.failed, "doubtful": done.doubtful}.items():
        if notes:
            stderr.print(f"{kind}: {len(notes)} ({reasons(notes.values())})", markup=False)
        for name, note in list(notes.items())[:SHOWN]:
            stderr.print(f"  {name}: {note}", markup=False, soft_wrap=True)
        if len(notes) > SHOWN:
            stderr.print(f"  and {len(notes) - SHOWN} more in {done.failures}", markup=False, soft_wrap=True)
    stderr.print(f"look at {done.sheet}", soft_wrap=True)
