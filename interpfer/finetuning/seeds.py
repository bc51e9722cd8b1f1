"""One training per seed: how much of a gain is the seed's."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError, RunError
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.finetuning.facts import DIGEST
from interpfer.finetuning.folder import AFTER, BEFORE, COMPARISON, MANIFEST
from interpfer.finetuning.options import LARGEST_SEED, NO_TEST, FinetuneOptions
from interpfer.finetuning.recipe import Recipe, resolve_choices
from interpfer.finetuning.run import finetune
from interpfer.finetuning.session import training_folder
from interpfer.models.checkpoint import sha256_of
from interpfer.models.model import Model
from interpfer.options import RUN_OPTIONS
from interpfer.results.run import MANIFEST as RUN_MANIFEST
from interpfer.runtime.progress import Progress, no_progress
from interpfer.statistics.comparison import holm
from interpfer.statistics.contrasts import mean_over_seeds
from interpfer.statistics.small_samples import FEW
from interpfer.validation import require_range

SEEDS_TABLE, SEEDS_FACTS = "seeds.csv", "seeds.json"

KEY = ["map", "layer_b", "metric"]

COLUMNS = ["map", "layer", "metric", "before", "before_std", "after", "after_std", "difference", "difference_std",
           "ci_low", "ci_high", "p", "p_holm", "n_seeds", "n"]  # fmt: skip


def train_seeds(
    model: Model | str | Path,
    dataset: Dataset | str,
    seeds: str | Sequence[float],
    *,
    out: str | Path | None = None,
    options: FinetuneOptions | None = None,
    recipe: Recipe | None = None,
    progress: Progress = no_progress,
    report: Callable[[int, pd.DataFrame], None] | None = None,
    **arguments: Any,
) -> pd.DataFrame:
    """Fine-tune with each seed, into the folders seed-0, seed-1, ..., and summarise before and after over seeds.

    With ``resume``, a finished training of the same options and checkpoint is read and not repeated.

    Args:
        model: as for ``finetune``.
        dataset: as for ``finetune``.
        seeds: whole numbers.
        out: folder for one folder per seed, seeds.csv and seeds.json; None for that of the options.
        options: as for ``finetune``; shared by all trainings.
        recipe: as for ``finetune``.
        progress: called with (what, done, total, note).
        report: called with each seed and its comparison of before and after.
        arguments: ``landmarks`` and ``test`` as for ``finetune``, and single choices.

    Returns:
        The table of ``summarise_seeds``; ``attrs["seeds"]`` and ``attrs["compared_on"]`` hold the seeds and the images.

    Raises:
        InterpferError: as ``finetune``; also where nothing is compared, or the seeds are no list of distinct whole
            numbers.
    """
    inputs = {name: arguments.pop(name) for name in ("landmarks", "test") if name in arguments}
    options, base = resolve_choices(options, recipe, arguments, model=model, dataset=dataset)
    options = replace(options, seeds=None, out=options.out if out is None else out)
    folder, numbers = training_folder(options), _require_seeds(seeds)
    if inputs.get("test", options.test_split) in (None, NO_TEST):
        raise InterpferError("seeds are compared on a split: pass --test-split.")
    _require_free(folder, numbers, options)
    compared_on, tables = list[str](), list[pd.DataFrame]()
    for seed in numbers:
        own = replace(options, seed=seed, out=folder / f"seed-{seed}")
        table, where = _read_finished(own, model) if options.resume and recipe is None else (None, "")
        if table is None:
            own_recipe = None if recipe is None else replace(base, seed=seed)
            report_work = _name_seed(progress, seed)
            result = finetune(model, dataset, options=own, recipe=own_recipe, progress=report_work, **inputs)
            if not result.is_main:
                continue
            table, where = pd.read_csv(result.folder / COMPARISON), result.compared_on
        tables.append(table)
        compared_on.append(where)
        if report is not None:
            report(seed, table)
    return _write(folder, numbers, tables, compared_on)


def summarise_seeds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one line per map, layer and metric, out of one comparison of before and after per seed.

    Each has means and standard deviations (n - 1) over seeds of before, after and their difference, the 95 % interval
    of the difference and the p-value of Student's t-test over seeds with n - 1 degrees of freedom (NaN for one seed),
    and the p-value adjusted for all lines by Holm's method. Lines that a seed lacks are left out.
    """
    lines = [table.set_index(KEY) for table in tables]
    rows = []
    for key in lines[0].index:
        if not all(key in each.index for each in lines):
            continue
        before, after, change, counts = (
            np.array([float(each.loc[[key], name].iloc[0]) for each in lines]) for name in ("a", "b", "difference", "n")
        )
        sides = [value for side in (before, after) for value in mean_over_seeds(side)[:2]]
        mean, std, low, high, p = mean_over_seeds(change)
        rows.append((*key, *sides, mean, std, low, high, p, np.nan, len(lines), int(counts.min())))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(table["p"].tolist())
    return table


