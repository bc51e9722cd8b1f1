"""interpfer merge."""

from pathlib import Path

import click

from interpfer.cli.options import as_json, quiet_option, verb
from interpfer.scoring.merge_options import MergeOptions


@verb("merge", MergeOptions)
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
@as_json
@quiet_option
def command(runs: tuple[Path, ...], options: MergeOptions, json_wanted: bool, quiet: bool) -> None:
    """Make one run out of RUNs, the folders of all shards of `interpfer score --shard I/N`.

    The tables have the bytes of a score without shards. No image is scored again; the model and the data set are opened
    where the shards found them, or where the options below say.

    \b
    interpfer score model.pt --dataset csv --data-root faces --shard 0/2 --out shards/0
    interpfer score model.pt --dataset csv --data-root faces --shard 1/2 --out shards/1
    interpfer merge shards/0 shards/1 --out runs/mine
    """
    from interpfer.cli.run_tables import run_facts
    from interpfer.cli.score import show_runs
    from interpfer.cli.terminal import progress_bars
    from interpfer.files import json_bytes
    from interpfer.scoring.merge import merge

    with progress_bars(not quiet) as update:
        run = merge(runs, options=options, progress=update)
    if json_wanted:
        click.echo(json_bytes(run_facts(run)), nl=False)
    show_runs([run], not json_wanted, not quiet)
