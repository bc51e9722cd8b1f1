"""The folder of a training.

Files are replaced at once, so a kill leaves the old or the new one. ``model.pt`` is the best epoch, ``last.pt`` the
last one, each with a card beside it; ``state.pt`` belongs to the last finished epoch.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.errors import RunError
from interpfer.files import csv_bytes, json_bytes, write_atomic
from interpfer.finetuning.checkpoints import write_model, write_torch
from interpfer.finetuning.facts import describe_lineage
from interpfer.finetuning.history import Line
from interpfer.finetuning.loop import Trainer
from interpfer.models.checkpoint import sha256_of

BEST, LAST, STATE, HISTORY, MANIFEST = "model.pt", "last.pt", "state.pt", "history.csv", "finetune.json"
COMPARISON, SHEET, BEFORE, AFTER = "compare.csv", "before_after.png", "before", "after"

TRACES = (MANIFEST, STATE, LAST)
"""Files that mark a folder as that of a training."""

GUIDED, PLAIN = "guided.pt", "plain"
"""Of a blend: the best epoch of the guided training, and the folder of the plain one."""

CONTENT = (
    *(BEST, "model.yaml", LAST, "last.yaml", STATE, HISTORY, COMPARISON, SHEET, BEFORE, AFTER),
    *(GUIDED, "guided.yaml", PLAIN),
    *("tensorboard", "wandb", "tracking.json"),
)
"""What a training writes, beside its manifest and the source of an architecture."""


def require_folder(folder: Path, resume: bool, overwrite: bool, sha256: str) -> None:
    """Check that a training may be written into a folder; nothing is changed.

    Args:
        folder: the folder.
        resume: whether to continue its content.
        overwrite: whether to replace its content.
        sha256: hash of the checkpoint that is trained.

    Raises:
        RunError: it is not empty, and neither resuming nor overwriting was asked for; or it holds something other than
            a training, or the very checkpoint that is trained.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: pass a folder to --out.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not resume and not overwrite:
        raise RunError(f"{folder} is not empty: continue with --resume, replace with --overwrite, or choose another.")
    if not any((folder / name).exists() for name in TRACES):
        raise RunError(f"{folder} is not empty and holds no training; choose another folder for --out.")
    checkpoints = [path for path in (folder / BEST, folder / LAST) if path.is_file()]
    if sha256 in map(sha256_of, checkpoints):
        raise RunError(f"{folder} contains the checkpoint to train; choose another folder for --out.")


def begin_folder(folder: Path, overwrite: bool, manifest: Mapping[str, Any]) -> None:
    """Make the folder of a training, and clear what an earlier one wrote if it is to be overwritten.

    The manifest comes first, so that the folder is known to hold a training whenever this one is interrupted.

    Args:
        folder: the folder.
        overwrite: whether to replace its content.
        manifest: what finetune.json holds beside "finished".

    Raises:
        RunError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / MANIFEST, json_bytes({"finished": False} | dict(manifest)))
        for path in (folder / name for name in CONTENT if overwrite):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for draft in folder.glob(".*.tmp"):
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error}.") from error


def save_epoch(folder: Path, trainer: Trainer, facts: Mapping[str, Any], line: Line) -> None:
    """Write an epoch: the checkpoints first, then the state that makes it count, then the history."""
    model = trainer.model
    card = replace(model.card, name=model.name, lineage=describe_lineage(model, trainer.recipe))
    write_model(folder / LAST, trainer.trained_module, card)
    if line["best"]:
        write_model(folder / BEST, trainer.trained_module, card)
    write_torch(folder / STATE, trainer.state() | {"facts": dict(facts)})
    write_atomic(folder / HISTORY, csv_bytes(pd.DataFrame(trainer.history)))


def finish_folder(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a finished training.

    Args:
        folder: the folder.
        manifest: what finetune.json holds beside "finished".
    """
    write_atomic(folder / MANIFEST, json_bytes({"finished": True} | dict(manifest)))