def seeds_notes(table: pd.DataFrame, folder: str | Path) -> Iterator[str]:
    """Yield notes on what the table of ``train_seeds`` says and does not say.

    Args:
        table: the table.
        folder: folder of the trainings.
    """
    folder = Path(folder)
    seeds = table.attrs["seeds"]
    yield from (f"compared on {where}" for where in dict.fromkeys(table.attrs["compared_on"]))
    if len(seeds) < 2:
        yield "one seed: no interval and no test over seeds"
        return
    few = "; few seeds, so intervals are wide and a p-value rests on the assumption of normal differences"
    yield (
        f"intervals and p-values: Student's t over {len(seeds)} seeds, {len(seeds) - 1} degrees of freedom"
        f"{few if len(seeds) < FEW else ''}"
    )
    if any("held-out" in where for where in table.attrs["compared_on"]):
        yield "each seed holds out images of its own, so the images vary with the seeds"
        return
    after = ",".join(str(folder / f"seed-{seed}" / AFTER) for seed in seeds)
    yield (
        "they say what other seeds would give on these images; for other images too: interpfer compare "
        f"--group before={folder / f'seed-{seeds[0]}' / BEFORE} --group after={after}"
    )


def _require_seeds(seeds: str | Sequence[float]) -> tuple[int, ...]:
    if isinstance(seeds, str) or not len(seeds) or any(seed != int(seed) for seed in seeds):
        raise InterpferError(f"seeds must be a list of whole numbers, such as 0,1,2, got '{seeds}'.")
    numbers = tuple(int(seed) for seed in seeds)
    for seed in numbers:
        require_range("seed", seed, 0, LARGEST_SEED)
    if len(set(numbers)) < len(numbers):
        raise InterpferError(f"the seeds must be distinct, got {', '.join(map(str, numbers))}.")
    return numbers


def _require_free(folder: Path, seeds: Sequence[int], options: FinetuneOptions) -> None:
    """Refuse folders that hold something before the first training begins."""
    if options.resume or options.overwrite:
        return
    for path in (folder / f"seed-{seed}" for seed in seeds):
        if path.exists() and (path.is_file() or any(path.iterdir())):
            raise RunError(f"{path} is not empty: continue with --resume, replace with --overwrite, or choose another.")


def _read_finished(options: FinetuneOptions, model: Model | str | Path) -> tuple[pd.DataFrame | None, str]:
    """Return comparison and images of a finished training of the same options and checkpoint, else None."""
    folder = training_folder(options)
    files = (folder / MANIFEST, folder / COMPARISON, *(folder / name / RUN_MANIFEST for name in (BEFORE, AFTER)))
    if isinstance(model, Model) or not all(path.is_file() for path in files):
        return None, ""
    facts = json.loads(files[0].read_text(encoding="utf-8"))
    wanted = json.loads(json_bytes(replace(options, model=model).to_dict(repeats_only=True)))
    is_same = facts.get("finished") and facts.get(RUN_OPTIONS) == wanted
    if not is_same or not Path(model).is_file() or facts["facts"]["checkpoint"] != DIGEST + sha256_of(Path(model)):
        return None, ""
    return pd.read_csv(files[1]), str(facts["judged_on"])


def _name_seed(progress: Progress, seed: int) -> Progress:
    """Return a progress that names the seed of the training."""

    def update(what: str, done: int, total: int, note: str = "") -> None:
        progress(f"seed {seed}, {what}", done, total, note)

    return update


def _write(folder: Path, seeds: Sequence[int], tables: list[pd.DataFrame], compared_on: list[str]) -> pd.DataFrame:
    """Write seeds.csv and seeds.json; no process but the first has tables."""
    table = summarise_seeds(tables) if tables else pd.DataFrame(columns=COLUMNS)
    table.attrs = {"seeds": list(seeds), "compared_on": compared_on}
    if tables:
        single = {str(seed): own.to_dict("records") for seed, own in zip(seeds, tables, strict=True)}
        facts = {"seeds": list(seeds), "compared_on": compared_on, "table": table.to_dict("records"), "single": single}
        write_atomic(folder / SEEDS_TABLE, csv_bytes(table))
        write_atomic(folder / SEEDS_FACTS, json_bytes(facts))
    return table
