"""interpfer inspect."""

import json
from pathlib import Path

import click

from interpfer.cli.options import as_json, verb
from interpfer.inspection.options import InspectOptions


@verb("inspect", InspectOptions, arguments=("model",))
@as_json
def command(options: InspectOptions, json_wanted: bool) -> None:
    """Say what MODEL is: format, weights, architecture, outputs, layers, and which card it needs.

    Nothing that the file brings is run without --trust. With labelled faces, class orders and ways to prepare the
    picture are tried, so that a wrong card is found before a score is believed.

    \b
    interpfer inspect model.pt
    interpfer inspect model.pt --dataset csv --data-root faces
    """
    from interpfer.cli.terminal import progress_bars, stderr, stdout
    from interpfer.datasets import DATASETS
    from interpfer.inspection.candidates import suggested, try_cards
    from interpfer.inspection.checkpoint import inspect_checkpoint

    if options.data_root is not None and options.dataset is None:
        raise click.UsageError("--data-root needs --dataset, e.g. --dataset csv.")
    assert options.model is not None
    report, loaded = inspect_checkpoint(Path(options.model), **options.model_values())
    trial = None
    if options.dataset is not None and loaded is not None:
        root = Path(options.data_root) if options.data_root else None
        faces = DATASETS.get(options.dataset).open(root, options.split, options.seed)
        named, sized = "classes" not in report.assumed, "input.size" not in report.assumed
        with progress_bars() as update:
            trial = try_cards(loaded, faces, named, sized, options.limit, options.seed, update)
        report = suggested(report, trial)
    if json_wanted:
        click.echo(json.dumps(report.facts() | ({"trial": trial.facts()} if trial else {}), indent=2))
        return

    from interpfer.cli.inspection_tables import tables

    console = stdout()
    for part in tables(report, trial, options.show_layers):
        console.print(part, markup=not isinstance(part, str), soft_wrap=isinstance(part, str))
    if options["dataset"] is not None and loaded is None:
        stderr.print("no class order could be tried: the network cannot be put together yet", markup=False)
