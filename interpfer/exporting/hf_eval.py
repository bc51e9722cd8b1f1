"""One number of a run as a file of the ``.eval_results`` folder of a model repository on the Hugging Face hub.

The format is https://huggingface.co/docs/hub/eval-results as read in 2026, which calls itself work in progress; the
tests read it with ``huggingface_hub``. The hub shows a number only if the data set is registered there as a benchmark,
and the unit is that of the benchmark: neither can be checked from here.
"""

import math
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from interpfer.errors import RunError
from interpfer.exporting.base import ExportRequest, ExportTarget
from interpfer.exporting.selection import find_key
from interpfer.files import write_atomic
from interpfer.reports.page.scores import Scores
from interpfer.results.run import Run

FOLDER = ".eval_results"

ADDRESS = re.compile(r"[\w.-]+/[\w.-]+")

OF_CLASSIFICATION = ("accuracy", "macro_f1")

DIGITS = 6


class HubEvalExport(ExportTarget):
    """A file of the ``.eval_results`` folder."""

    summary: ClassVar[str] = (
        "one number as .eval_results/*.yaml of a model on the Hugging Face hub, for its leaderboards"
    )

    def files(self, request: ExportRequest) -> tuple[str, ...]:
        """Return the path of the file.

        Raises:
            RunError: benchmark or task are missing.
        """
        options = request.options
        if options.hub_dataset is None or options.hub_task is None:
            raise RunError(
                "the format needs a benchmark of the Hugging Face hub: pass --hub-dataset OWNER/NAME and "
                "--hub-task ID, as its eval.yaml names it."
            )
        if not ADDRESS.fullmatch(options.hub_dataset):
            raise RunError(f"--hub-dataset must be OWNER/NAME, got '{options.hub_dataset}'.")
        words = [options.hub_dataset.partition("/")[2], options.hub_task, options.value]
        stem = "_".join(re.sub(r"[^\w.-]+", "-", word.replace("+", "p")).strip("-.") for word in words)
        return (f"{FOLDER}/{stem}.yaml",)

    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        """Write it."""
        (name,) = self.files(request)
        path = folder / name
        path.parent.mkdir()
        text = yaml.safe_dump([eval_entry(request)], sort_keys=False, allow_unicode=True, width=120)
        write_atomic(path, text.encode())
        return [
            f"the hub shows the number only if {request.options.hub_dataset} is registered there as a benchmark",
            "the number is as in the run: compare its unit with that of the benchmark (0.41 or 41)",
        ]


def eval_entry(request: ExportRequest) -> dict[str, Any]:
    """Return the entry of a run.

    Raises:
        RunError: the run has no such number.
    """
    options = request.options
    value, what = _number(request.run, request.scores, options.value)
    arguments, counts = request.run.manifest["arguments"], request.run.manifest["counts"]
    version = request.run.manifest["versions"]["interpfer"]
    notes = (
        f"{what}; split {arguments['split']}, {counts['images']} images, protocol {arguments['protocol']}; "
        f"interpfer {version}, checkpoint sha256 {request.run.manifest['checkpoint_sha256']}"
    )
    return {
        "dataset": {"id": options.hub_dataset, "task_id": options.hub_task},
        "value": round(value, DIGITS),
        "notes": notes,
    }


def _number(run: Run, scores: Scores, name: str) -> tuple[float, str]:
    """Return the number that a name means, and what it is."""
    if name in OF_CLASSIFICATION:
        facts = run.manifest["classification"]
        value = facts.get(name)
        if value is None or not math.isfinite(value):
            raise RunError(f"the run has no {name}: its images have no labels that the model knows.")
        return float(value), f"{name.replace('_', ' ')} in [0, 1]{_ends(*(facts.get(f'{name}_ci') or (None, None)))}"
    metric, colon, place = name.partition(":")
    if not colon or metric not in scores.metrics:
        known = ", ".join([*OF_CLASSIFICATION, *(f"{metric}:MAP@LAYER" for metric in scores.metrics)])
        raise RunError(f"value must be one of {known}, got '{name}'.")
    key = find_key(scores, place)
    estimate = scores.at(key, metric)
    if not estimate.is_defined:
        raise RunError(f"{metric} of {'@'.join(key)} is undefined in the run.")
    group = scores.facts(metric).headline
    what = f"{metric} ({group}) of {key[0]} at {key[1]} with {scores.words.compared}"
    return estimate.value, what + _ends(estimate.low, estimate.high)


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f", 95 % interval {low:.4f} to {high:.4f}"
