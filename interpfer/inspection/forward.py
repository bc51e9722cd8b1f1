"""Runs a model on noise: what it returns, and which of its layers are spatial."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.inspection.kinds import list_heads
from interpfer.inspection.report import Head, LayerInfo
from interpfer.models.failures import SIZES
from interpfer.models.hooks import hooked
from interpfer.models.layer import Layer
from interpfer.models.layers import find_output_shapes
from interpfer.models.model import Model
from interpfer.models.output import describe_output, find_tensors
from interpfer.models.program import Program

COMMON_SIZES = (224, 112, 64, 48)
"""Input sizes that are tried if the card has none."""
MAX_CLASSES = 1000
"""Largest number of values per image that may be logits."""
MAX_ERROR = 300
"""Characters of an error of the network that a message quotes."""


@dataclass(frozen=True)
class ForwardResult:
    """Result of a forward pass on noise.

    Attributes:
        model: the model with the input size at which it runs; None if it does not run.
        outputs: type and shapes of the output; "" if it does not run.
        heads: every output, with what it may be.
        output_count: number of logits per image; None if they are not found.
        layers: modules of the network, in the order in which they finish.
        assumed: reasons for fields of the card that are guesses, by names such as "input.size".
        missing: what is needed to score the model, one sentence each.
    """

    model: Model | None = None
    outputs: str = ""
    heads: tuple[Head, ...] = ()
    output_count: int | None = None
    layers: tuple[LayerInfo, ...] = ()
    assumed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def run_on_noise(model: Model, raw: Mapping[str, Any]) -> ForwardResult:
    """Run a model on noise.

    Args:
        model: the model; its classes are placeholders if ``raw`` has none.
        raw: fields of the card without guesses.
    """
    size = model.card.input.size
    try:
        model, output = _run_at_possible_size(model, has_size=bool({"size", "crop"} & set(raw.get("input") or {})))
    except Exception as error:  # the network may raise anything
        text = " ".join(str(error).split())[:MAX_ERROR]
        return ForwardResult(missing=(f"input: the network cannot run: {type(error).__name__}: {text}",))
    is_same_size = model.card.input.size == size
    assumed = {} if is_same_size else {"input.size": f"a guess, as the network does not run at {size}"}
    candidates = _find_possible_logits(output)
    has_names = bool(raw.get("classes") or raw.get("aus"))
    logits = _pick_logits(model, output, candidates)
    if not has_names and logits is not None:
        placeholders = tuple(map(str, range(logits.shape[1])))
        model = Model(model.name, model.module, replace(model.card, classes=placeholders))
    result = ForwardResult(model, describe_output(output), list_heads(output), assumed=assumed)
    try:
        with hooked(model.module, {}), torch.no_grad():
            logits = model.logits(model.noise)
    except InterpferError as error:
        field_name = "classes" if len(candidates) == 1 else "output"
        return replace(result, missing=(f"{field_name}: {error}",))
    result = replace(result, output_count=int(logits.shape[1]))
    try:
        if model.card.aus:
            model.for_aus().predict_logits(torch.zeros(1, 3, model.card.input.size, model.card.input.size))
    except InterpferError as error:
        return replace(result, missing=(f"aus_output: {error}",))
    try:
        layers = _list_layers(model)
    except InterpferError as error:
        return replace(result, missing=(f"layers: {error}",))
    return replace(result, layers=layers)


def _run_at_possible_size(model: Model, has_size: bool) -> tuple[Model, Any]:
    """Run a model at its input size or, if that is a guess, at the first common size at which it runs."""
    sizes = list(dict.fromkeys([model.card.input.size, *(() if has_size else (*COMMON_SIZES, *SIZES))]))
    for size in sizes:
        spec = replace(model.card.input, size=size)
        candidate = Model(model.name, model.module, replace(model.card, input=spec), notes=model.notes)
        training = {module: module.training for module in model.module.modules()}
        try:
            for module in training:
                module.training = False
            with torch.no_grad():
                return candidate, candidate.run(candidate.noise)
        except RuntimeError:
            if size == sizes[-1]:
                raise
        finally:
            for module, mode in training.items():
                module.training = mode
    raise AssertionError


def _find_possible_logits(output: Any) -> list[Tensor]:
    """Return the tensors with one vector of 2 to ``MAX_CLASSES`` values for the image."""
    tensors = [output] if isinstance(output, Tensor) else [value for _, value in find_tensors(output)]
    return [value for value in tensors if _may_be_logits(value)]


def _pick_logits(model: Model, output: Any, candidates: list[Tensor]) -> Tensor | None:
    """Return the logits at the place that the card names, or the only ones; None if they are not found."""
    if model.card.output is None:
        return candidates[0] if len(candidates) == 1 else None
    try:
        value = model.card.output.pick(output, 1)
    except InterpferError:
        return None
    return value if isinstance(value, Tensor) and _may_be_logits(value) else None


def _may_be_logits(value: Tensor) -> bool:
    is_vector = value.dim() >= 2 and len(value) == 1 and value.shape[1] == value.numel()
    return is_vector and 2 <= value.numel() <= MAX_CLASSES


def _list_layers(model: Model) -> tuple[LayerInfo, ...]:
    if isinstance(model.module, Program):
        return ()
    shapes = find_output_shapes(model.module, lambda: model.forward(model.noise))
    spatial = {layer.name: layer for layer in model.spatial_layers}
    if not spatial:
        return tuple(LayerInfo(name, shape, False) for name, shape in shapes.items())
    last, every = ({name.partition("@")[0] for name in model.layers(names)} for names in ("last", "all"))
    places = {name: place.describe() for name, place in model.find_places(sorted(last | every)).items()}
    return tuple(
        LayerInfo(
            name,
            _describe_shape(spatial.get(name), shape),
            name in spatial,
            name in last,
            name in every,
            places.get(name, ""),
        )
        for name, shape in shapes.items()
    )


def _describe_shape(layer: Layer | None, shape: str) -> str:
    """Return the shape of an output; for tokens and channels last, also as channels on a grid."""
    if layer is None or layer.layout == "nchw":
        return shape
    return f"{shape} = {layer.channels} on {layer.grid[0]} x {layer.grid[1]}"
