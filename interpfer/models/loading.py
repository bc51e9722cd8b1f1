"""From a file or a module to a ``Model``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpfer.errors import ModelError, nearest
from interpfer.models.assemble import assemble
from interpfer.models.card import card_path, parse_card, read_card
from interpfer.models.checkpoint import read_checkpoint, require_runnable
from interpfer.models.identify import identify_architecture
from interpfer.models.model import Model
from interpfer.models.options import ModelOptions
from interpfer.models.preset import load_preset, merged
from interpfer.models.readers.base import Read


def load_model(
    model: str | Path | nn.Module,
    *,
    trust: bool = False,
    device: str | torch.device = "cpu",
    name: str | None = None,
    preset: str | None = None,
    **overrides: Any,
) -> Model:
    """Load a trained classifier.

    Args:
        model: a checkpoint file or folder with a card beside or inside it, or a module in memory.
        trust: allow the card's own code, and a pickle that brings code, to run.
        device: where the model is put.
        name: name in tables; by default the file's stem or the module's class.
        preset: a published classifier, such as "poster/rafdb" (``interpfer ls presets``); laid over the card, under
            ``overrides``.
        overrides: fields of the model card. ``arch`` and ``arch_args``, the architecture; ``classes``, expressions in
            output order, a list or one comma-separated text, or a known order such as "rafdb"; ``input_size`` in
            pixels; ``color``: rgb, bgr, gray, or gray3 for grey three times; ``scale``: 255 for a model that expects
            bytes; ``mean``, subtracted after scaling ("imagenet", "half", "caffe", ... set ``std`` and ``scale``
            too), and ``std``, divided by after that; ``output``, the element or key that holds the logits, see
            ``interpfer.models.output``; ``layers``, names out of ``named_modules()``, shallow to deep;
            ``forward_args``, what ``forward`` takes beside the images.

    Returns:
        The classifier, ready for ``interpfer.score``, ``compute_maps`` and ``finetune``.

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
    given = card_fields(preset=preset, **_known_overrides(overrides))
    if isinstance(model, nn.Module):
        card = parse_card(given, type(model).__name__, Path(), module_given=True)
        return Model(name or type(model).__name__, model, card, device=device)
    path = Path(model)
    info = read_with_card(path, trust, overrides=given)
    _require_class_order(preset, info)
    raw, notes = _with_architecture(info, path, preset)
    card = parse_card(raw, info.where, info.folder, module_given=info.read.module is not None)
    built = assemble(info.read, card, trust, path, named=info.raw.get("arch") is not None)
    return Model(
        name or _stem(path, info.read.file),
        built.module,
        card,
        device=device,
        sha256=info.read.sha256,
        notes=(*notes, *built.notes),
    )


def _known_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    known = [option.name for option in fields(ModelOptions)]
    values = {("card_layers" if name == "layers" else name): value for name, value in overrides.items()}
    for name in values:
        if name not in known:
            raise ModelError(f"load_model has no argument '{name}'.{nearest(name, known)}")
    return dict(overrides)


def _require_class_order(preset: str | None, info: "CheckpointInfo") -> None:
    """Refuse a preset whose order of classes depends on the data that the model was trained on."""
    if preset and not info.raw.get("classes") and (variants := load_preset(preset).variants):
        choices = ", ".join(f"{preset}/{variant}" for variant in variants)
        raise ModelError(
            f"preset '{preset}': the order of the classes depends on the training data; pass one of "
            f"--preset {choices}, or --classes."
        )


def _with_architecture(
    info: "CheckpointInfo", path: Path, preset: str | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of the card with an architecture, inferred from the weights where none is named, and notes."""
    raw, read = dict(info.raw), info.read
    if raw.get("arch") is not None or not read.weights or (read.module is not None and not read.program):
        return raw, ()
    match = identify_architecture(read.weights)
    present = {key: value for key, value in raw.items() if value is not None}
    if match.chosen is not None:
        return merged(match.chosen.card(), present), (f"architecture inferred: {match.why}",)
    if read.program and match.matches:  # whether it is this one is proven by its outputs
        return merged(match.matches[0].card(), present), ()
    if read.module is None:
        require_runnable(read, path)
        raise _no_architecture(info.where, match.why, load_preset(preset).arch if preset else None)
    return raw, ()


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint and what is said about it.

    Attributes:
        read: what the file held.
        raw: fields of the card: of the file, of the card beside it, of the preset, of the arguments; the last wins.
        where: the card, for messages.
        folder: what a relative FILE.py is relative to.
    """

    read: Read
    raw: Mapping[str, Any]
    where: str
    folder: Path


def read_with_card(path: Path, trust: bool = False, *, overrides: Mapping[str, Any]) -> CheckpointInfo:
    """Read a checkpoint and all that is said about it.

    Args:
        path: the checkpoint.
        trust: allow a pickle that brings code to run.
        overrides: fields of a card that the user gave.

    Raises:
        ModelError: the file or the card cannot be read.
        TrustError: the file would run code.
    """
    read = read_checkpoint(path, trust, _source(overrides.get("arch"), path))
    beside = card_path(read.file or path)
    raw = merged(dict(read.card), read_card(beside) if beside.is_file() else {})
    where = str(beside) if beside.is_file() else f"of {path} (there is no {beside.name} beside it)"
    return CheckpointInfo(read, merged(raw, overrides), where, beside.parent)


def card_fields(
    *,
    preset: str | None = None,
    input_size: int | None = None,
    color: str | None = None,
    scale: float | None = None,
    mean: float | str | Sequence[float] | None = None,
    std: float | str | Sequence[float] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return fields of a card out of arguments as ``load_model`` takes them; None is what was not said."""
    given = _given(**fields)
    if own_input := _given(size=input_size, color=color, scale=scale, mean=mean, std=std):
        given["input"] = own_input
    return merged(load_preset(preset).card if preset else {}, given)


def _no_architecture(where: str, why: str, wanted: str | None) -> ModelError:
    return ModelError(
        f"model card {where}: the field 'arch' is missing, and {why}. Write arch into the card or pass "
        "--arch (FILE.py:callable, package.module:callable, torchvision:NAME or timm:NAME); "
        + (f"the preset wants {wanted}; " if wanted else "")
        + "`interpfer inspect` says more."
    )


def _stem(path: Path, file: Path | None) -> str:
    """Return what tables call a checkpoint: a file by its stem, one called "model" in a folder by the folder."""
    return path.resolve().name if file is not None and file.stem in ("model", "pytorch_model") else (file or path).stem


def _source(arch: Any, path: Path) -> Path | None:
    """Return the FILE.py that an argument, or the card beside a file, names; it is not run here."""
    beside = card_path(path)
    named = str(arch or "") or (str(read_card(beside).get("arch") or "") if beside.is_file() else "")
    file = named.rpartition(":")[0] or named
    return beside.parent / file if file.endswith(".py") else None


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
