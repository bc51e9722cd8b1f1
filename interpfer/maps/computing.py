"""Maps of a batch that are not refined: those of a capture, and those that run the model themselves."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.base import INPUT, AnyMap, LayerMap, MapContext, ModelMap, layers_of
from interpfer.maps.blocks import BlockCapture
from interpfer.maps.capture import AttentionCapture, Capture
from interpfer.maps.head import class_map
from interpfer.maps.refined import RefinedMap
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

Recorded = TypeVar("Recorded")

Key = tuple[str, str]
"""A map and its layer."""


@dataclass
class MapResults:
    """Raw maps of a batch.

    Attributes:
        logits: (n, k).
        maps: (map, layer) -> (n, gh, gw), or (n, k, gh, gw) for all classes; NaN where the map is refused.
        refused: (map, layer) -> why the map cannot be computed there.
    """

    logits: Float[Tensor, "n k"]
    maps: dict[Key, Float[Tensor, "n *k gh gw"]] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)


def shared_pass(methods: Mapping[str, AnyMap], layers: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the layers of the shared pass, and whether it has a backward."""
    maps = [method for method in methods.values() if isinstance(method, LayerMap)]
    return (tuple(layers) if maps else ()), any(method.gradient for method in maps)


def list_keys(methods: Mapping[str, AnyMap], layers: Sequence[str]) -> list[Key]:
    """Return the (map, layer) pairs of some maps."""
    return [(name, layer) for name, method in methods.items() for layer in layers_of(method, tuple(layers))]


def add_layer_maps(
    results: MapResults,
    model: Model,
    captured: Capture,
    methods: Mapping[str, AnyMap],
    seeds: Callable[[], tuple[int, ...]],
    summed: Mapping[str, LayerMap] | None = None,
) -> dict[Key, Tensor]:
    """Compute the maps layer by layer, so that the tensors of each layer are freed before the next.

    The maps of a classifier of clips are computed per clip, pooled over time as over the grid, and taken apart into
    frames.

    Returns:
        (map, layer) -> the summands of the maps in ``summed``, whose sum over the channels they are.
    """
    terms: dict[Key, Tensor] = {}
    logits, targets = model.of_clips(captured.logits), model.of_clips(captured.targets)
    for layer in list(captured.layers):
        values = captured.layers.pop(layer)

        def head(activation: Tensor = values.activation) -> Tensor:
            return class_map(model.module, activation, logits, targets, model.precision)

        values = replace(values, class_map=head, seeds=lambda: seeds()[:: model.frames])
        for name, method in methods.items():
            if isinstance(method, LayerMap):
                try:
                    raw = method(values)
                except InterpferError as error:
                    results.refused[name, layer] = str(error)
                    raw = values.activation.new_full(values.activation[:, 0].shape, torch.nan)
                results.maps[name, layer] = model.to_frames(layer, raw)
        for name, method in (summed or {}).items():
            assert method.terms is not None
            terms[name, layer] = method.terms(values)
    return terms


class ModelInputs(NamedTuple):
    """What all maps that run the model have in common.

    Attributes:
        model: the classifier.
        x: prepared input.
        targets: class index per face, -1 for none.
        seeds: function that returns one random seed per face.
        seed: random seed of the run.
        attentions: what the attention computed in the shared pass, or why it gives no maps; None if not recorded.
        blocks: the last blocks in the shared pass, or why there are none; None if not recorded.
    """

    model: Model
    x: Float[Tensor, "n c s s"]
    targets: Int[Tensor, " n"]
    seeds: Callable[[], tuple[int, ...]]
    seed: int
    attentions: AttentionCapture | ModelError | None = None
    blocks: BlockCapture | ModelError | None = None


def add_model_maps(
    results: MapResults, inputs: ModelInputs, methods: Mapping[str, AnyMap], layers: Sequence[str]
) -> None:
    """Compute the maps that run the model themselves, or that are made of its attention; none twice."""
    model, x, targets, seeds, seed, attentions, blocks = inputs
    for name, method in methods.items():
        if not isinstance(method, ModelMap) or isinstance(method, RefinedMap) or (name, INPUT) in results.maps:
            continue
        for layer in layers_of(method, tuple(layers)):
            try:
                given = _usable(attentions) if method.attentions else None
                last = _usable(blocks) if method.blocks is not None else None
                context = MapContext(model, x, targets.clamp(min=0), layer, seeds(), seed, given, last)
                with hooked(model.module, {}), torch.set_grad_enabled(method.gradient):
                    raw = method.compute(context).detach().float()
                if method.class_specific:
                    raw = raw.where((targets >= 0)[:, None, None], torch.nan)
            except InterpferError as error:
                results.refused[name, layer] = str(error)
                raw = torch.full((len(x), 2, 2), torch.nan, device=x.device)
            results.maps[name, layer] = raw


def _usable(recorded: Recorded | ModelError | None) -> Recorded | None:
    """Return what was recorded.

    Raises:
        ModelError: the reason why nothing could be.
    """
    if isinstance(recorded, ModelError):
        raise recorded
    return recorded


def image_seeds(x: Tensor, seed: int) -> Callable[[], tuple[int, ...]]:
    """Return a function that returns one seed per image, from its pixels and the seed of the run."""

    @cache
    def draw() -> tuple[int, ...]:
        pixels = x.detach().float().cpu().numpy()
        digests = (hashlib.sha256(f"{seed}".encode() + image.tobytes()).digest() for image in pixels)
        return tuple(int.from_bytes(digest[:7], "big") for digest in digests)

    return draw
