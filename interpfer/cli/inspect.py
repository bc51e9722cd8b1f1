"""interpfer inspect."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interpfer.cli.options import as_json, verb
from interpfer.inspection.options import InspectOptions

if TYPE_CHECKING:
    from interpfer.datasets.base import Dataset
    from interpfer.inspection.card_search import CardSearch
    from interpfer.inspection.heads import HeadTrial
    from interpfer.inspection.report import Report
    from interpfer.models.model import Model


@verb("inspect", InspectOptions, arguments=("model",))
@as_json
def command(options: InspectOptions, json_wanted: bool) -> None:
    """Identify MODEL: its format, weights, architecture, outputs and layers, and the model card that it needs.

    No code from the file runs without --trust. With labelled faces, class orders and inputs are compared, to catch a
    wrong model card before scoring.

    \b
    interpfer inspect model.pt
    interpfer inspect model.pt --dataset csv --data-root faces
    interpfer inspect model.pt --dataset csv --data-root faces --write
    """
    from interpfer.cli.terminal import print_note, progress_bars, stdout
    from interpfer.datasets import DATASETS
    from interpfer.inspection.card_search import apply_suggestion, try_cards
    from interpfer.inspection.checkpoint import inspect_checkpoint

    if options.data_root is not None and options.dataset is None:
        raise click.UsageError("--data-root needs --dataset, e.g. --dataset csv.")
    assert options.model is not None
    report, model = inspect_checkpoint(Path(options.model), **options.model_values())
    search, trial = None, None
    if options.dataset is not None and model is not None:
        root = Path(options.data_root) if options.data_root else None
        faces = DATASETS.get(options.dataset).open(root, options.split, options.seed)
        trial, found = _choose_output(options, report, model, faces)
        report, model = found or (report, model)
        has_classes, has_size = "classes" not in report.assumed, "input.size" not in report.assumed
        with progress_bars() as update:
            search = try_cards(model, faces, has_classes, has_size, options.limit, options.seed, update)
        report = apply_suggestion(report, search)
    if json_wanted:
        _write(options, report, search)
        tried = ({"outputs_tried": asdict(trial)} if trial else {}) | ({"trial": search.to_dict()} if search else {})
        click.echo(json.dumps(report.to_dict() | tried, indent=2))
        return

    from interpfer.cli.inspection_tables import list_sections

    console = stdout()
    for section in list_sections(report, search, options.show_layers, trial):
        console.print(section, markup=not isinstance(section, str), soft_wrap=isinstance(section, str))
    if options.dataset is not None and model is None:
        print_note("class orders were not compared: the network cannot be built yet")
    written = _write(options, report, search)
    if written is not None:
        print_note(f"card written to {written}; `interpfer score {options.model}` reads it")


def _choose_output(
    options: InspectOptions, report: "Report", model: "Model", faces: "Dataset"
) -> "tuple[HeadTrial | None, tuple[Report, Model] | None]":
    """Compare the outputs on labelled faces where it is open which one classifies; inspect again with that one."""
    from interpfer.cli.terminal import progress_bars
    from interpfer.inspection.checkpoint import inspect_checkpoint
    from interpfer.inspection.heads import needs_trial, try_heads
    from interpfer.inspection.labelled import read_labelled

    if not needs_trial(report):
        return None, None
    with progress_bars() as update:
        trial = try_heads(model, read_labelled(faces, options.limit, options.seed), update)
    if not trial.best:
        return trial, None
    assert options.model is not None
    again, chosen = inspect_checkpoint(options.model, **(options.model_values() | {"output": trial.best}))
    return trial, None if chosen is None else (again, chosen)


def _write(options: InspectOptions, report: "Report", search: "CardSearch | None") -> Path | None:
    from interpfer.inspection.write import write_card

    return write_card(report, search) if options.write else None
