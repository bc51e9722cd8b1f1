"""Maps of several classes, or action units, of each image: one forward, and a backward for each of them."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from interpfer.maps.base import AnyMap, LayerMap, layers_of
from interpfer.maps.capture import Capture, Forward, forward
from interpfer.maps.engine import (
    MapResults,
    ModelInputs,
    add_layer_maps,
    add_model_maps,
    image_seeds,
    list_keys,
    shared_pass,
    unsupported_maps,
)
from interpfer.models.model import Model


def run_all_classes(
    model: Model, x: Tensor, methods: Mapping[str, AnyMap], layers: Sequence[str], seed: int
) -> MapResults:
    """Return the maps of every class, (n, k, gh, gw), as ``run_several``."""
    classes = torch.arange(len(model.outputs), device=x.device)
    return run_several(model, x, methods, layers, classes.expand(len(x), -1), seed)


def run_several(
    model: Model,
    x: Tensor,
    methods: Mapping[str, AnyMap],
    layers: Sequence[str],
    targets: Int[Tensor, "n t"],
    seed: int = 0,
) -> MapResults:
    """Return the maps of several classes per image: one forward, and as many backwards as an image has classes.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input.
        methods: name -> map.
        layers: names of the layers of maps that have one.
        targets: the t classes to explain of each image, at least one; -1 for none.
        seed: random seed.

    Returns:
        Maps (n, t, gh, gw) with an axis of the classes.
    """
    per_class: list[MapResults] = []
    unsupported = unsupported_maps(model, methods, layers)
    methods = {
        name: method
        for name, method in methods.items()
        if any((name, layer) not in unsupported for layer in layers_of(method, tuple(layers)))
    }
    layer_maps = {name: method for name, method in methods.items() if isinstance(method, LayerMap)}
    others = {name: method for name, method in methods.items() if not isinstance(method, LayerMap)}
    shared, gradients = shared_pass(layer_maps, layers)
    seeds, passes = image_seeds(x, seed), list(enumerate(targets.to(x.device).unbind(1)))
    with forward(model, x, shared, gradients) as run:
        for index, chosen in passes:
            results = MapResults(run.logits.detach())
            own = {name: method for name, method in layer_maps.items() if method.class_specific or index == 0}
            add_layer_maps(results, model, _captured(run, chosen, gradients), own, seeds)
            per_class.append(results)
    for results, (index, chosen) in zip(per_class, passes, strict=True):
        own_others = {name: method for name, method in others.items() if method.class_specific or index == 0}
        add_model_maps(results, ModelInputs(model, x, chosen, seeds, seed), own_others, layers)
    keys = [key for key in list_keys(methods, layers) if key in per_class[0].maps]
    maps = {
        key: torch.stack([(results if key in results.maps else per_class[0]).maps[key] for results in per_class], 1)
        for key in keys
    }
    refused = {key: why for results in per_class for key, why in results.refused.items()}
    return MapResults(per_class[0].logits, maps, refused | unsupported)


def _captured(run: Forward, targets: Tensor, gradients: bool) -> Capture:
    return run.backward(targets, keep=True) if gradients else run.without_gradients(targets)
