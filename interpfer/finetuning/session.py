"""Everything that is open while a model is trained: the model, the faces, the trainer and the folder."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from interpfer import __version__
from interpfer.choices import is_library_name
from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError, ModelError
from interpfer.finetuning.accelerator import make_accelerator
from interpfer.finetuning.au_targets import trainable_aus
from interpfer.finetuning.checkpoints import read_state, require_writable
from interpfer.finetuning.data import Inputs, TrainingFaces, split_faces, usable_rows
from interpfer.finetuning.facts import collect_facts
from interpfer.finetuning.folder import STATE, begin_folder, require_folder
from interpfer.finetuning.loop import Trainer
from interpfer.finetuning.options import FinetuneOptions
from interpfer.finetuning.recipe import Recipe, make_recipe
from interpfer.finetuning.tracking import TENSORBOARD, require_trackers, start_trackers, tracker_names
from interpfer.models.heads.action_units import attach_au_head
from interpfer.models.model import Model
from interpfer.options import RUN_OPTIONS
from interpfer.runtime.device import pick_device
from interpfer.runtime.progress import Progress, no_progress


@dataclass(frozen=True)
class TrainingSession:
    """What is open while a model is trained.

    Attributes:
        options: all options.
        inputs: model and faces as the caller passed them.
        original: the model before the training; unchanged.
        test: data set to compare before and after on; None for no comparison.
        faces: faces to train on, and held-out faces.
        trainer: the training itself.
        facts: what decides the weights.
        progress: called with (what, done, total, note); nothing on all processes but the first.
    """

    options: FinetuneOptions
    inputs: Inputs
    original: Model
    test: Dataset | None
    faces: TrainingFaces
    trainer: Trainer
    facts: Mapping[str, Any]
    progress: Progress

    @property
    def folder(self) -> Path:
        """Folder of the training."""
        return training_folder(self.options)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return bool(self.trainer.accelerator.is_main_process)

    def wait(self) -> None:
        """Wait for the other processes."""
        self.trainer.accelerator.wait_for_everyone()

    @property
    def basis(self) -> dict[str, Any]:
        """What finetune.json says before the training; the options where they describe the recipe."""
        entries: dict[str, Any] = {"facts": dict(self.facts)}
        if self.trainer.recipe == make_recipe(self.options):
            entries[RUN_OPTIONS] = self.options.to_dict(repeats_only=True)
        return entries

    def manifest(self, compared_on: str) -> dict[str, Any]:
        """Return what finetune.json says of a finished training.

        Args:
            compared_on: images of the comparison, in words.
        """
        trainer, pools = self.trainer, (self.faces.train, self.faces.heldout)
        tradeoff = trainer.recipe.tradeoff
        return self.basis | {
            "counts": self.faces.counts(self.original.classes),
            "skipped": {str(row): why for pool in pools for row, why in pool.skipped.items()},
            "held_out_by": "subject" if self.faces.has_subjects else "image",
            "without_subject": self.faces.without_subject,
            "notes": list(self.faces.notes),
            "aligned": {"attention": trainer.guidance.layers, "cam": trainer.guidance.cam_layers},
            "dropout_after": [] if trainer.dropout is None else list(trainer.dropout.layers),
            "best": trainer.best,
            "selection": f"accuracy + {tradeoff} x mean of ATT-COS and CAM-COS on the held-out images"
            if tradeoff
            else "accuracy on the held-out images, agreement deciding within one standard error of the highest",
            "judged_on": compared_on,
            "versions": {"interpfer": __version__, "torch": torch.__version__},
            "device": str(trainer.accelerator.device),
            "processes": trainer.share.world,
            "seconds": round(sum(line["seconds"] for line in trainer.history), 2),
        }


def open_session(inputs: Inputs, options: FinetuneOptions, recipe: Recipe, progress: Progress) -> TrainingSession:
    """Open a training, or an interrupted one at its next epoch.

    Args:
        inputs: model and faces.
        options: all options.
        recipe: all choices of the training.
        progress: called with (what, done, total, note).

    Raises:
        InterpferError: something does not fit; no training has been changed.
    """
    if options.sweep is not None:
        raise InterpferError("finetune trains one model: for several weights, call interpfer.finetuning.sweep.sweep.")
    if options.seeds is not None:
        raise InterpferError("finetune trains one model: for several seeds, call finetuning.seeds.train_seeds.")
    options = inputs.named_in(options)
    folder = training_folder(options)
    original = inputs.open_model(options)
    training, test = inputs.open_datasets(options, recipe.seed)
    device = training_device(options, recipe)
    if device not in ("auto", "cpu"):
        pick_device(device)
    trackers = tracker_names(options)
    require_trackers(trackers)
    accelerator = make_accelerator(device, recipe.precision, trackers, folder / TENSORBOARD)
    progress = progress if accelerator.is_main_process else no_progress
    require_folder(folder, options.resume, options.overwrite, original.sha256)
    accelerator.wait_for_everyone()
    rows = usable_rows(training, original)
    _require_trainable(original)
    _require_predictions(options, recipe)
    provider = inputs.provider(options, training, recipe.guide.open_truth())
    faces = split_faces(training, rows, provider, original.card.input, recipe)
    pools = (faces.train, faces.heldout)
    faces.notes.extend(_notes_on(original, options))
    original = _with_au_head(original, recipe, faces)
    faces.load(progress)
    model = Model(original.name, copy.deepcopy(original.module), original.card)
    trainer = Trainer(model, recipe, *pools, accelerator)
    facts = collect_facts(original, recipe, pools, accelerator.num_processes)
    session = TrainingSession(options, inputs, original, test, faces, trainer, facts, progress)
    state = read_state(folder / STATE, facts) if options.resume else None
    session.wait()
    if session.is_main:
        begin_folder(folder, options.overwrite, session.basis)
        start_trackers(accelerator, trackers, folder, options)
    session.wait()
    if state is not None:
        trainer.restore(state)
    return session


def training_folder(options: FinetuneOptions) -> Path:
    """Return the folder of a training.

    Raises:
        InterpferError: the options name none.
    """
    if options.out is None:
        raise InterpferError("finetune needs a folder for its results: pass out=DIR.")
    return Path(options.out)


def training_device(options: FinetuneOptions, recipe: Recipe) -> str:
    """Return the device; "auto" is the CPU where neither CUDA nor mixed precision asks for another one."""
    if recipe.precision == "no" and options.device == "auto" and not torch.cuda.is_available():
        return "cpu"
    return options.device


def _notes_on(model: Model, options: FinetuneOptions) -> list[str]:
    """Return sentences on what is trained of a network."""
    notes = []
    if options.head is not None:
        notes.append(f"{model.notes[-1]}; before is the network with that untrained head")
    if model.card.prompts is not None:
        texts = model.card.prompts.describe()
        notes.append(f"only the image tower is trained; scale and embeddings of the texts are fixed: {texts}")
    return notes


def _with_au_head(model: Model, recipe: Recipe, faces: TrainingFaces) -> Model:
    """Return the model with a head for the action units of the training faces, if the recipe has one."""
    if not recipe.au_head:
        return model
    samples = faces.dataset.samples
    aus = trainable_aus(recipe.guide.open_truth(), [samples[row] for row in faces.train.rows])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        headed = attach_au_head(model, aus)
    faces.notes.append(f"a head for action units is trained beside the expressions: AU {', '.join(map(str, aus))}")
    return headed


def _require_predictions(options: FinetuneOptions, recipe: Recipe) -> None:
    if recipe.keep_predictions and (options.head is not None or is_library_name(str(options.model))):
        raise InterpferError(
            "--keep-predictions needs a trained network: the head of this one has random weights; leave it out."
        )


def _require_trainable(model: Model) -> None:
    if model.program is not None:
        raise ModelError(f"model {model.name} is a program, which can be scored but not trained; pass its weights.")
    model.layers("last")
    require_writable(model)
