"""interpfer prepare."""

from pathlib import Path

import click

from interpfer.cli.options import verb
from interpfer.faces.options import PrepareOptions

MAX_LINES = 10
"""Most lines printed per kind of failure."""


@verb("prepare", PrepareOptions)
def command(options: PrepareOptions) -> None:
    """Find the landmarks of a data set once, and write a failure list and a contact sheet.

    Writes a landmark file for --landmarks, a list of failed and doubtful faces with the reasons (FILE.failures.csv),
    and a contact sheet with the failed faces first (FILE.png). Results are cached: rerun an interrupted call to
    continue; score reuses them.

    \b
    interpfer prepare --dataset csv --data-root faces --landmarks embedded --out landmarks.txt
    """
    from interpfer.cli.terminal import progress_bars, stderr
    from interpfer.datasets.opening import open_dataset
    from interpfer.faces.check import check_landmarks
    from interpfer.faces.prepare import count_reasons, prepare
    from interpfer.landmarks.resolve import resolve_landmarks

    assert options.dataset is not None
    assert options.out is not None
    dataset = open_dataset(options.dataset, options, options.seed)
    provider = check_landmarks(resolve_landmarks(options.landmarks, dataset.landmarks()), dataset)
    with progress_bars() as update:
        prepared = prepare(dataset, provider, Path(options.out), update)
    click.echo(f"{prepared.found} of {len(dataset)} faces found: {prepared.landmarks}")
    for kind, notes in {"failed": prepared.failed, "doubtful": prepared.doubtful}.items():
        if notes:
            stderr.print(f"{kind}: {len(notes)} ({count_reasons(notes.values())})", markup=False)
        for name, note in list(notes.items())[:MAX_LINES]:
            stderr.print(f"  {name}: {note}", markup=False, soft_wrap=True)
        if len(notes) > MAX_LINES:
            stderr.print(f"  and {len(notes) - MAX_LINES} more in {prepared.failures}", markup=False, soft_wrap=True)
    stderr.print(f"contact sheet: {prepared.sheet}", soft_wrap=True)
