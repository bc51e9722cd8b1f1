"""Maps of a batch: the shared forward and backward, then the maps that run the model themselves."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.base import INPUT, AnyMap, LayerMap, MapContext, ModelMap, RawMap, layers_of
from interpfer.maps.capture import Capture, forward
from interpfer.maps.head import class_map
from interpfer.models.hooks import hooked
from interpfer.models.model import Model

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


def run_maps(
    model: Model,
    x: Float[Tensor, "n c s s"],
    methods: Mapping[str, AnyMap],
    layers: Sequence[str],
    targets: Int[Tensor, " n"] | None = None,
    seed: int = 0,
) -> MapResults:
    """Return the raw maps of a batch; baselines among the methods are left out.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input (``Model.preprocess``).
        methods: name -> map.
        layers: names of the layers of maps that have one.
        targets: (n,) class index per face, -1 for none; None for the predicted class.
        seed: random seed.

    Raises:
        ModelError: a layer does not run exactly once.
    """
    requested, unsupported = methods, unsupported_maps(model, methods, layers)
    methods = {
        name: method
        for name, method in methods.items()
        if any((name, layer) not in unsupported for layer in layers_of(method, tuple(layers)))
    }
    shared, gradients = shared_pass(methods, layers)
    with forward(model, x, shared, gradients) as run:
        results = MapResults(run.logits.detach())
        chosen = run.logits.detach().argmax(1) if targets is None else targets.to(x.device)
        captured = run.backward(chosen) if gradients else run.without_gradients(chosen)
    seeds = image_seeds(x, seed)
    add_layer_maps(results, model, captured, methods, seeds)
    add_model_maps(results, ModelInputs(model, x, chosen, seeds, seed), methods, layers)
    results.refused.update(unsupported)
    results.maps.update({key: torch.full((len(x), 2, 2), torch.nan, device=x.device) for key in unsupported})
    order = {key: index for index, key in enumerate(list_keys(requested, layers))}
    results.maps = dict(sorted(results.maps.items(), key=lambda item: order[item[0]]))
    return results


def unsupported_maps(model: Model, methods: Mapping[str, AnyMap], layers: Sequence[str]) -> dict[Key, str]:
    """Return the maps that a model does not allow, and why: a program, or a network that runs without gradients."""
    program = model.program
    if program is None:
        return detached_maps(model, methods, layers)
    no_layers = (
        f"the layers of this {program.kind} are not accessible; pass --arch, or choose maps of the input such as "
        "saliency, occlusion or rise."
    )
    no_gradients = f"this {program.kind} has no gradients; choose maps that need none, such as occlusion or rise."
    refused: dict[Key, str] = {}
    for name, method in methods.items():
        inside = isinstance(method, LayerMap) or (isinstance(method, ModelMap) and method.inside)
        if inside or (method.gradient and not program.differentiable):
            keys = ((name, layer) for layer in layers_of(method, tuple(layers)))
            refused |= dict.fromkeys(keys, no_layers if inside else no_gradients)
    return refused


def detached_maps(model: Model, methods: Mapping[str, AnyMap], layers: Sequence[str]) -> dict[Key, str]:
    """Return the maps that need gradients which the network does not have at their layer, and why."""
    if not any(method.gradient for method in methods.values()) or not model.spatial_layers:
        return {}
    has_gradient = {layer: model.layer(layer).has_gradient for layer in layers}
    has_gradient[INPUT] = model.spatial_layers[0].has_gradient
    return {
        (name, layer): f"the logits do not depend on {layer} through a graph: the network runs it under "
        "torch.no_grad(), or what follows has no gradients (as quantised layers); choose maps that need none, such as "
        "attention or occlusion."
        for name, method in methods.items()
        if method.gradient
        for layer in layers_of(method, tuple(layers))
        if not has_gradient.get(layer, True)
    }


def find_duplicates(maps: Mapping[Key, RawMap], tolerance: float = 1e-5) -> dict[Key, Key]:
    """Find maps of one layer that are identical for every image of a batch.

    After pooling and one linear layer, gradcam, hirescam, xgradcam and the ReLU of cam are one map; where activations
    are not negative, layercam is gradcam-elementwise. Maps that are undefined for every image do not count.

    Args:
        maps: (map, layer) -> raw maps.
        tolerance: largest difference, relative to the largest magnitude in the map.

    Returns:
        (map, layer) -> the earlier (map, layer) that it repeats.
    """
    duplicates: dict[Key, Key] = {}
    distinct: list[Key] = []
    for key, raw in maps.items():
        size = raw.abs().amax((1, 2))
        if not (size.isfinite() & (size > 0)).any():
            continue
        for earlier in distinct:
            other = maps[earlier]
            if earlier[1] == key[1] and other.shape == raw.shape and _close(raw, other, size, tolerance):
                duplicates[key] = earlier
                break
        else:
            distinct.append(key)
    return duplicates


def require_named(
    refused: Mapping[Key, str], methods: Mapping[str, AnyMap], layers: Sequence[str], named: set[str], model: str
) -> None:
    """Check that every map that was requested by its own name can be computed for some layer.

    Raises:
        ModelError: a map cannot, with the reason.
    """
    for name in named & set(methods):
        keys = [(name, layer) for layer in layers_of(methods[name], tuple(layers))]
        if keys and all(key in refused for key in keys):
            raise ModelError(f"map '{name}' cannot be computed for model {model} at {keys[-1][1]}: {refused[keys[-1]]}")


def _close(raw: Tensor, other: Tensor, size: Tensor, tolerance: float) -> bool:
    difference = (raw - other).abs().amax((1, 2))
    both = raw.isnan().all(2).all(1) & other.isnan().all(2).all(1)
    return bool(((difference <= tolerance * size) | both).all())


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
) -> None:
    """Compute the maps layer by layer, so that the tensors of each layer are freed before the next."""
    for layer in list(captured.layers):
        values = captured.layers.pop(layer)

        def head(activation: Tensor = values.activation) -> Tensor:
            return class_map(model.module, activation, captured.logits, captured.targets, model.precision)

        values = replace(values, class_map=head, seeds=seeds)
        for name, method in methods.items():
            if isinstance(method, LayerMap):
                try:
                    results.maps[name, layer] = method(values)
                except InterpferError as error:
                    results.refused[name, layer] = str(error)
                    results.maps[name, layer] = values.activation.new_full(values.activation[:, 0].shape, torch.nan)


class ModelInputs(NamedTuple):
    """What all maps that run the model have in common.

    Attributes:
        model: the classifier.
        x: prepared input.
        targets: class index per face, -1 for none.
        seeds: function that returns one random seed per face.
        seed: random seed of the run.
    """

    model: Model
    x: Float[Tensor, "n c s s"]
    targets: Int[Tensor, " n"]
    seeds: Callable[[], tuple[int, ...]]
    seed: int


def add_model_maps(
    results: MapResults, inputs: ModelInputs, methods: Mapping[str, AnyMap], layers: Sequence[str]
) -> None:
    """Compute the maps that run the model themselves."""
    model, x, targets, seeds, seed = inputs
    for name, method in methods.items():
        if not isinstance(method, ModelMap):
            continue
        for layer in layers_of(method, tuple(layers)):
            context = MapContext(model, x, targets.clamp(min=0), layer, seeds(), seed)
            try:
                with hooked(model.module, {}), torch.set_grad_enabled(method.gradient):
                    raw = method.compute(context).detach().float()
                if method.class_specific:
                    raw = raw.where((targets >= 0)[:, None, None], torch.nan)
            except InterpferError as error:
                results.refused[name, layer] = str(error)
                raw = torch.full((len(x), 2, 2), torch.nan, device=x.device)
            results.maps[name, layer] = raw


def image_seeds(x: Tensor, seed: int) -> Callable[[], tuple[int, ...]]:
    """Return a function that returns one seed per image, from its pixels and the seed of the run."""

    @cache
    def draw() -> tuple[int, ...]:
        pixels = x.detach().float().cpu().numpy()
        digests = (hashlib.sha256(f"{seed}".encode() + image.tobytes()).digest() for image in pixels)
        return tuple(int.from_bytes(digest[:7], "big") for digest in digests)

    return draw
