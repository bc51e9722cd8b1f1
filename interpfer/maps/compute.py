"""Maps of a batch of images, without a data set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import ModelError, PluginError
from interpfer.labels import canonical
from interpfer.maps import DEFAULT_MAPS, MAPS, PROGRAM_MAPS, named_maps, select_maps
from interpfer.maps.base import AnyMap, BaselineMap
from interpfer.maps.batch_size import auto_batch_size, require_batch_size, whole_clips
from interpfer.maps.engine import Key, MapResults, require_named, run_maps, unsupported_maps
from interpfer.maps.several_targets import run_all_classes
from interpfer.models.clips import count_clips
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
    """Return raw maps; those of activations and gradients share one forward and one backward.

    Args:
        model: the classifier.
        images: (n, 3, h, w) RGB in [0, 1], any size; for a classifier of clips, frames of whole clips in order.
        maps: names or groups, as a list or comma-separated.
        layers: "last", "all", or names; ``name@2`` is the second call of a module in one forward.
        targets: index or name of a class per image, -1 for none; one name for all images; None or "predicted" for the
            predicted class; "all" for a map of every class, out of one forward and a backward per class.
        seed: random seed.
        batch_size: images per forward; "auto" for as many as fit into memory.
        autocast: "off", or "bf16" or "fp16" for half precision, which changes maps of early layers.

    Returns:
        (map, layer) -> (n, gh, gw) maps at the layer's own grid, (n, k, gh, gw) for all k classes. The layer of a map
        without one is "input". Maps of a group that cannot be computed are left out.

    Raises:
        InterpferError: the batch size is not a number from 1 on, or "auto".
        PluginError: a map is unknown, or a baseline, which needs a data set.
        ModelError: a layer is unknown, or a map that is named cannot be computed.

    Examples:
        >>> from interpfer import load_model
        >>> network = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2))
        >>> model = load_model(network, classes=["anger", "fear"], input_size=4)
        >>> images = torch.rand(2, 3, 4, 4)
        >>> maps = compute_maps(model, images, maps="attention", layers="0")
        >>> torch.equal(maps["attention", "0"], images.mean(1))  # the ReLU returns the image
        True
    """
    _require_inputs(model, images, batch_size)
    methods, chosen = model_maps(maps), model.layers(layers)
    all_classes = isinstance(targets, str) and targets == ALL_CLASSES
    indices, parts = None if all_classes else _indices(model, targets, len(images)), []
    with model.autocast(autocast):
        if isinstance(batch_size, str):
            gradients = any(method.gradient for method in methods.values())
            batch_size = auto_batch_size(model, chosen, gradients, len(images))
        for start in range(0, len(images), step := whole_clips(batch_size, model)):
            rows = slice(start, start + step)
            x = model.preprocess(images[rows])
            if all_classes:
                results = run_all_classes(model, x, methods, chosen, seed)
            else:
                results = run_maps(model, x, methods, chosen, None if indices is None else indices[rows], seed)
            parts.append(_computed(results, model, methods, chosen, named_maps(maps)))
    keys = parts[0] if parts else {}
    return {key: torch.cat([part[key] for part in parts]) for key in keys if all(key in part for part in parts)}


def _require_inputs(model: Model, images: Tensor, batch_size: int | str) -> None:
    require_batch_size(batch_size)
    count_clips(len(images), model.frames, model.name)


def _computed(
    results: MapResults, model: Model, methods: dict[str, AnyMap], layers: tuple[str, ...], named: set[str]
) -> dict[Key, Tensor]:
    """Return the maps of a batch without the refused ones that only a group requested."""
    require_named(results.refused, methods, layers, named, model.name)
    return {key: raw for key, raw in results.maps.items() if key not in results.refused or key[0] in named}


def default_maps(model: Model) -> tuple[str, ...]:
    """Return the default maps of a model: those that it allows."""
    if model.program is None:
        return DEFAULT_MAPS
    unsupported = unsupported_maps(model, {name: MAPS.get(name) for name in PROGRAM_MAPS}, ())
    return tuple(name for name in PROGRAM_MAPS if not any(key[0] == name for key in unsupported))


def model_maps(maps: str | Sequence[str]) -> dict[str, AnyMap]:
    """Return maps by name; baselines of a group are left out.

    Raises:
        PluginError: a map is unknown, or a baseline that is requested by its name.
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
        indices = targets.tolist()
    else:
        indices = [_index(model, target) for target in ([targets] * n if isinstance(targets, str) else targets)]
    if len(indices) != n:
        raise ModelError(f"{len(indices)} targets for {n} images; pass one per image.")
    for index in indices:
        if not -1 <= index < len(model.outputs):
            raise ModelError(
                f"target must be between -1 and {len(model.outputs) - 1} for model {model.name}, got {index}."
            )
    return torch.tensor(indices, dtype=torch.long)


def _index(model: Model, target: int | str) -> int:
    if not isinstance(target, str):
        return target
    name = target if target in model.outputs else canonical(target)
    if name not in model.outputs:
        raise ModelError(f"model {model.name} has no class '{name}'; it has {', '.join(model.outputs)}.")
    return model.outputs.index(name)
