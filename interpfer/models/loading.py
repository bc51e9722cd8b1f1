"""Loads a ``Model`` from a checkpoint or a module in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpfer.errors import ModelError, nearest
from interpfer.models.assemble import assemble
from interpfer.models.card import ModelCard, card_path, parse_card, read_card
from interpfer.models.checkpoint import read_checkpoint, require_module, sha256_of_part
from interpfer.models.hub import locate
from interpfer.models.identify import identify_architecture
from interpfer.models.image_text.fields import complete_fields, has_text_tower
from interpfer.models.keras_network.network import as_network
from interpfer.models.known_networks import PRETRAINED, find_pretrained_input
from interpfer.models.model import Model
from interpfer.models.options import ModelOptions
from interpfer.models.preset import load_preset, merge_cards
from interpfer.models.readers.base import CheckpointData
from interpfer.models.readers.whole import require_whole
from interpfer.options import option_fields

NO_CARD_FIELD = ("trust", "name", "preset", "key")
"""Options of a model that are not fields of its card."""

OVERRIDES = tuple(
    each.name.removeprefix("card_") for each in option_fields(ModelOptions) if each.name not in NO_CARD_FIELD
)
"""Arguments of ``load_model`` that override a field of the card."""

INPUT_OPTIONS = {"input_size": "size", **{name: name for name in ("color", "scale", "mean", "std")}}
"""Option -> field of the card's ``input``; the option ``input`` sets any field."""

GENERIC_STEMS = ("model", "pytorch_model")
"""Stems of files that are named after their folder in tables."""


def load_model(
    model: str | Path | nn.Module,
    *,
    trust: bool = False,
    device: str | torch.device = "cpu",
    name: str | None = None,
    preset: str | None = None,
    key: str | None = None,
    **overrides: Any,
) -> Model:
    """Load a trained classifier.

    Args:
        model: a checkpoint file or folder with a card beside or inside it, or a module in memory; or an address of the
            Hugging Face hub, ``hf://OWNER/NAME[@REVISION][/FILE]`` (the cached copy first), or ``open_clip:NAME/TAG``.
        trust: allow code of the card or of a pickle to run.
        device: device of the model.
        name: name in tables; by default that of the card, else the file's stem or the module's class.
        preset: a published classifier, such as "poster/rafdb"; it overrides the card, and ``overrides`` override it.
        key: place of the network in a file that holds several, such as "fold_0"; keys are joined with dots.
        overrides: fields of the model card, as ``interpfer.models.options.ModelOptions`` has them: ``arch``, ``head``,
            ``classes``, ``input`` (a mapping of any of its fields), ``input_size``, ``color``, ``scale``, ``mean``,
            ``std``, ``output``, ``aus``, ``aus_output``, ``layers``, ``arch_args``, ``head_args``, ``prompts``, ...

    Returns:
        The classifier, for ``interpfer.score``, ``compute_maps`` and ``finetune``.

    Raises:
        ModelError: the file, the card or the architecture is not as expected.
        TrustError: code would run that ``trust`` does not allow.

    Examples:
        >>> from torch import nn
        >>> pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *pooled)
        >>> model = load_model(network, classes=["anger", "happiness"], input_size=32)
        >>> model.classes, model.layers("last")
        (('anger', 'happiness'), ('1',))
    """
    fields = card_fields(overrides, preset)
    if isinstance(model, nn.Module):
        if key is not None:
            raise ModelError(f"a module in memory holds one network: key={key!r} must be None.")
        card = parse_card(fields, type(model).__name__, Path(), has_module=True)
        return Model(name or card.name or type(model).__name__, as_network(model), card, device=device)
    path = (located := locate(model)).path
    info = read_with_card(path, trust, key=key, overrides=located.add_arch(fields))
    _require_class_order(preset, info)
    raw, notes = _add_architecture(info, path, preset)
    card = parse_card(raw, info.where, info.folder, has_module=info.data.module is not None)
    card = replace(card, source=located.source or card.source)
    assembled = assemble(info.data, card, trust, path, has_arch=info.raw.get("arch") is not None)
    return Model(
        name or "-".join(filter(None, (card.name or located.name or _default_name(path, info.data.file), key))),
        assembled.module,
        card,
        device=device,
        sha256=_hash_network(info.data, card, key),
        notes=(*notes, *_note_assumed_input(info.raw, card), *assembled.notes),
    )


