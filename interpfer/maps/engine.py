"""The shared pass over a batch, and whatever single maps need beyond it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.base import AnyMap, LayerMap, MapContext, ModelMap, RawMap, layers_of
from interpfer.maps.capture import Capture, Forward, forward
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
        maps: (map, layer) -> (n, gh, gw); NaN where the map is refused.
        refused: (map, layer) -> why the map cannot be made there.
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
    """Return the raw maps of a batch; baselines are left to others.

    Args:
        model: the classifier.
        x: prepared input (``Model.preprocess``).
        methods: by name.
        layers: of the maps that have one.
        targets: class index per face, -1 for none; None takes the predicted class.
        seed: of maps that draw at random.

    Raises:
        ModelError: a layer does not run once.
    """
    wanted, sealed = methods, unsupported_maps(model, methods, layers)
    methods = {name: method for name, method in methods.items() if not any(key[0] == name for key in sealed)}
    shared, gradients = _shared(methods, layers)
    with forward(model, x, shared, gradients) as seen:
        results = MapResults(seen.logits.detach())
        chosen = seen.logits.detach().argmax(1) if targets is None else targets.to(x.device)
        captured = seen.backward(chosen) if gradients else seen.without_gradients(chosen)
    seeds = _seeds(x, seed)
    _draw_layers(results, model, captured, methods, seeds)
    _draw_models(results, model, x, methods, layers, chosen, seeds, seed)
    results.refused.update(sealed)
    results.maps.update({key: torch.full((len(x), 2, 2), torch.nan, device=x.device) for key in sealed})
    order = {key: index for index, key in enumerate(_keys(wanted, layers))}
    results.maps = dict(sorted(results.maps.items(), key=lambda item: order[item[0]]))
    return results


def unsupported_maps(model: Model, methods: Mapping[str, AnyMap], layers: Sequence[str]) -> dict[Key, str]:
    """Return the maps that a program does not allow, and why; none for a network that can be looked into."""
    program = model.program
    if program is None:
        return {}
    blind = (
        f"the layers of this {program.kind} cannot be seen; name its architecture (--arch), or choose maps "
        "of the input such as saliency, occlusion or rise."
    )
    flat = f"this {program.kind} has no gradients; choose maps that need none, such as occlusion or rise."
    found: dict[Key, str] = {}
    for name, method in methods.items():
        inside = isinstance(method, LayerMap) or (isinstance(method, ModelMap) and method.inside)
        if inside or (method.gradient and not program.differentiable):
            found |= dict.fromkeys(
                ((name, layer) for layer in layers_of(method, tuple(layers))), blind if inside else flat
            )
    return found


def find_duplicates(maps: Mapping[Key, RawMap], tolerance: float = 1e-5) -> dict[Key, Key]:
    """Find maps of one layer that are the same thing for every image of a batch.

    After pooling and one linear layer, gradcam, hirescam, xgradcam and the ReLU of cam are one map; where activations
    are not negative, layercam is gradcam-elementwise. Maps that are undefined for every image are no evidence.

    Args:
        maps: raw maps by (map, layer).
        tolerance: largest difference, relative to the largest magnitude in the map.

    Returns:
        (map, layer) -> the earlier (map, layer) that it repeats.
    """
    same: dict[Key, Key] = {}
    kept: list[Key] = []
    for key, raw in maps.items():
        size = raw.abs().amax((1, 2))
        if not (size.isfinite() & (size > 0)).any():
            continue
        for other in kept:
            against = maps[other]
            if other[1] == key[1] and against.shape == raw.shape and _close(raw, against, size, tolerance):
                same[key] = other
                break
        else:
            kept.append(key)
    return same


def require_named(
    refused: Mapping[Key, str], methods: Mapping[str, AnyMap], layers: Sequence[str], named: set[str], model: str
) -> None:
    """Check that every map that was asked for by its own name can be made somewhere.

    Raises:
        ModelError: it cannot, and why.
    """
    for name in named & set(methods):
        keys = [(name, layer) for layer in layers_of(methods[name], tuple(layers))]
        if keys and all(key in refused for key in keys):
            raise ModelError(f"map '{name}' cannot be made for model {model} at {keys[-1][1]}: {refused[keys[-1]]}")


def _close(raw: Tensor, other: Tensor, size: Tensor, tolerance: float) -> bool:
    gap = (raw - other).abs().amax((1, 2))
    both = raw.isnan().all(2).all(1) & other.isnan().all(2).all(1)
    return bool(((gap <= tolerance * size) | both).all())


def _shared(methods: Mapping[str, AnyMap], layers: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the layers of the shared pass, and whether it goes backward."""
    maps = [method for method in methods.values() if isinstance(method, LayerMap)]
    return (tuple(layers) if maps else ()), any(method.gradient for method in maps)


