"""Maps of several classes, or action units, of each image: one forward, and a backward for each of them."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from interpfer.maps.base import AnyMap
from interpfer.maps.batch_maps import BatchMaps, Parts
from interpfer.maps.computing import MapResults, list_keys
from interpfer.maps.engine import run_maps, unsupported_maps
from interpfer.maps.refining import bases_of
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
    rows: Sequence[int] | None = None,
) -> MapResults:
    """Return the maps of several classes per image: one forward, and as many backwards as an image has classes.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input.
        methods: name -> map.
        layers: names of the layers of maps that have one.
        targets: the t classes to explain of each image, at least one; -1 for none.
        seed: random seed.
        rows: as for ``run_maps``.

    Returns:
        Maps (n, t, gh, gw) with an axis of the classes.
    """
    unsupported = unsupported_maps(model, bases_of(methods) | dict(methods), layers)
    batch = BatchMaps(model, x, methods, tuple(layers), seed, rows, unsupported, partial(run_maps, model))
    parts: list[Parts] = []
    with batch.forward() as run:
        classes = batch.compute_classes(run)
        for index, chosen in enumerate(targets.to(x.device).unbind(1)):
            own = {name: method for name, method in methods.items() if method.class_specific or index == 0}
            captured = batch.capture(run, chosen, keep=True)
            parts.append(batch.compute(captured, own))
    of_classes = batch.finish_classes(classes)
    per_class = [batch.finish(each, of_classes) for each in parts]
    maps = {
        key: torch.stack([(results if key in results.maps else per_class[0]).maps[key] for results in per_class], 1)
        for key in list_keys(methods, layers)
        if key in per_class[0].maps and key not in unsupported
    }
    refused = {key: why for results in per_class for key, why in results.refused.items()}
    return MapResults(per_class[0].logits, maps, refused)
