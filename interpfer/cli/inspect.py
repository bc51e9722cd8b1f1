"""interpfer inspect."""

import json
from pathlib import Path

import click

from interpfer.cli.options import as_json, verb
from interpfer.inspection.options import InspectOptions


@verb("inspect", InspectOptions, arguments=("model",))
@as_json
def command(options: InspectOptions, json_wanted: bool) -> None:
    """Identify MODEL: its format, weights, architecture, outputs and layers, and the model card that it needs.

    No code from the file runs without --trust. With labelled faces, class orders and inputs are compared, to catch a
    wrong model card before scoring.

    \b
    interpfer inspect model.pt
    interpfer inspect model.pt --dataset csv --data-root faces
    """
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.datasets import DATASETS
    from interpfer.inspection.card_search import apply_suggestion, try_cards
    from interpfer.inspection.checkpoint import inspect_checkpoint

    if options.data_root is not None and options.dataset is None:
        raise click.UsageError("--data-root needs --dataset, e.g. --dataset csv.")
    assert options.model is not None
    report, model = inspect_checkpoint(Path(options.model), **options.model_values())
    search = None
    if options.dataset is not None and model is not None:
        root = Path(options.data_root) if options.data_root else None
        faces = DATASETS.get(options.dataset).open(root, options.split, options.seed)
        has_classes, has_size = "classes" not in report.assumed, "input.size" not in report.assumed
        with progress_bars() as update:
            search = try_cards(model, faces, has_classes, has_size, options.limit, options.seed, update)
        report = apply_suggestion(report, search)
    if json_wanted:
        click.echo(json.dumps(report.to_dict() | ({"trial": search.to_dict()} if search else {}), indent=2))
        return

    from interpfer.cli.inspection_tables import list_sections

    console = stdout()
    for section in list_sections(report, search, options.show_layers):
        console.print(section, markup=not isinstance(section, str), soft_wrap=isinstance(section, str))
    if options.dataset is not None and model is None:
        print_note("class orders were not compared: the network cannot be built yet")
