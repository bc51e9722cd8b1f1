"""Checkpoints of a training: weights with a model card beside them, and the state that a resumed training needs."""

import copy
import io
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from interpfer.errors import ModelError, RunError
from interpfer.files import write_atomic
from interpfer.finetuning.facts import describe_change
from interpfer.finetuning.plugin_options import PluginOptions
from interpfer.models import ARCHITECTURES
from interpfer.models.card import ModelCard, card_path, read_card
from interpfer.models.checkpoint import sha256_of
from interpfer.models.hugging_face import describe_network
from interpfer.models.image_text.network import ImageTextNetwork
from interpfer.models.input import describe_input
from interpfer.models.model import Model
from interpfer.models.output import parse_output
from interpfer.options import default_of, option_fields
from interpfer.truth.options import TruthOptions


def write_torch(path: Path, content: Any) -> None:
    """Write what ``torch.save`` writes, all or nothing."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def needs_trust(module: nn.Module, card: ModelCard) -> bool:
    """Return whether reading a checkpoint of ``write_model`` runs code: of a pickled module, or of a FILE.py."""
    arch = storable_card(module, card).arch
    return arch is None or arch.partition(":")[0] not in ARCHITECTURES


def storable_card(module: nn.Module, card: ModelCard) -> ModelCard:
    """Return a card that names the architecture, if the network is one of transformers and the card names none.

    An image-text network is that of its image tower and texts alone, whatever the card was read with.
    """
    fields = describe_network(module) if card.arch is None or isinstance(module, ImageTextNetwork) else None
    return card if fields is None else replace(card, output=card.output or parse_output("logits", "model"), **fields)


def write_model(path: Path, module: nn.Module, card: ModelCard) -> None:
    """Write a checkpoint that ``interpfer score`` reads: weights, or the whole module where no architecture is known.

    The architecture's own file, if it has one, is copied beside it.
    """
    card = storable_card(module, card)
    copy_source(card, path.parent)
    write_atomic(card_path(path), yaml.safe_dump(card_fields(card), sort_keys=False).encode())
    write_torch(path, module if card.arch is None else module.state_dict())


def read_model(path: Path, like: Model) -> Model:
    """Read a checkpoint of ``write_model`` as a model with the card of another, but with its own name and lineage."""
    written = read_card(card_path(path))
    name, lineage = written.get("name", like.name), written.get("lineage", "")
    card = replace(like.card, published={}, name=name, lineage=lineage)
    is_pickled = storable_card(like.module, card).arch is None
    weights = torch.load(path, map_location="cpu", weights_only=not is_pickled)
    if is_pickled:
        return Model(like.name, weights, card)
    module = copy.deepcopy(like.module).cpu()
    module.load_state_dict(weights)
    return Model(like.name, module, card, sha256=sha256_of(path))


def card_fields(card: ModelCard) -> dict[str, Any]:
    """Return the fields of a card as its file holds them; a FILE.py is named without its folder."""
    source, colon, name = (card.arch or "").rpartition(":")
    arch = f"{Path(source).name}:{name}" if colon and source.endswith(".py") else card.arch
    fields: dict[str, Any] = {
        "name": card.name or None,
        "lineage": card.lineage or None,
        "arch": arch,
        "arch_args": dict(card.arch_args) or None,
        "head": card.head,
        "head_args": dict(card.head_args) or None,
        "classes": list(card.classes) or None,
        "input": describe_input(card.input),
        "output": None if card.output is None else str(card.output),
        "aus": list(card.aus) or None,
        "aus_output": None if card.aus_output is None else str(card.aus_output),
        "layers": None if card.layers is None else list(card.layers),
        "forward_args": dict(card.forward_args) or None,
        "prompts": None if card.prompts is None else card.prompts.to_dict(),
    }
    return {name: value for name, value in fields.items() if value is not None}


def copy_source(card: ModelCard, folder: Path) -> None:
    """Copy the FILE.py of a card into a folder, so that the folder is complete.

    Raises:
        RunError: the file cannot be read or written.
    """
    source, _, _ = (card.arch or "").rpartition(":")
    if not source.endswith(".py"):
        return
    origin, copied = card.folder / source, folder / Path(source).name
    if copied.exists() and (not origin.exists() or copied.samefile(origin)):
        return
    try:
        shutil.copyfile(origin, copied)
    except OSError as error:
        raise RunError(f"cannot copy the architecture {origin} to {folder}: {error}.") from error


def read_state(path: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state of an interrupted training, None where no epoch was finished.

    Args:
        path: the file.
        facts: what must not have changed.

    Raises:
        RunError: the state cannot be read, or something that decides the weights has changed.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(f"{path} cannot be read ({type(error).__name__}); pass --overwrite to start again.") from error
    later = {each.name: default_of(each) for each in option_fields(PluginOptions)}  # than the first such states
    before = {"truth": TruthOptions.truth} | later | state["facts"]
    changes = [describe_change(name, before.get(name), now) for name, now in facts.items() if before.get(name) != now]
    if changes:
        raise RunError(
            f"cannot resume {path.parent}: {', '.join(changes)}; pass the same options and data, or --overwrite."
        )
    return state


def require_writable(model: Model) -> None:
    """Check before a training that its checkpoints can be written.

    Raises:
        ModelError: the card has no architecture, and the whole network cannot be pickled.
    """
    if storable_card(model.module, model.card).arch is not None:
        return
    try:
        torch.save(model.module, io.BytesIO())
    except Exception as error:
        raise ModelError(
            f"model {model.name}: its network cannot be written as a whole ({type(error).__name__}: {error}); "
            "pass its architecture (--arch, or arch: FILE.py:callable in the card)."
        ) from error
