"""What a training leaves in its folder: checkpoints with cards, and the state that a resumed one needs.

Files are replaced at once, so a kill leaves the old or the new one. ``model.pt`` is the best epoch, ``last.pt`` the
last one, each with a card beside it; ``state.pt`` goes with the last finished epoch.
"""

import hashlib
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from interpfer.errors import ModelError, RunError
from interpfer.files import json_bytes, write_atomic
from interpfer.models.card import ModelCard, card_path
from interpfer.models.checkpoint import sha256_of
from interpfer.models.input import describe_input
from interpfer.models.model import Model

BEST, LAST, STATE, HISTORY, MANIFEST = "model.pt", "last.pt", "state.pt", "history.csv", "finetune.json"

TRACES = (MANIFEST, STATE, LAST)
"""By any of which a folder is known to hold a training."""

LEFT = (BEST, "model.yaml", LAST, "last.yaml", STATE, HISTORY, "compare.csv", "before_after.png", "before",
        "after", "tensorboard")  # fmt: skip
"""What a training leaves, beside the source of an architecture."""

DIGEST = "sha256:"


def write_torch(path: Path, content: Any) -> None:
    """Write what ``torch.save`` writes, all or nothing."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def write_model(path: Path, module: nn.Module, card: ModelCard) -> None:
    """Write a checkpoint that ``interpfer score`` takes: weights, or the whole module where no card tells its making.

    The architecture's own file, if it has one, is copied beside it.
    """
    copy_source(card, path.parent)
    write_atomic(card_path(path), yaml.safe_dump(card_fields(card), sort_keys=False).encode())
    write_torch(path, module if card.arch is None else module.state_dict())


def card_fields(card: ModelCard) -> dict[str, Any]:
    """Return the fields of a card as its file holds them; a FILE.py is named without its folder."""
    source, colon, name = (card.arch or "").rpartition(":")
    arch = f"{Path(source).name}:{name}" if colon and source.endswith(".py") else card.arch
    fields: dict[str, Any] = {
        "arch": arch,
        "arch_args": dict(card.arch_args) or None,
        "classes": list(card.classes),
        "input": describe_input(card.input),
        "output": None if card.output is None else str(card.output),
        "layers": None if card.layers is None else list(card.layers),
        "forward_args": dict(card.forward_args) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def copy_source(card: ModelCard, folder: Path) -> None:
    """Copy the FILE.py of a card, so that the folder stands on its own.

    Raises:
        RunError: the file is gone.
    """
    source, _, _ = (card.arch or "").rpartition(":")
    if not source.endswith(".py"):
        return
    origin, copy = card.folder / source, folder / Path(source).name
    if copy.exists() and (not origin.exists() or copy.samefile(origin)):
        return
    try:
        shutil.copyfile(origin, copy)
    except OSError as error:
        raise RunError(f"cannot copy the architecture {origin} to {folder}: {error}.") from error


def read_state(path: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state of an interrupted training, None where no epoch was finished.

    Args:
        path: the file.
        facts: what must be as it was.

    Raises:
        RunError: the state cannot be read, or something that decides the weights is not as it was.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(f"{path} cannot be read ({type(error).__name__}); start anew with --overwrite.") from error
    changed = [_change(name, state["facts"].get(name), value) for name, value in facts.items()
               if state["facts"].get(name) != value]  # fmt: skip
    if changed:
        raise RunError(
            f"cannot resume {path.parent}: {', '.join(changed)}. Use the same options and data, or --overwrite."
        )
    return state


def digest(content: bytes) -> str:
    """Return a fact that stands for some content."""
    return DIGEST + hashlib.sha256(content).hexdigest()


def _change(name: str, was: Any, now: Any) -> str:
    return f"the {name} differs" if str(now).startswith(DIGEST) else f"{name} was {was} and is {now}"


def require_folder(folder: Path, resume: bool, overwrite: bool, sha256: str) -> None:
    """Check that a training may go into a folder; nothing is changed.

    Args:
        folder: where to.
        resume: continue what is there.
        overwrite: replace what is there.
        sha256: hash of the checkpoint that is to be trained.

    Raises:
        RunError: it holds something, and neither resuming nor overwriting was asked for; or something that is no
            training; or the very checkpoint that is to be trained.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; name a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not resume and not overwrite:
        raise RunError(f"{folder} is not empty: continue with --resume, replace with --overwrite, or choose another.")
    if not any((folder / name).exists() for name in TRACES):
        raise RunError(f"{folder} is not empty and holds no training; choose another folder for --out.")
    own = [path for path in (folder / BEST, folder / LAST) if path.is_file()]
    if sha256 in map(sha256_of, own):
        raise RunError(f"{folder} holds the checkpoint that is to be trained; choose another folder for --out.")


def begin_folder(folder: Path, overwrite: bool, facts: Mapping[str, Any]) -> None:
    """Make the folder of a training, without what an earlier one left if it is to be overwritten.

    The manifest comes first, so that the folder is known to hold a training whenever this one ends.

    Args:
        folder: where to.
        overwrite: replace what is there.
        facts: what decides the weights.

    Raises:
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / MANIFEST, json_bytes({"finished": False, "facts": dict(facts)}))
        for path in (folder / name for name in LEFT if overwrite):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for draft in folder.glob(".*.tmp"):
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error}.") from error


def require_writable(model: Model) -> None:
    """Check before a training that its checkpoints can be written.

    Raises:
        ModelError: the network is a whole that no card tells how to make, and cannot be pickled.
    """
    if model.card.arch is not None:
        return
    try:
        torch.save(model.module, io.BytesIO())
    except Exception as error:
        raise ModelError(
            f"model {model.name}: its network cannot be written as a whole ({type(error).__name__}: {error}); "
            "say how to make it (arch: FILE.py:callable in the card, or --arch)."
        ) from error
