"""Looks at a checkpoint without running anything that it brings, unless it is trusted."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError, TrustError
from interpfer.inspection.report import LayerLine, Report, group_keys
from interpfer.models.assemble import assemble
from interpfer.models.card import ModelCard, parse_card
from interpfer.models.identify import ArchitectureGuess, Match, identify_architecture, shapes_of_weights
from interpfer.models.input import describe_input
from interpfer.models.layers import output_shapes
from interpfer.models.loading import CheckpointInfo, card_fields, read_with_card
from interpfer.models.model import Model
from interpfer.models.output import describe, tensors
from interpfer.models.program import Program
from interpfer.models.readers.base import Read

MOST_OUTPUTS = 20
"""A tensor of more channels than this is no list of expressions."""
ORDER_HINT = "write the expressions in output order, or a known order such as rafdb; --dataset finds the likeliest"


def inspect_checkpoint(path: Path, trust: bool = False, **overrides: Any) -> tuple[Report, Model | None]:
    """Say what a checkpoint is.

    Args:
        path: a checkpoint, with or without a card.
        trust: allow code of the card or the pickle to run.
        overrides: of the card, as for ``load_model``.

    Returns:
        The report, and the model where it could be put together; its classes are numbers if nothing names them.

    Raises:
        ModelError: the file cannot be read at all.
    """
    found = read_with_card(path, trust, overrides=card_fields(**overrides))
    read, raw = found.read, dict(found.raw)
    module, weights = read.module, read.weights
    if weights is None and module is not None:
        weights = module.state_dict()
    shapes = shapes_of_weights(weights or {})
    report = Report(
        str(path),
        read.format,
        read.sha256,
        wants=read.imports,
        class_name=read.class_name,
        notes=read.notes,
        keys=group_keys(shapes),
        parameters=sum(value.numel() for value in (weights or {}).values()),
    )
    verdict = identify_architecture(weights) if weights else ArchitectureGuess((), None, "")
    if raw.get("arch") is None and module is not None and not read.program:
        verdict = replace(verdict, chosen=None)
    missing: list[str] = []
    assumed: dict[str, str] = {}
    chosen = verdict.chosen
    if raw.get("arch") is None:
        if chosen is None and module is None:
            missing.append(_no_architecture(read, verdict))
        elif chosen is not None:
            raw |= {name: value for name, value in chosen.card().items() if name != "input" and name not in raw}
    card = _provisional(found, raw, weights or {}, module, chosen, assumed)
    if module is not None or raw.get("arch") is not None:
        module, notes = _built(read, card, trust, path, missing)
        report = replace(report, notes=notes or report.notes)
    if found.raw.get("arch") is not None:
        verdict = ArchitectureGuess((), None, f"{found.raw['arch']}, as the card says")
    report = replace(report, matches=verdict.matches, verdict=verdict.why)
    model = None
    if module is not None:
        model, report = _run(Model(path.stem, module, card), report, raw, assumed, missing)
    if not raw.get("classes"):
        count = report.output_count or (chosen.classes if chosen else None) or _last_width(weights or {})
        missing.insert(0, f"classes: {f'{count} expressions ' if count else ''}in output order; {ORDER_HINT}")
        assumed["classes"] = f"{count or 'the'} expressions in output order, or a known order such as rafdb"
    shown = model.card if model is not None else card
    return replace(
        report,
        card=_fields(raw, shown),
        assumed=assumed,
        missing=tuple(missing),
    ), model


def _no_architecture(read: Read, verdict: ArchitectureGuess) -> str:
    if read.imports:
        return (
            f"arch: {verdict.why}, and the pickled module would import {', '.join(read.imports[:4])}"
            f"{' ...' if len(read.imports) > 4 else ''}: say --trust to run it, if you trust where it comes from"
        )
    return f"arch: {verdict.why}; name it as FILE.py:callable, torchvision:NAME or timm:NAME"


def _provisional(
    found: CheckpointInfo,
    raw: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    module: nn.Module | None,
    chosen: Match | None,
    assumed: dict[str, str],
) -> ModelCard:
    """Return a card in which what is missing is filled in with what is likely."""
    told = dict(raw.get("input") or {}) if isinstance(raw.get("input") or {}, Mapping) else raw["input"]
    likely: dict[str, Any] = {}
    if isinstance(told, dict):
        channels = chosen.channels if chosen else _channels(weights)
        likely = {"size": chosen.size if chosen else 224} | ({"color": "gray"} if channels == 1 else {})
        if chosen and "mean" not in told and "std" not in told and channels == 3:
            likely |= chosen.normalisation
        if "size" not in told:
            assumed["input.size"] = "a guess"
        if not {"mean", "std", "scale"} & set(told):
            assumed["input.mean"] = "a guess"
    count = len(raw["classes"]) if raw.get("classes") else (chosen.classes if chosen else None) or _last_width(weights)
    filled = {**raw, "input": {**likely, **told} if isinstance(told, dict) else told}
    card = parse_card(
        filled | {"classes": raw.get("classes") or ["neutral"], "arch": raw.get("arch") or "none:none"},
        found.where,
        found.folder,
        module_given=module is not None,
    )
    if not raw.get("classes"):
        card = replace(card, classes=tuple(map(str, range(count or 7))))
    return replace(card, arch=raw.get("arch"))


def _channels(weights: Mapping[str, Tensor]) -> int:
    first = next((value for value in weights.values() if value.dim() == 4), None)
    return 1 if first is not None and first.shape[1] == 1 else 3


def _last_width(weights: Mapping[str, Tensor]) -> int | None:
    """Return the outputs of the last matrix or convolution, where that may be the classifier."""
    wide = [len(value) for value in weights.values() if value.dim() in (2, 4)]
    return wide[-1] if wide and wide[-1] <= MOST_OUTPUTS else None


def _built(
    read: Read, card: ModelCard, trust: bool, path: Path, missing: list[str]
) -> tuple[nn.Module | None, tuple[str, ...]]:
    try:
        with torch.random.fork_rng(devices=[]):
            built = assemble(read, card, trust, path)
    except TrustError as error:
        missing.append(f"trust: {error}")
    except ModelError as error:
        missing.append(f"arch: {error}")
    else:
        return built.module, built.notes
    return None, ()


def _run(
    model: Model, report: Report, raw: Mapping[str, Any], assumed: dict[str, str], missing: list[str]
) -> tuple[Model | None, Report]:
    """Run a model on noise: what it returns, and which layers keep a grid."""
    try:
        model, output = _forward(model, "size" not in (raw.get("input") or {}), assumed)
    except Exception as error:  # whatever the network raises belongs into the report
        missing.append(f"input: the network cannot run: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return None, report
    report = replace(report, outputs=describe(output))
    fitting = _fitting(output)
    if not raw.get("classes") and raw.get("output") is None and len(fitting) == 1:
        count = int(fitting[0][1].shape[1])
        model = Model(model.name, model.module, replace(model.card, classes=tuple(map(str, range(count)))))
    try:
        logits = model.select(output, 1)
        layers = _layers(model)
    except InterpferError as error:
        missing.append(f"output: {error}" if not report.outputs or len(fitting) != 1 else f"classes: {error}")
        return model, report
    return model, replace(report, output_count=int(logits.shape[1]), layers=layers)


def _forward(model: Model, any_size: bool, assumed: dict[str, str]) -> tuple[Model, Any]:
    """Run a model, at other common sizes where the size is a guess and does not suit."""
    sizes = [model.card.input.size, *((224, 112, 64, 48) if any_size else ())]
    for size in dict.fromkeys(sizes):
        spec = replace(model.card.input, size=size)
        tried = Model(model.name, model.module, replace(model.card, input=spec), notes=model.notes)
        training = {module: module.training for module in model.module.modules()}
        try:
            for module in training:
                module.training = False
            with torch.no_grad():
                output = tried.forward(tried.noise)
        except RuntimeError:
            if size == sizes[-1] or not any_size:
                raise
        else:
            if size != model.card.input.size:
                assumed["input.size"] = f"a guess; it does not run at {model.card.input.size}"
            return tried, output
        finally:
            for module, mode in training.items():
                module.training = mode
    raise AssertionError


def _fitting(output: Any) -> list[tuple[int | str, Tensor]]:
    """Return the tensors that may be logits."""
    parts = [(0, output)] if isinstance(output, Tensor) else list(tensors(output))
    return [(key, value) for key, value in parts if _may_be_logits(value)]


def _may_be_logits(value: Tensor) -> bool:
    return value.dim() >= 2 and len(value) == 1 and value.shape[1] == value.numel() and 2 <= value.numel() <= 1000


def _layers(model: Model) -> tuple[LayerLine, ...]:
    if isinstance(model.module, Program):
        return ()
    shapes = output_shapes(model.module, lambda: model.forward(model.noise))
    spatial = {layer.name: layer for layer in model.spatial_layers}
    if not spatial:
        return tuple(LayerLine(name, shape, False) for name, shape in shapes.items())
    last, every = ({name.partition("@")[0] for name in model.layers(which)} for which in ("last", "all"))
    return tuple(
        LayerLine(name, _shape(spatial, name, shape), name in spatial, name in last, name in every)
        for name, shape in shapes.items()
    )


def _shape(spatial: Mapping[str, Any], name: str, shape: str) -> str:
    layer = spatial.get(name)
    if layer is None or layer.layout == "nchw":
        return shape
    return f"{shape} = {layer.channels} on {layer.grid[0]} x {layer.grid[1]}"


def _fields(raw: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    """Return what a card should say, in the usual order."""
    fields: dict[str, Any] = {"arch": card.arch} if card.arch else {}
    if card.arch_args:
        fields["arch_args"] = dict(card.arch_args)
    fields["classes"] = list(card.classes) if raw.get("classes") else []
    fields["input"] = describe_input(card.input)
    for name in ("output", "layers", "forward_args"):
        if raw.get(name):
            fields[name] = raw[name]
    return fields
