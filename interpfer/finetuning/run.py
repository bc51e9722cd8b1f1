"""Fine-tuning from beginning to end: split, train, select, and compare before with after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.datasets.base import Dataset
from interpfer.finetuning.before_after import compare_models, comparison_images
from interpfer.finetuning.blend import is_blended, plain_recipe, write_blend
from interpfer.finetuning.checkpoints import read_model
from interpfer.finetuning.data import Inputs
from interpfer.finetuning.folder import BEST, GUIDED, PLAIN, finish_folder, save_epoch
from interpfer.finetuning.history import Line
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import Recipe, resolve_choices
from interpfer.finetuning.session import TrainingSession, open_session, training_device
from interpfer.finetuning.tracking import finish_trackers, log_line
from interpfer.landmarks.base import LandmarkProvider
from interpfer.models.model import Model
from interpfer.results.run import Run
from interpfer.runtime.progress import Progress, no_progress
from interpfer.runtime.threads import keep_freed_memory
from interpfer.scoring.options import ScoreOptions


@dataclass(frozen=True)
class FinetuneResult:
    """A finished fine-tuning.

    Attributes:
        model: the best epoch.
        history: one line per epoch.
        folder: folder with all files.
        compared_on: images on which before and after were scored, in words; "" without a comparison.
        before: score of the original model; None without a comparison.
        after: score of the best epoch; None without a comparison.
        comparison: paired statistics, see ``interpfer.results.comparison.compare``; None without a comparison.
        is_main: whether this process is the one that writes files.
        notes: sentences on the split: images without a subject, and copies that are left out.
        counts: number of images of the data set, of those of each part, and of those left out by reason.
    """

    model: Model
    history: pd.DataFrame
    folder: Path
    compared_on: str = ""
    before: Run | None = None
    after: Run | None = None
    comparison: pd.DataFrame | None = None
    is_main: bool = True
    notes: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)


def finetune(
    model: Model | str | Path,
    dataset: Dataset | str,
    *,
    out: str | Path | None = None,
    landmarks: LandmarkProvider | str | Path | None = None,
    test: Dataset | str | None = FinetuneOptions.test_split,
    options: FinetuneOptions | None = None,
    recipe: Recipe | None = None,
    progress: Progress = no_progress,
    report: Callable[[Line], None] | None = None,
    **choices: Any,
) -> FinetuneResult:
    """Fine-tune a classifier so that it looks where the action units are.

    A share of the training split is held out, each class in proportion and no subject on both sides where subjects are
    known; the best epoch is chosen on it. The test split is used after training only.

    Args:
        model: a ``Model``, which stays unchanged, or a checkpoint for ``load_model``.
        dataset: a ``Dataset`` to train on, or the name of one.
        out: folder for checkpoints, history and comparison; None for that of the options.
        landmarks: as for ``interpfer.score``.
        test: a ``Dataset`` to compare before and after on, a split of a data set given by name, or None for no
            comparison; default: ``test_split`` of the options.
        options: all options; or pass single ``choices``.
        recipe: all choices of the training, in place of those of the options.
        progress: called with (what, done, total, note).
        report: called with each epoch's line of the history.
        choices: fields of ``interpfer.finetuning.options.FinetuneOptions``, such as ``epochs=20``, ``weight=4``.

    Returns:
        The fine-tuned model, its history, and the comparison of before and after.

    Raises:
        InterpferError: something that the user can fix; the message says how.

    Examples:
        >>> import tempfile, torch, interpfer
        >>> from interpfer.datasets.demo import DemoDataset
        >>> from interpfer.models.small import SmallCNN
        >>> model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
        >>> faces = DemoDataset("train", count=21, size=48)
        >>> with tempfile.TemporaryDirectory() as out:
        ...     result = interpfer.finetune(model, faces, out=out, test=None, epochs=1, device="cpu")
        >>> len(result.history), sorted(result.history)[:3]
        (1, ['accuracy', 'att_cos', 'attention'])
    """
    keep_freed_memory()
    options, chosen = resolve_choices(options, recipe, choices, model=model, dataset=dataset)
    options = options if out is None else replace(options, out=out)
    inputs = Inputs(model, dataset, test, landmarks)
    session = open_session(inputs, options, chosen, progress)
    _train(session, report)
    if is_blended(chosen):
        _train_plain(session, report)
        _blend(session)
    return _finish(session)


def _train_plain(session: TrainingSession, report: Callable[[Line], None] | None) -> None:
    """Train the same without the guide, in a folder within that of the training."""
    options = replace(session.options, out=session.folder / PLAIN, track=None, tensorboard=False)
    plain = open_session(session.inputs, options, plain_recipe(session.trainer.recipe), session.progress)
    _train(plain, report)
    if plain.is_main:
        finish_folder(plain.folder, plain.manifest(""))
    plain.wait()


def _blend(session: TrainingSession) -> None:
    """Blend the best epoch with that of the plain training, and note how the blend does on the held-out faces."""
    trainer, folder, share = session.trainer, session.folder, session.trainer.recipe.blend
    if session.is_main:
        write_blend(folder / BEST, folder / PLAIN / BEST, session.original, share)
    session.wait()
    blended = read_model(folder / BEST, session.original).to(trainer.accelerator.device)
    scores = trainer.validate(blended)
    listed = ", ".join(f"{name.removeprefix('val_')} {value:.3f}" for name, value in scores.items())
    session.faces.notes.append(
        f"the weights are {share:.0%} of a plain training and {1 - share:.0%} of the guided one; "
        f"held-out faces: {listed}; {GUIDED} has the guided ones"
    )


def _train(session: TrainingSession, report: Callable[[Line], None] | None) -> None:
    """Train the epochs that are missing, each written when it is finished."""
    trainer = session.trainer
    while not trainer.is_finished:
        line = trainer.run_epoch(session.progress)
        if session.is_main:
            save_epoch(session.folder, trainer, session.facts, line)
            log_line(trainer.accelerator, line)
            if report is not None:
                report(line)
    finish_trackers(trainer.accelerator)
    session.wait()


def _finish(session: TrainingSession) -> FinetuneResult:
    """Write the manifest, and compare the best epoch with the original model."""
    trainer, folder = session.trainer, session.folder
    best = read_model(folder / BEST, session.original)
    faces = session.faces
    compared_on, images = comparison_images(faces.dataset, session.test, faces.heldout.rows, faces.contents)
    history, notes = pd.DataFrame(trainer.history), tuple(faces.notes)
    counts = faces.counts(session.original.classes)
    result = FinetuneResult(best, history, folder, compared_on, is_main=session.is_main, notes=notes, counts=counts)
    if session.is_main:
        finish_folder(folder, session.manifest(compared_on))
    if images is not None:
        provider = session.inputs.provider(session.options, images, trainer.truth)
        options = _score_options(session)
        models = (session.original, best)
        both = compare_models(models, images, provider, options, session.progress, session.is_main)
        result = replace(result, before=both.before, after=both.after, comparison=both.table)
    session.wait()
    return result


def _score_options(session: TrainingSession) -> ScoreOptions:
    """Return how before and after are scored: by the truth that the guide aligned maps with."""
    options, trainer = session.options, session.trainer
    truth = trainer.recipe.guide.truth_options
    device = training_device(options, trainer.recipe)
    return ScoreOptions.of(
        truth.to_dict()
        | {
            "maps": options.compare_maps,
            "layers": options.compare_layers,
            "metrics": options.compare_metrics,
            "seed": trainer.recipe.seed,
            "dataset_name": options.dataset_name,
            "device": "cpu" if trainer.accelerator.device.type == "cpu" else device,
            "out": options.out,
            "overwrite": True,
        }
    )