def _keys(methods: Mapping[str, AnyMap], layers: Sequence[str]) -> list[Key]:
    return [(name, layer) for name, method in methods.items() for layer in layers_of(method, tuple(layers))]


def _draw_layers(
    results: MapResults,
    model: Model,
    captured: Capture,
    methods: Mapping[str, AnyMap],
    seeds: Callable[[], tuple[int, ...]],
) -> None:
    """Draw the maps layer by layer, so that what they share is freed with the layer."""
    for layer in list(captured.layers):
        seen = captured.layers.pop(layer)

        def head(activation: Tensor = seen.activation) -> Tensor:
            return class_map(model.module, activation, captured.logits, captured.targets, model.precision)

        seen = replace(seen, class_map=head, seeds=seeds)
        for name, method in methods.items():
            if isinstance(method, LayerMap):
                try:
                    results.maps[name, layer] = method(seen)
                except InterpferError as error:
                    results.refused[name, layer] = str(error)
                    results.maps[name, layer] = seen.activation.new_full(seen.activation[:, 0].shape, torch.nan)


def _draw_models(
    results: MapResults,
    model: Model,
    x: Tensor,
    methods: Mapping[str, AnyMap],
    layers: Sequence[str],
    targets: Tensor,
    seeds: Callable[[], tuple[int, ...]],
    seed: int,
) -> None:
    for name, method in methods.items():
        if not isinstance(method, ModelMap):
            continue
        for layer in layers_of(method, tuple(layers)):
            scene = MapContext(model, x, targets.clamp(min=0), layer, seeds(), seed)
            try:
                with hooked(model.module, {}), torch.set_grad_enabled(method.gradient):
                    raw = method.compute(scene).detach().float()
                if method.class_specific:
                    raw = raw.where((targets >= 0)[:, None, None], torch.nan)
            except InterpferError as error:
                results.refused[name, layer] = str(error)
                raw = torch.full((len(x), 2, 2), torch.nan, device=x.device)
            results.maps[name, layer] = raw


def run_all_classes(
    model: Model, x: Tensor, methods: Mapping[str, AnyMap], layers: Sequence[str], seed: int
) -> MapResults:
    """Give every class its maps: one forward, and a backward for each class."""
    per_class: list[MapResults] = []
    sealed = unsupported_maps(model, methods, layers)
    methods = {name: method for name, method in methods.items() if not any(key[0] == name for key in sealed)}
    layer_maps = {name: method for name, method in methods.items() if isinstance(method, LayerMap)}
    others = {name: method for name, method in methods.items() if not isinstance(method, LayerMap)}
    shared, gradients = _shared(layer_maps, layers)
    seeds = _seeds(x, seed)
    with forward(model, x, shared, gradients) as seen:
        classes = range(seen.logits.shape[1])
        for index in classes:
            targets = torch.full((len(x),), index, device=x.device)
            results = MapResults(seen.logits.detach())
            wanted = {name: method for name, method in layer_maps.items() if method.class_specific or index == 0}
            _draw_layers(results, model, _captured(seen, targets, gradients), wanted, seeds)
            per_class.append(results)
    for results, index in zip(per_class, classes, strict=True):
        targets = torch.full((len(x),), index, device=x.device)
        wanted_others = {name: method for name, method in others.items() if method.class_specific or index == 0}
        _draw_models(results, model, x, wanted_others, layers, targets, seeds, seed)
    keys = [key for key in _keys(methods, layers) if key in per_class[0].maps]
    maps = {
        key: torch.stack([(results if key in results.maps else per_class[0]).maps[key] for results in per_class], 1)
        for key in keys
    }
    refused = {key: why for results in per_class for key, why in results.refused.items()}
    return MapResults(per_class[0].logits, maps, refused | sealed)


def _captured(seen: Forward, targets: Tensor, gradients: bool) -> Capture:
    return seen.backward(targets, keep=True) if gradients else seen.without_gradients(targets)


def _seeds(x: Tensor, seed: int) -> Callable[[], tuple[int, ...]]:
    """Return a function that draws one seed per image out of its pixels and the seed of the run."""

    @cache
    def draw() -> tuple[int, ...]:
        pixels = x.detach().float().cpu().numpy()
        digests = (hashlib.sha256(f"{seed}".encode() + image.tobytes()).digest() for image in pixels)
        return tuple(int.from_bytes(digest[:7], "big") for digest in digests)

    return draw
