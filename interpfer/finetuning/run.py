"""Fine-tuning from beginning to end: split, train, select, and compare with what there was before."""

import copy
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from interpfer import __version__
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError, ModelError, SplitError
from interpfer.faces.stream import FaceStream
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.finetuning.before_after import compare_sides, judged_on
from interpfer.finetuning.checkpoints import (
    BEST,
    DIGEST,
    HISTORY,
    LAST,
    MANIFEST,
    STATE,
    begin_folder,
    digest,
    read_state,
    require_folder,
    require_writable,
    write_model,
    write_torch,
)
from interpfer.finetuning.history import Line, require_tensorboard, write_scalars
from interpfer.finetuning.loop import Trainer, make_accelerator
from interpfer.finetuning.pool import FacePool
from interpfer.finetuning.recipe import Recipe, resolve_recipe
from interpfer.finetuning.split import hold_out
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.models.checkpoint import sha256_of
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.runtime.device import pick_device
from interpfer.runtime.progress import Progress, no_progress
from interpfer.runtime.threads import keep_memory

ROOM = 8 / 7
"""Size of kept pictures over the input size, so that a crop keeps its sharpness (256 for 224)."""

USUAL_TEST = "test"
"""Where before and after are compared unless said; a data set without it has only its held-out images."""

COMPARED = ("attention", "gradcam", "layercam", "baseline:uniform", "baseline:class-mean-au")


@dataclass(frozen=True)
class FinetuneResult:
    """A finished fine-tuning.

    Attributes:
        model: the best epoch's.
        history: one line per epoch.
        folder: where everything lies.
        judged: which images before and after were scored on, in words.
        before: score of the model that came in; None if no comparison was asked for.
        after: score of the best epoch's.
        comparison: paired statistics, see ``interpfer.results.comparison.compare``.
        first: whether this process is the one that writes and compares.
    """

    model: Model
    history: pd.DataFrame
    folder: Path
    judged: str = ""
    before: Run | None = None
    after: Run | None = None
    comparison: pd.DataFrame | None = None
    first: bool = True


