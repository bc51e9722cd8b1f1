"""Maps of a batch: the shared forward and backward, then the maps that run the model themselves."""

from collections.abc import Mapping, Sequence
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import INPUT, AnyMap, LayerMap, ModelMap, RawMap, layers_of
from interpfer.maps.batch_maps import BatchMaps
from interpfer.maps.computing import Key, MapResults
from interpfer.maps.refining import bases_of
from interpfer.models.model import Model

__all__ = [
    "Key",
    "MapResults",
    "detached_maps",
    "find_duplicates",
    "require_named",
    "run_maps",
    "unsupported_maps",
]


OF_PICTURES = (
    "it is a map of classifiers of pictures, and this one takes clips; choose maps of one pass such as attention, "
    "gradcam, layercam or saliency."
)


def run_maps(
    model: Model,
    x: Float[Tensor, "n c s s"],
    methods: Mapping[str, AnyMap],
    layers: Sequence[str],
    targets: Int[Tensor, " n"] | None = None,
    seed: int = 0,
    rows: Sequence[int] | None = None,
) -> MapResults:
    """Return the raw maps of a batch; baselines among the methods are left out, unless they have refiners.

    Args:
        model: the classifier.
        x: (n, c, s, s) prepared input (``Model.preprocess``), whole clips of a classifier of clips.
        methods: name -> map.
        layers: names of the layers of maps that have one.
        targets: (n,) class index per face, -1 for none; None for the predicted class.
        seed: random seed.
        rows: position of each face in the data set, from which random baselines are drawn; None for their pixels.

    Raises:
        ModelError: a layer does not run exactly once.
    """
    unsupported = unsupported_maps(model, bases_of(methods) | dict(methods), layers)
    batch = BatchMaps(model, x, methods, tuple(layers), seed, rows, unsupported, partial(run_maps, model))
    with batch.forward() as run:
        chosen = run.logits.detach().argmax(1) if targets is None else targets.to(x.device)
        classes = batch.compute_classes(run)
        captured = batch.capture(run, chosen)
    return batch.finish(batch.compute(captured), batch.finish_classes(classes))


def unsupported_maps(model: Model, methods: Mapping[str, AnyMap], layers: Sequence[str]) -> dict[Key, str]:
    """Return the maps that a model does not allow, and why.

    Some need pictures, the layers of a network where there is only a program, or gradients where it runs without.
    """
    if model.frames > 1:
        kept = {name: method for name, method in methods.items() if method.clips}
        of_pictures = {name: method for name, method in methods.items() if not method.clips}
        keys = [(name, layer) for name, method in of_pictures.items() for layer in layers_of(method, tuple(layers))]
        return dict.fromkeys(keys, OF_PICTURES) | _unsupported(model, kept, layers)
    return _unsupported(model, methods, layers)


def _unsupported(model: Model, methods: Mapping[str, AnyMap], layers: Sequence[str]) -> dict[Key, str]:
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
