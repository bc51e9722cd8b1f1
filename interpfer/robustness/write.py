"""Runs a study, and writes its tables and page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from interpfer import __version__
from interpfer.datasets.base import Dataset
from interpfer.files import csv_bytes, json_bytes, require_free, write_atomic
from interpfer.models.model import Model
from interpfer.options import resolve_options
from interpfer.robustness.conclusions import find_conclusions, value_table
from interpfer.robustness.options import RobustnessOptions
from interpfer.robustness.page import study_page
from interpfer.robustness.study import Study, run_study
from interpfer.runtime.progress import Progress, no_progress

FILES = ("robustness.csv", "conclusions.csv", "robustness.html", "robustness.json")


class Robustness(NamedTuple):
    """Results of a study.

    Attributes:
        values: a line per choice, model, map, layer and metric, with its 95 % confidence interval.
        conclusions: a line per conclusion: how often it holds, and under which choices it does not.
        manifest: what was scored, as robustness.json holds it.
        study: the runs of each choice.
    """

    values: pd.DataFrame
    conclusions: pd.DataFrame
    manifest: dict[str, Any]
    study: Study


def score_robustness(
    models: Sequence[Model | str | Path] | Model | str | Path,
    dataset: Dataset | str,
    *,
    options: RobustnessOptions | None = None,
    progress: Progress = no_progress,
    **choices: Any,
) -> Robustness:
    """Score classifiers by every choice of protocol, codebook, geometry and landmarks, and compare the conclusions.

    Each image is passed once through each model: the choices differ in what its maps are compared with. Every value is
    the one that ``interpfer.score`` returns with the same options.

    Args:
        models: one or several models, or checkpoints for ``load_model``.
        dataset: a data set, or the name of one.
        options: all choices; or name single ``choices``.
        progress: called with (what, done, total).
        choices: fields of ``interpfer.robustness.options.RobustnessOptions`` in place of ``options``.

    Raises:
        InterpferError: anything the user can fix; the message says how.

    Examples:
        >>> import torch, interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> torch.manual_seed(0) and None
        >>> model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        >>> faces = DemoDataset("test", count=7, size=48)
        >>> results = score_robustness(model, faces, maps="gradcam,baseline:uniform", metrics="cosine", device="cpu")
        >>> results.values[["protocol", "codebook"]].drop_duplicates().shape
        (4, 2)
    """
    settings = resolve_options(RobustnessOptions, options, choices, "robustness")
    out = None if settings.out is None else Path(settings.out)
    if out is not None:
        require_free(out, FILES, settings.overwrite)
    sources = [models] if isinstance(models, Model | str | Path) else list(models)
    study = run_study(sources, dataset, settings, progress)
    values, conclusions = value_table(study), find_conclusions(study, settings.seed)
    manifest = _manifest(study, settings)
    if out is not None:
        page = study_page(study, values, conclusions, manifest)
        contents = (csv_bytes(values), csv_bytes(conclusions.table), page, json_bytes(manifest))
        out.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, contents, strict=True):
            write_atomic(out / name, content)
    return Robustness(values, conclusions.table, manifest, study)


def _manifest(study: Study, options: RobustnessOptions) -> dict[str, Any]:
    first = next(iter(study.runs.values()))[0].manifest
    arguments = first["arguments"]
    return {
        "versions": first["versions"] | {"interpfer": __version__},
        "options": options.to_dict(repeats_only=True),
        "dataset": arguments["dataset"],
        "dataset_name": arguments.get("dataset_name", arguments["dataset"]),
        "split": arguments["split"],
        "dataset_digest": first["dataset_digest"],
        "counts": first["counts"],
        "choices": [
            choice._asdict()
            | {key: runs[place].manifest["arguments"].get(key) for key in ("codebook_digest", "landmarks_digest")}
            for runs in [next(iter(study.runs.values()))]
            for place, choice in enumerate(study.choices)
        ],
        "models": [
            {
                "name": name,
                "checkpoint_sha256": runs[0].manifest["checkpoint_sha256"],
                "accuracy": runs[0].manifest["classification"]["accuracy"],
                "same": runs[0].manifest.get("same", {}),
                "refused": runs[0].manifest.get("refused", {}),
            }
            for name, runs in study.runs.items()
        ],
        "intervals": first["intervals"],
    }