def _hash_network(data: CheckpointData, card: ModelCard, key: str | None) -> str:
    """Return the hash of the file, with the key of a part of it and the texts of an image-text model."""
    texts = card.prompts.digest if card.prompts is not None and has_text_tower(data, card.arch) else None
    sha256 = data.sha256
    for part in (key, texts):
        sha256 = sha256 if part is None else sha256_of_part(sha256, part)
    return sha256


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint and the facts about it.

    Attributes:
        data: content of the file.
        raw: raw fields of the card; the arguments override the preset, the preset overrides the card beside the file,
            and that overrides the card in the file.
        where: name of the card, for messages.
        folder: folder that FILE.py is relative to.
    """

    data: CheckpointData
    raw: Mapping[str, Any]
    where: str
    folder: Path


def read_with_card(
    path: Path, trust: bool = False, *, key: str | None = None, overrides: Mapping[str, Any]
) -> CheckpointInfo:
    """Read a checkpoint and its model card.

    Args:
        path: the checkpoint.
        trust: allow code of a pickle to run.
        key: place of the network in a file that holds several; None for the only one.
        overrides: raw fields of a card that override those of the file.

    Raises:
        ModelError: the file or the card cannot be read.
        TrustError: the file would run code.
    """
    arch = str(overrides.get("arch") or "") or _read_arch(path)
    require_whole(path, has_arch=bool(arch))
    data = read_checkpoint(path, trust, _find_source(arch, path), key)
    file = card_path(data.file or path)
    raw = merge_cards(dict(data.card), read_card(file) if file.is_file() else {})
    problem = f"; {data.classes_problem}" if data.classes_problem else ""
    where = str(file) if file.is_file() else f"of {path} (there is no {file.name} beside it{problem})"
    if raw.get("input") == PRETRAINED:
        raw["input"] = find_pretrained_input(overrides.get("arch") or raw.get("arch"), where)
    raw, notes = complete_fields(merge_cards(raw, overrides), data, where, overrides)
    if data.classes_problem and not raw.get("classes"):
        notes = (*notes, data.classes_problem)
    data = replace(data, notes=(*data.notes, *notes))
    return CheckpointInfo(_check_input(data, raw, file), raw, where, file.parent)


def _note_assumed_input(raw: Mapping[str, Any], card: ModelCard) -> tuple[str, ...]:
    """Return a note on the input of a card that says nothing about it."""
    if raw.get("input"):
        return ()
    size, color = card.input.size, card.input.color
    known = (card.arch or "").startswith(("timm:", "torchvision:"))
    hint = f", or input: {PRETRAINED} for that of the pretrained weights" if known else ""
    return (
        f"the card does not say how images are prepared: assumed {size} x {size} {color} in [0, 1], not normalised; "
        f"write input into the card (input: {{size: {size}, mean: imagenet}}){hint}",
    )


def _check_input(data: CheckpointData, raw: Mapping[str, Any], card: Path) -> CheckpointData:
    """Return a checkpoint with a note on what was assumed of its input.

    Raises:
        ModelError: the publisher's preparation of images cannot be repeated, and the user named no other one.
    """
    named = raw.get("input") or {}
    names = set(named) if isinstance(named, Mapping) else set()
    if data.input_problem and not names & {"size", "crop"}:
        raise ModelError(
            f"{data.input_problem}; to score it all the same, write how images are prepared (input: {{size: ...}}) "
            f"into {card}, or pass --input-size and --mean."
        )
    if data.input_problem:
        note = f"{data.input_problem}; images are prepared as the card says instead"
        return replace(data, notes=(*data.notes, note))
    is_assumed = data.input_note and dict(data.card.get("input", {})) == dict(named)
    return replace(data, notes=(*data.notes, data.input_note)) if is_assumed else data


def card_fields(overrides: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
    """Return the raw fields of a card that arguments of ``load_model`` set.

    Args:
        overrides: argument -> value; None leaves the card's value.
        preset: a published classifier, whose fields ``overrides`` override.

    Raises:
        ModelError: there is no such argument or preset.

    Examples:
        >>> card_fields({"classes": "rafdb", "input_size": 112, "mean": None})
        {'classes': 'rafdb', 'input': {'size': 112}}
    """
    fields: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in OVERRIDES:
            raise ModelError(f"load_model has no argument '{name}'.{nearest(name, OVERRIDES)}")
        if value is None:
            continue
        if name in INPUT_OPTIONS:
            inputs[INPUT_OPTIONS[name]] = value
        else:
            fields[name] = value
    if inputs:
        fields = merge_cards(fields, {"input": inputs})
    return merge_cards(load_preset(preset).card if preset else {}, fields)


def _require_class_order(preset: str | None, info: CheckpointInfo) -> None:
    """Check that the class order is known: without a variant, that of some presets depends on the training data."""
    has_outputs = bool(info.raw.get("classes") or info.raw.get("aus"))
    if preset and not has_outputs and (variants := load_preset(preset).variants):
        choices = ", ".join(f"{preset}/{variant}" for variant in variants)
        raise ModelError(
            f"preset '{preset}': the order of the classes depends on the training data; pass one of "
            f"--preset {choices}, or --classes."
        )


def _add_architecture(info: CheckpointInfo, path: Path, preset: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of the card with an architecture, inferred from the weights if none is named, and notes."""
    raw, data = dict(info.raw), info.data
    if raw.get("arch") is not None or not data.weights or (data.module is not None and not data.program):
        return raw, ()
    guess = identify_architecture(data.weights)
    fields = {name: value for name, value in raw.items() if value is not None}
    if guess.chosen is not None:
        return merge_cards(guess.chosen.card_fields(), fields), (f"architecture inferred: {guess.why}",)
    if data.program and guess.matches:  # used only if its outputs equal those of the program
        return merge_cards(guess.matches[0].card_fields(), fields), ()
    if data.module is None:
        require_module(data, path)
        if guess.remedy:
            raise ModelError(f"the weights of {path} cannot be loaded: {guess.remedy}.")
        raise _architecture_error(info.where, guess.why, load_preset(preset).arch if preset else None)
    return raw, ()


def _architecture_error(where: str, why: str, preset_arch: str | None) -> ModelError:
    return ModelError(
        f"model card {where}: the field 'arch' is missing, and {why}. Write arch into the card or pass "
        "--arch (FILE.py:callable, package.module:callable, torchvision:NAME or timm:NAME); "
        + (f"the preset needs {preset_arch}; " if preset_arch else "")
        + "`interpfer inspect` shows details."
    )


def _default_name(path: Path, file: Path | None) -> str:
    """Return the stem of a checkpoint; for a generic stem in a folder, the name of the folder."""
    return path.resolve().name if file is not None and file.stem in GENERIC_STEMS else (file or path).stem


def _find_source(arch: str, path: Path) -> Path | None:
    """Return the FILE.py of an architecture; None if it is no file."""
    file = arch.rpartition(":")[0] or arch
    return path.parent / file if file.endswith(".py") else None


def _read_arch(path: Path) -> str:
    """Return the architecture in the card beside a checkpoint; "" if it names none."""
    card = card_path(path)
    return str(read_card(card).get("arch") or "") if card.is_file() else ""
