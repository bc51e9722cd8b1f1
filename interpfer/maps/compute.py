"""Maps of a batch of images, for use without a data set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import PluginError
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
        ModelError: a layer is unknown.
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
    shown = capture(model, model.preprocess(images), chosen, _indices(model, targets), gradients)
    return {(name, layer): method(shown.layers[layer]) for name, method in methods.items() for layer in chosen}


def _indices(model: Model, targets: Tensor | Sequence[int | str] | None) -> Tensor | None:
    if targets is None or isinstance(targets, Tensor):
        return targets
    return torch.tensor([model.classes.index(item) if isinstance(item, str) else item for item in targets])
