"""From a file or a module to a ``Model``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpfer.models.assemble import assemble
from interpfer.models.card import card_path, parse_card, read_card
from interpfer.models.checkpoint import read_checkpoint, require_runnable
from interpfer.models.model import Model


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
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: int | str | None = None,
    layers: Sequence[str] | None = None,
) -> Model:
    """Load a trained classifier.

    Args:
        model: a checkpoint file or folder with a card beside or inside it, or a module that is there already.
        trust: allow the card's own code, and a pickle that brings code, to run.
        device: where the model shall live.
        name: as tables shall call it; by default the file's stem or the module's class.
        arch: overrides the card, as do the arguments below.
        classes: expressions in output order, a list or one comma-separated text.
        input_size: side in pixels.
        color: rgb, bgr or gray.
        scale: 255 for a model that wants bytes.
        mean: subtracted after scaling.
        std: divided by after that.
        output: element or key of the output that holds the logits.
        layers: names out of ``named_modules()``, shallow to deep.

    Raises:
        ModelError: the file, the card or the architecture is not as expected.
        TrustError: code would run that ``trust`` does not allow.
    """
    overrides = _given(arch=arch, classes=classes, output=output, layers=layers)
    overrides_input = _given(size=input_size, color=color, scale=scale, mean=mean, std=std)
    if isinstance(model, nn.Module):
        raw = overrides | {"input": overrides_input}
        card = parse_card(raw, type(model).__name__, Path(), module_given=True)
        return Model(name or type(model).__name__, model, card, device=device)

    path = Path(model)
    checkpoint = read_checkpoint(path, trust, _source(arch, path))
    beside = card_path(checkpoint.file or path)
    raw = dict(checkpoint.card) | (read_card(beside) if beside.is_file() else {})
    where = str(beside) if beside.is_file() else f"of {path} (there is no {beside.name} beside it)"
    raw |= overrides
    if overrides_input:
        raw["input"] = (raw["input"] if isinstance(raw.get("input"), dict) else {}) | overrides_input
    if raw.get("arch") is None:
        require_runnable(checkpoint, path)
    card = parse_card(raw, where, beside.parent, module_given=checkpoint.module is not None)
    built = assemble(checkpoint, card, trust, path)
    return Model(
        name or _stem(path, checkpoint.file),
        built.module,
        card,
        device=device,
        sha256=checkpoint.sha256,
        notes=built.notes,
    )


def _stem(path: Path, file: Path | None) -> str:
    """Return what tables call a checkpoint: a file by its stem, one called "model" in a folder by the folder."""
    return path.resolve().name if file is not None and file.stem in ("model", "pytorch_model") else (file or path).stem


def _source(arch: str | None, path: Path) -> Path | None:
    """Return the FILE.py that an argument, or the card beside a file, names; it is not run here."""
    beside = card_path(path)
    named = arch or (str(read_card(beside).get("arch") or "") if beside.is_file() else "")
    file = named.rpartition(":")[0] or named
    return beside.parent / file if file.endswith(".py") else None


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
