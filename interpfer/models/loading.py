"""From a file or a module to a ``Model``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpfer.errors import ModelError
from interpfer.models.assemble import assemble
from interpfer.models.card import card_path, parse_card, read_card
from interpfer.models.checkpoint import read_checkpoint, require_runnable
from interpfer.models.identify import identify_architecture
from interpfer.models.model import Model
from interpfer.models.preset import load_preset, merged
from interpfer.models.readers.base import Read


def load_model(
    model: str | Path | nn.Module,
    *,
    trust: bool = False,
    device: str | torch.device = "cpu",
    name: str | None = None,
    arch: str | None = None,
    classes: Sequence[str] | str | None = None,
    input_size: int | None = None,
    color: str | None = None,
    scale: float | None = None,
    mean: float | str | Sequence[float] | None = None,
    std: float | str | Sequence[float] | None = None,
    output: int | str | Mapping[int | str, float] | None = None,
    layers: Sequence[str] | None = None,
    arch_args: Mapping[str, Any] | None = None,
    forward_args: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> Model:
    """Load a trained classifier.

    Args:
        model: a checkpoint file or folder with a card beside or inside it, or a module that is there already.
        trust: allow the card's own code, and a pickle that brings code, to run.
        device: where the model shall live.
        name: as tables shall call it; by default the file's stem or the module's class.
        arch: overrides the card, as do the arguments below.
        classes: expressions in output order, a list or one comma-separated text, or a known order such as "rafdb".
        input_size: side in pixels.
        color: rgb, bgr, gray, or gray3 for grey three times.
        scale: 255 for a model that wants bytes.
        mean: subtracted after scaling; "imagenet", "half", "caffe", ... set ``std`` and ``scale`` too.
        std: divided by after that.
        output: element or key of the output that holds the logits; see ``interpfer.models.output``.
        layers: names out of ``named_modules()``, shallow to deep.
        arch_args: keyword arguments of the architecture.
        forward_args: what ``forward`` takes beside the images.
        preset: a published classifier, such as "poster/rafdb" (``interpfer ls presets``); laid over the card, under
            the arguments above.

    Raises:
        ModelError: the file, the card or the architecture is not as expected.
        TrustError: code would run that ``trust`` does not allow.
    """
    overrides = card_fields(
        preset=preset,
        input_size=input_size,
        color=color,
        scale=scale,
        mean=mean,
        std=std,
        arch=arch,
        classes=classes,
        output=output,
        layers=layers,
        arch_args=arch_args,
        forward_args=forward_args,
    )
    if isinstance(model, nn.Module):
        raw = overrides
        card = parse_card(raw, type(model).__name__, Path(), module_given=True)
        return Model(name or type(model).__name__, model, card, device=device)

    path = Path(model)
    found = read_with_card(path, trust, overrides=overrides)
    raw, read, notes = dict(found.raw), found.read, list[str]()
    if preset and not raw.get("classes") and (variants := load_preset(preset).variants):
        choices = ", ".join(f"{preset}/{variant}" for variant in variants)
        raise ModelError(
            f"preset '{preset}': the order of the classes depends on what the model was trained on; say which with "
            f"--preset {choices}, or give --classes."
        )
    if raw.get("arch") is None and read.weights and (read.module is None or read.program):
        guessed = identify_architecture(read.weights)
        if guessed.chosen is not None:
            raw = merged(guessed.chosen.card(), {key: value for key, value in raw.items() if value is not None})
            notes.append(f"no architecture was named: {guessed.why}")
        elif read.program and guessed.matches:  # whether it is this one is proven by its outputs
            raw = merged(guessed.matches[0].card(), {key: value for key, value in raw.items() if value is not None})
        elif read.module is None:
            require_runnable(read, path)
            raise _no_architecture(found.where, guessed.why, load_preset(preset).arch if preset else None)
    card = parse_card(raw, found.where, found.folder, module_given=read.module is not None)
    built = assemble(read, card, trust, path, named=found.raw.get("arch") is not None)
    return Model(
        name or _stem(path, read.file),
        built.module,
        card,
        device=device,
        sha256=read.sha256,
        notes=(*notes, *built.notes),
    )


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
