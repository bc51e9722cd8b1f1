"""Several models scored one after the other on the same images."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError, RunError
from interpfer.models.loading import load_model
from interpfer.results.run import MANIFEST, Run
from interpfer.runtime.progress import Progress, no_progress
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.score import score


def score_models(
    models: Sequence[str | Path],
    dataset: Dataset | str,
    *,
    options: ScoreOptions,
    progress: Progress = no_progress,
) -> list[Run]:
    """Score several checkpoints by the same options, each into a folder of its own under ``options.out``.

    Folders have the names of the models; where these repeat, also those of the folders they lie in. Landmarks that are
    detected are cached, so that they are detected once.

    Args:
        models: checkpoints.
        dataset: as for ``score``.
        options: all choices; with ``resume``, finished runs are kept and those that have not begun are scored.
        progress: called with (what, done, total).

    Returns:
        The runs, in the order of the models.

    Raises:
        InterpferError: as ``score``; also where there is no folder for the runs, or one name for several models.
        RunError: a folder holds a run already; nothing has been scored.
    """
    if options.out is None:
        raise InterpferError("several models need a folder for their runs: pass --out DIR.")
    if options.name is not None:
        raise InterpferError("--name names one model; leave it out for several.")
    values = options.model_values()
    names = distinct_names(models, [load_model(model, **values).name for model in models])
    folders = [Path(options.out) / name for name in names]
    for folder in folders:
        if (folder / MANIFEST).is_file() and not options.resume and not options.overwrite:
            raise RunError(f"{folder} already holds a run; pass --resume to continue it or --overwrite to replace it.")
    return [
        score(model, dataset, options=replace(options, model=model, out=folder), progress=_name_model(progress, name))
        for model, name, folder in zip(models, names, folders, strict=True)
    ]


def distinct_names(models: Sequence[str | Path], names: Sequence[str]) -> list[str]:
    """Return a name for the folder of each model.

    Args:
        models: checkpoints.
        names: their names in tables.

    Examples:
        >>> distinct_names(["a/model.pt", "b/model.pt", "c.pt"], ["poster", "poster", "c"])
        ['a-poster', 'b-poster', 'c']
    """
    counts = Counter(names)
    found = [
        name if counts[name] == 1 else f"{Path(model).resolve().parent.name}-{name}"
        for model, name in zip(models, names, strict=True)
    ]
    safe = [re.sub(r"[^\w.+-]+", "-", name) for name in found]
    counts = Counter(safe)
    return [name if counts[name] == 1 else f"{name}-{1 + safe[:place].count(name)}" for place, name in enumerate(safe)]


def _name_model(progress: Progress, name: str) -> Progress:
    """Return a progress that names the model."""

    def update(what: str, done: int, total: int, note: str = "") -> None:
        progress(f"{name}, {what}", done, total, note)

    return update
