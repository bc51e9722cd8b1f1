"""One training per weight of the guide: what agreement costs in accuracy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError
from interpfer.files import csv_bytes, write_atomic
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.options import NO_TEST, FinetuneOptions
from interpfer.finetuning.pictures import pareto_picture
from interpfer.finetuning.recipe import Recipe, resolve_choices
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.finetuning.session import training_folder
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress, no_progress
from interpfer.validation import require_range


def sweep(
    model: Model | str | Path,
    dataset: Dataset | str,
    weights: str | Sequence[float],
    *,
    out: str | Path | None = None,
    options: FinetuneOptions | None = None,
    recipe: Recipe | None = None,
    progress: Progress = no_progress,
    report: Callable[[dict[str, Any]], None] | None = None,
    **arguments: Any,
) -> pd.DataFrame:
    """Fine-tune with each weight, into folders of their own, and draw accuracy against agreement.

    The weight of the class-map term keeps its proportion to that of attention, so that 0 is plain training.

    Args:
        model: as for ``finetune``.
        dataset: as for ``finetune``.
        weights: weights of the attention term, or of the class-map term where that is the only one.
        out: folder for one folder per weight, sweep.csv and sweep.png; None for that of the options.
        options: as for ``finetune``; shared by all trainings.
        recipe: as for ``finetune``.
        progress: called with (what, done, total, note).
        report: called with each line of the table.
        arguments: ``landmarks`` and ``test`` as for ``finetune``, and single choices.

    Returns:
        One line per weight, after one for the original model (weight NaN); ``attrs["compared_on"]`` names the images.

    Raises:
        InterpferError: as ``finetune``; also where nothing is compared, or the weights are no list of distinct numbers.
    """
    inputs = {name: arguments.pop(name) for name in ("landmarks", "test") if name in arguments}
    options, base = resolve_choices(options, recipe, arguments, model=model, dataset=dataset)
    options = replace(options, sweep=None, out=options.out if out is None else out)
    folder = training_folder(options)
    if inputs.get("test", options.test_split) in (None, NO_TEST):
        raise InterpferError("a sweep compares its trainings on a split: pass --test-split.")
    compared_on, lines = "", list[dict[str, Any]]()
    for weight in _require_weights(weights):
        guide = scale_guide(base.guide, weight)
        result = finetune(
            model,
            dataset,
            out=folder / f"weight-{weight:g}",
            options=replace(options, weight=guide.weight, cam_weight=guide.cam_weight),
            recipe=None if recipe is None else replace(recipe, guide=guide),
            progress=_name_weight(progress, weight),
            **inputs,
        )
        if not result.is_main:
            continue
        compared_on = result.compared_on
        lines += _table_lines(result, weight, not lines)
        if report is not None:
            report(lines[-1])
    return _write_table(lines, compared_on, folder)


def _name_weight(progress: Progress, weight: float) -> Progress:
    """Return a progress that names the weight of the training."""

    def update(what: str, done: int, total: int, note: str = "") -> None:
        progress(f"weight {weight:g}, {what}", done, total, note)

    return update


def _write_table(lines: list[dict[str, Any]], compared_on: str, folder: Path) -> pd.DataFrame:
    """Write sweep.csv and sweep.png; no process but the first has lines."""
    table = pd.DataFrame(lines)
    table.attrs["compared_on"] = compared_on
    if lines:
        write_atomic(folder / "sweep.csv", csv_bytes(table))
        pareto_picture(table, folder / "sweep.png")
    return table


def _require_weights(weights: str | Sequence[float]) -> tuple[float, ...]:
    """Return weights after which a folder each can be named."""
    if isinstance(weights, str) or not len(weights):
        raise InterpferError(f"sweep must be a list of weights, such as 0,1,4,9, got '{weights}'.")
    for weight in weights:
        require_range("weight", weight, 0)
    if len({f"{weight:g}" for weight in weights}) < len(weights):
        repeated = ", ".join(f"{weight:g}" for weight in weights)
        raise InterpferError(f"the weights of a sweep must be distinct, got {repeated}.")
    return tuple(float(weight) for weight in weights)


def scale_guide(guide: Guide, weight: float) -> Guide:
    """Return a guide with a weight for its leading term, the other one in proportion.

    Examples:
        >>> scale_guide(Guide(weight=4, cam_weight=1), 8).weights
        (8, 2.0)
    """
    attention, cam = guide.weights
    if not attention and cam:
        return replace(guide, cam_weight=weight)
    return replace(guide, weight=weight, cam_weight=cam * weight / attention if attention else None)


def _table_lines(result: FinetuneResult, weight: float, with_original: bool) -> list[dict[str, Any]]:
    assert result.before is not None
    assert result.after is not None
    sides = [(np.nan, result.before)] if with_original else []
    return [_table_line(run, value) for value, run in (*sides, (weight, result.after))]


def _table_line(run: Run, weight: float) -> dict[str, Any]:
    classification = run.manifest["classification"]
    return {
        "weight": weight,
        "accuracy": classification["accuracy"],
        "macro_f1": classification["macro_f1"],
        "att_cos": run.score("attention"),
        "cam_cos": run.score("gradcam"),
        "n": classification["n"],
        "accuracy_low": classification["accuracy_ci"][0],
        "accuracy_high": classification["accuracy_ci"][1],
    }
