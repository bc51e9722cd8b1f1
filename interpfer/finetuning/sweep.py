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
from interpfer.finetuning.pictures import pareto_picture
from interpfer.finetuning.recipe import CHOICES, Recipe, resolve_recipe
from interpfer.finetuning.run import FinetuneResult, finetune
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.runtime.progress import no_progress
from interpfer.validation import require_range


def sweep(
    model: Model | str | Path,
    dataset: Dataset | str,
    weights: Sequence[float],
    *,
    out: str | Path,
    recipe: Recipe | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Fine-tune with each weight, into folders of their own, and draw accuracy against agreement.

    The class map's weight keeps its proportion to attention's, so that 0 is plain training.

    Args:
        model: as for ``finetune``.
        dataset: as for ``finetune``.
        weights: of the leading term, which is attention unless the recipe leaves it out.
        out: gets one folder per weight, sweep.csv and sweep.png.
        recipe: what all trainings share.
        report: called with each line of the table.
        options: as for ``finetune``, single choices too.

    Returns:
        One line per weight, the model that came in first (weight NaN); ``attrs["judged"]`` says on what images.

    Raises:
        InterpferError: as ``finetune``, and where nothing is compared.
    """
    choices = {name: options.pop(name) for name in CHOICES if name in options}
    recipe = resolve_recipe(recipe, choices)
    if options.get("test", "test") is None:
        raise InterpferError("a sweep compares its trainings: name a split to compare on (--test-split).")
    weights = _checked(weights)
    tell, judged = options.pop("progress", None) or no_progress, ""
    lines: list[dict[str, Any]] = []
    for weight in weights:

        def under(what: str, done: int, total: int, note: str = "", weight: float = weight) -> None:
            tell(f"weight {weight:g}, {what}", done, total, note)

        tuned = finetune(
            model,
            dataset,
            out=Path(out) / f"weight-{weight:g}",
            recipe=replace(recipe, guide=scaled(recipe.guide, weight)),
            progress=under,
            **options,
        )
        if not tuned.first:
            continue
        judged = tuned.judged
        lines += _lines(tuned, weight, not lines)
        if report is not None:
            report(lines[-1])
    table = pd.DataFrame(lines)
    table.attrs["judged"] = judged
    if lines:
        write_atomic(Path(out) / "sweep.csv", csv_bytes(table))
        pareto_picture(table, Path(out) / "sweep.png")
    return table


def _checked(weights: Sequence[float]) -> tuple[float, ...]:
    """Return weights that a folder each can be named after."""
    if isinstance(weights, str) or not len(weights):
        raise InterpferError(f"a sweep needs a list of weights, such as 0,1,4,9, and got '{weights}'.")
    for weight in weights:
        require_range("weight", weight, 0)
    if len({f"{weight:g}" for weight in weights}) < len(weights):
        raise InterpferError(f"a sweep trains each weight once: {', '.join(f'{w:g}' for w in weights)} repeats one.")
    return tuple(float(weight) for weight in weights)


def scaled(guide: Guide, weight: float) -> Guide:
    """Return a guide whose leading term has a weight, the other one in proportion."""
    attention, cam = guide.weights
    if not attention and cam:
        return replace(guide, cam=weight)
    return replace(guide, attention=weight, cam=cam * weight / attention if attention else None)


def _lines(tuned: FinetuneResult, weight: float, with_start: bool) -> list[dict[str, Any]]:
    assert tuned.before is not None
    assert tuned.after is not None
    sides = [(np.nan, tuned.before)] if with_start else []
    return [_line(run, value) for value, run in (*sides, (weight, tuned.after))]


def _line(run: Run, weight: float) -> dict[str, Any]:
    classification = run.manifest["classification"]
    return {
        "weight": weight,
        "accuracy": classification["accuracy"],
        "macro_f1": classification["macro_f1"],
        "att_cos": run.score("attention"),
        "cam_cos": run.score("gradcam"),
        "n": classification["n"],
    }