def finetune(
    model: Model | str | Path,
    dataset: Dataset | str,
    *,
    out: str | Path,
    data_root: str | Path | None = None,
    split: str = "train",
    landmarks: LandmarkProvider | str | Path | None = None,
    recipe: Recipe | None = None,
    test: Dataset | str | None = USUAL_TEST,
    compare_maps: tuple[str, ...] = COMPARED,
    compare_metrics: tuple[str, ...] = ("cosine", "cosine_skill", "pxap"),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    trust: bool = False,
    tensorboard: bool = False,
    progress: Progress = no_progress,
    report: Callable[[Line], None] | None = None,
    **choices: Any,
) -> FinetuneResult:
    """Fine-tune a classifier so that it looks where the action units are.

    A share of the training split is held out, each class in proportion and no subject on both sides where subjects are
    known; the best epoch is chosen on it. The test split is not looked at before training has ended.

    Args:
        model: a ``Model``, which stays as it is, or a checkpoint for ``load_model``.
        dataset: to train on: a ``Dataset``, or the name of one.
        out: the folder for checkpoints, history and comparison.
        data_root: the folder of a data set given by name.
        split: the split to train on, of a data set given by name.
        landmarks: as for ``interpfer.score``.
        recipe: all choices of the training; see ``interpfer.finetuning.recipe``. Or name single ``choices``.
        test: what before and after are compared on: a ``Dataset``, a split of the data set given by name, or None for
            no comparison. Images of the training split do not count; where no others are left, as in a list without
            splits or a ``Dataset`` alone, the held-out images take their place.
        compare_maps: maps of the comparison.
        compare_metrics: metrics of the comparison.
        device: "auto", "cpu", "cuda", or "cuda:1", which becomes the current one of the process; under `accelerate
            launch` or torchrun the launcher chooses.
        resume: continue an interrupted training in ``out``; on a CPU the weights are the same to the bit.
        overwrite: replace what is in ``out``.
        trust: as for ``load_model``.
        tensorboard: write the history for TensorBoard too, into ``out``/tensorboard.
        progress: called with (what, done, total, note).
        report: called with each epoch's line of the history.
        choices: in place of a recipe, options of `interpfer finetune` that concern the training: epochs=20, lr=0.01,
            weight=4, loss="cosine"; see ``Recipe.of``.

    Raises:
        InterpferError: anything the user can mend; the message says how.
    """
    keep_memory()
    recipe = resolve_recipe(recipe, choices, known=inspect.signature(finetune).parameters)
    tell = progress
    folder = Path(out)
    given = load_model(model, trust=trust) if not isinstance(model, Model) else model
    faces, test = _open(dataset, data_root, split, test, recipe.seed)
    if recipe.precision == "no" and device == "auto" and not torch.cuda.is_available():
        device = "cpu"
    if device not in ("auto", "cpu"):
        pick_device(device)
    if tensorboard:
        require_tensorboard()
    accelerator = make_accelerator(device, recipe.precision)
    first = accelerator.is_main_process
    require_folder(folder, resume, overwrite, given.sha256)
    accelerator.wait_for_everyone()
    usable = _usable(faces, given)
    _require_trainable(given)
    kept, held = hold_out(
        [faces.samples[row].label for row in usable],
        [faces.samples[row].subject for row in usable],
        recipe.val_fraction,
        recipe.seed,
    )
    provider = resolve_landmarks(landmarks, faces.landmarks())
    size = given.card.input.size
    moved = recipe.augment.crop < 1 or recipe.augment.rotate > 0
    pool = FacePool(FaceStream(faces, provider, round(size * ROOM) if moved else size), _rows(usable, kept))
    judge = FacePool(FaceStream(faces, provider, size), _rows(usable, held))
    for part in (pool, judge):
        part.load(tell if first else no_progress)
    tuned = Model(given.name, copy.deepcopy(given.module), given.card)
    trainer = Trainer(tuned, recipe, pool, judge, accelerator)
    facts = _facts(given, recipe, (pool, judge), accelerator.num_processes)
    state = read_state(folder / STATE, facts) if resume else None
    accelerator.wait_for_everyone()
    if first:
        begin_folder(folder, overwrite, facts)
    accelerator.wait_for_everyone()
    if state is not None:
        trainer.restore(state)
    while not trainer.finished:
        line = trainer.run_epoch(tell if first else no_progress)
        if first:
            _save(folder, trainer, facts, line)
            if tensorboard:
                write_scalars(folder / "tensorboard", line)
            if report is not None:
                report(line)
    accelerator.wait_for_everyone()
    best = load_best(folder, given)
    judged, on = judged_on(faces, test, judge.rows)
    result = FinetuneResult(best, pd.DataFrame(trainer.history), folder, judged, first=first)
    if first:
        _manifest(folder, facts, trainer, judged, all(faces.samples[row].subject for row in usable))
    if on is not None:
        before, after, table = compare_sides(
            given,
            best,
            on,
            resolve_landmarks(landmarks, on.landmarks()),
            folder,
            recipe.guide,
            compare_maps,
            compare_metrics,
            recipe.seed,
            tell if first else no_progress,
            first,
            "cpu" if accelerator.device.type == "cpu" else device,
        )
        result = replace(result, before=before, after=after, comparison=table)
    accelerator.wait_for_everyone()
    return result


def load_best(folder: Path, like: Model) -> Model:
    """Return the best epoch of a folder, as a model like another."""
    weights = torch.load(folder / BEST, map_location="cpu", weights_only=like.card.arch is not None)
    if isinstance(weights, torch.nn.Module):
        return Model(like.name, weights, like.card)
    module = copy.deepcopy(like.module).cpu()
    module.load_state_dict(weights)
    return Model(like.name, module, like.card, sha256=sha256_of(folder / BEST))


