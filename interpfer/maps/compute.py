"""Maps of a batch of images, for use without a data set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import ModelError, PluginError
from interpfer.labels import canonical
from interpfer.maps import DEFAULT_MAPS, MAPS, PROGRAM_MAPS, named_maps, select_maps
from interpfer.maps.base import AnyMap, BaselineMap
from interpfer.maps.batch_size import auto_batch_size, require_batch_size
from interpfer.maps.engine import Key, require_named, run_all_classes, run_maps, unsupported_maps
from interpfer.models.model import Model

ALL_CLASSES = "all"


def compute_maps(
    model: Model,
    images: Float[Tensor, "n 3 h w"],
    maps: str | Sequence[str] = ("attention", "gradcam"),
    layers: str | Sequence[str] = "last",
    targets: Int[Tensor, " n"] | Sequence[int | str] | str | None = None,
    *,
    seed: int = 0,
    batch_size: int | str = "auto",
    autocast: str = "off",
) -> dict[Key, Float[Tensor, "n *k gh gw"]]:
    """Return raw maps; all those of activations and gradients come out of one forward and one backward.

    Args:
        model: the classifier.
        images: RGB in [0, 1], any size.
        maps: names or groups.
        layers: "last", "all", or names; ``name@2`` is the second call of a module in one forward.
        targets: per image the index of an output or the name of a class, -1 for none; one name for all images; by
            default (or "predicted") the predicted class; "all" gives every class its map, out of one forward and as
            many backwards as there are classes.
        seed: of maps that draw at random.
        batch_size: images per forward; "auto" takes as many as fit into memory.
        autocast: "bf16" or "fp16" lets the network compute in half precision where it can; maps of early layers move.

    Returns:
        (map, layer) -> maps at the layer's own grid, with a second axis of classes if all are asked for. A map
        without a layer has the layer "input". A map out of a group that cannot be made is left out.

    Raises:
        InterpferError: the batch size is none.
        PluginError: a map is unknown, or a baseline, which needs a data set.
        ModelError: a layer is unknown, or a map that is named cannot be made.
    """
    require_batch_size(batch_size)
    named = named_maps(maps)
    methods = model_maps(maps)
    chosen = model.layers(layers)
    everything = targets == ALL_CLASSES if isinstance(targets, str) else False
    indices = None if everything else _indices(model, targets, len(images))
    parts = []
    with model.autocast(autocast):
        if isinstance(batch_size, str):
            gradients = any(method.gradient for method in methods.values())
            batch_size = auto_batch_size(model, chosen, gradients, len(images))
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            x = model.preprocess(images[part])
            if everything:
                shown = run_all_classes(model, x, methods, chosen, seed)
            else:
                shown = run_maps(model, x, methods, chosen, None if indices is None else indices[part], seed)
            require_named(shown.refused, methods, chosen, named, model.name)
            parts.append({key: raw for key, raw in shown.maps.items() if key not in shown.refused or key[0] in named})
    keys = parts[0] if parts else {}
    return {key: torch.cat([part[key] for part in parts]) for key in keys if all(key in part for part in parts)}


def default_maps(model: Model) -> tuple[str, ...]:
    """Return the maps that are made where none are asked for: those that the model allows."""
    if model.program is None:
        return DEFAULT_MAPS
    sealed = unsupported_maps(model, {name: MAPS.get(name) for name in PROGRAM_MAPS}, ())
    return tuple(name for name in PROGRAM_MAPS if not any(key[0] == name for key in sealed))


def model_maps(maps: str | Sequence[str]) -> dict[str, AnyMap]:
    """Return maps by name; those out of a group that are baselines are left out.

    Raises:
        PluginError: a map is unknown, or a baseline that is asked for by its name.
    """
    methods: dict[str, AnyMap] = {}
    for name in select_maps(maps):
        method = MAPS.get(name)
        if not isinstance(method, BaselineMap):
            methods[name] = method
        elif name in named_maps(maps):
            raise PluginError(f"map '{name}' is a baseline: it needs a data set; see interpfer.score.")
    return methods


def _indices(model: Model, targets: Tensor | Sequence[int | str] | str | None, n: int) -> Tensor | None:
    if targets is None or (isinstance(targets, str) and targets == "predicted"):
        return None
    if isinstance(targets, Tensor):
        places = targets.tolist()
    else:
        places = [_index(model, target) for target in ([targets] * n if isinstance(targets, str) else targets)]
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
