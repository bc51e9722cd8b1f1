"""Maps of a batch of images, for use without a data set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import ModelError, PluginError
from interpfer.expressions import canonical
from interpfer.maps import MAPS, select_maps
from interpfer.maps.base import BaselineMap, LayerMap
from interpfer.maps.capture import capture
from interpfer.models.model import Model


def compute_maps(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str] = ("attention", "gradcam"),
    layers: str | Sequence[str] = "last",
    targets: Int[Tensor, " n"] | Sequence[int | str] | None = None,
) -> dict[tuple[str, str], Float[Tensor, "n gh gw"]]:
    """Return raw maps out of one forward and one backward.

    Args:
        model: the classifier.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names.
        targets: per image the index of an output or the name of a class, -1 for none; by default the predicted class.

    Returns:
        (map, layer) -> maps at the layer's own grid.

    Raises:
        PluginError: a map is unknown, or a baseline, which needs a data set.
        ModelError: a layer is unknown, or a target is none of the model's classes.
    """
    methods: dict[str, LayerMap] = {}
    for name in select_maps(maps):
        method = MAPS.get(name)
        if isinstance(method, BaselineMap):
            if isinstance(maps, str) or name in maps:
                raise PluginError(f"map '{name}' is a baseline: it needs a data set; see interpfer.score.")
            continue
        methods[name] = method
    chosen = model.layers(layers if isinstance(layers, str) else list(layers))
    gradients = any(method.gradient for method in methods.values())
    shown = capture(model, model.preprocess(images), chosen, _indices(model, targets, len(images)), gradients)
    return {(name, layer): method(shown.layers[layer]) for name, method in methods.items() for layer in chosen}


def _indices(model: Model, targets: Tensor | Sequence[int | str] | None, n: int) -> Tensor | None:
    if targets is None:
        return None
    places = targets.tolist() if isinstance(targets, Tensor) else [_index(model, target) for target in targets]
    if len(places) != n:
        raise ModelError(f"{len(places)} targets for {n} images.")
    for place in places:
        if not -1 <= place < len(model.classes):
            raise ModelError(f"target {place} is no output of model {model.name}, which has {len(model.classes)}.")
    return torch.tensor(places, dtype=torch.long)


def _index(model: Model, target: int | str) -> int:
    if not isinstance(target, str):
        return target
    name = canonical(target)
    if name not in model.classes:
        raise ModelError(f"model {model.name} has no class '{name}'; it has {', '.join(model.classes)}.")
    return model.classes.index(name)
