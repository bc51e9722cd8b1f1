"""interpfer inspect."""

import json
from pathlib import Path
from typing import Any

import click

from interpfer.cli.options import MODEL_OVERRIDES, model_options


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--dataset", metavar="NAME", help="Labelled faces to try class orders and inputs on, e.g. --dataset csv.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), metavar="DIR", help="Their folder, e.g. --data-root faces."
)
@click.option("--split", default="test", show_default=True, metavar="NAME", help="Their part, e.g. --split val.")
@click.option(
    "--limit", type=click.IntRange(1), default=140, show_default=True, metavar="N", help="Faces, e.g. --limit 350."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which faces, e.g. --seed 1.")
@click.option("--layers", "which", type=click.Choice(["stages", "spatial", "all"]), default="stages", show_default=True,
              help="Which layers to list, e.g. --layers spatial.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@model_options
def command(model: Path, which: str, as_json: bool, **options: Any) -> None:
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

    if options["data_root"] is not None and options["dataset"] is None:
        raise click.UsageError("--data-root needs --dataset, e.g. --dataset csv.")
    overrides = {name: options.pop(name) for name in MODEL_OVERRIDES}
    report, loaded = inspect_checkpoint(model, **overrides)
    trial = None
    if options["dataset"] is not None and loaded is not None:
        faces = DATASETS.get(options["dataset"]).open(options["data_root"], options["split"], options["seed"])
        named, sized = "classes" not in report.assumed, "input.size" not in report.assumed
        with progress_bars() as update:
            trial = try_cards(loaded, faces, named, sized, options["limit"], options["seed"], update)
        report = suggested(report, trial)
    if as_json:
        click.echo(json.dumps(report.facts() | ({"trial": trial.facts()} if trial else {}), indent=2))
        return

    from interpfer.cli.inspection_tables import tables

    console = stdout()
    for part in tables(report, trial, which):
        console.print(part, markup=not isinstance(part, str), soft_wrap=isinstance(part, str))
    if options["dataset"] is not None and loaded is None:
        stderr.print("no class order could be tried: the network cannot be put together yet", markup=False)