def _open(
    dataset: Dataset | str, root: str | Path | None, split: str, test: Dataset | str | None, seed: int
) -> tuple[Dataset, Dataset | None]:
    if not isinstance(dataset, str):
        if isinstance(test, str) and test != USUAL_TEST:
            raise InterpferError(f"test='{test}': a data set that is open has no other splits; give one as test=.")
        return dataset, dataset if isinstance(test, str) else test
    kind = DATASETS.get(dataset)
    folder = Path(root) if root else None
    faces = kind.open(folder, split, seed)
    if not isinstance(test, str):
        return faces, test
    try:
        return faces, kind.open(folder, test, seed)
    except SplitError:
        if test != USUAL_TEST:
            raise
        return faces, faces  # there is no such split: the held-out images are all there is


def _require_trainable(model: Model) -> None:
    if model.program is not None:
        raise ModelError(f"model {model.name} is a program, which can be scored but not trained: give its weights.")
    model.layers("last")
    require_writable(model)


def _usable(faces: Dataset, model: Model) -> tuple[int, ...]:
    rows = tuple(row for row, sample in enumerate(faces.samples) if sample.label in model.classes)
    if not rows:
        raise InterpferError(
            f"no image of the data set {faces.name} has a label that the model knows ({', '.join(model.classes)})."
        )
    return rows


def _rows(usable: tuple[int, ...], places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(usable[place] for place in places)


def _facts(model: Model, recipe: Recipe, pools: Sequence[FacePool], processes: int) -> dict[str, Any]:
    """Return what decides the weights."""
    samples = pools[0].stream.dataset.samples
    points = {row: pool.point(row).numpy().tobytes() for pool in pools for row in pool.rows}
    return (
        {
            "checkpoint": DIGEST + model.sha256,
            "card": digest(model.card.identity.encode()),
            "list of images": digest(repr([(sample.id, sample.label) for sample in samples]).encode()),
            "part held out": digest(repr([pool.rows for pool in pools]).encode()),
            "set of landmarks": digest(b"".join(points[row] for row in sorted(points))),
            "codebook's content": digest(json.dumps(recipe.guide.open_truth().settings).encode()),
        }
        | recipe.to_options()
        | {"number of processes": processes}
    )


def _save(folder: Path, trainer: Trainer, facts: dict[str, Any], line: Line) -> None:
    """Write an epoch: first what a reader wants, then the state that makes it count."""
    card = trainer.model.card
    write_model(folder / LAST, trainer.kept, card)
    if line["best"]:
        write_model(folder / BEST, trainer.kept, card)
    write_torch(folder / STATE, trainer.state() | {"facts": facts})
    write_atomic(folder / HISTORY, csv_bytes(pd.DataFrame(trainer.history)))


def _manifest(folder: Path, facts: dict[str, Any], trainer: Trainer, judged: str, by_subject: bool) -> None:
    recipe, pools = trainer.recipe, (trainer.pool, trainer.held)
    content = {
        "finished": True,
        "facts": facts,
        "counts": {"train": len(trainer.pool.rows), "validation": len(trainer.held.rows)},
        "skipped": {str(row): why for pool in pools for row, why in pool.skipped.items()},
        "held_out_by": "subject" if by_subject else "image",
        "aligned": {"attention": trainer.guidance.layers, "cam": trainer.guidance.cam_layers},
        "best": trainer.best,
        "selection": "accuracy on the held-out images, agreement deciding within one standard error of the highest"
        if not recipe.tradeoff
        else f"accuracy + {recipe.tradeoff} x mean of ATT-COS and CAM-COS on the held-out images",
        "judged_on": judged,
        "versions": {"interpfer": __version__, "torch": torch.__version__},
        "device": str(trainer.accelerator.device),
        "processes": trainer.share.world,
        "seconds": round(sum(line["seconds"] for line in trainer.history), 2),
    }
    write_atomic(folder / MANIFEST, json_bytes(content))
