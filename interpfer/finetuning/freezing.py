"""Which part of a network is frozen in a training, and which parameters affect which layer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from interpfer.choices import HALF
from interpfer.errors import ModelError, nearest
from interpfer.maps.capture import LayerRecorder
from interpfer.models.hooks import Hook, hooked
from interpfer.models.layers import split_call
from interpfer.models.model import Model


def frozen_names(model: Model, chosen: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of modules and parameters to freeze: those chosen, or those of the first half of the network.

    The first half is what the stage in the middle of the card's layers, else of the model's stages, depends on; a
    network with a single stage has none. Whole modules are named where possible, so that dropout and batch statistics
    are frozen too.

    Args:
        model: the classifier.
        chosen: names, or "half".
    """
    if chosen != HALF:
        return tuple(chosen)
    stages = model.layers("all") if model.spatial_layers else ()
    if len(stages) < 2:
        return ()
    end = stages[len(stages) // 2 - 1]
    needed, finished = affecting_parameters(model, end), _finished_modules(model, end)
    names: list[str] = []
    for name, module in model.module.named_modules():
        if any(name.startswith(f"{key}.") for key in names):
            continue
        if name in finished and needed.issuperset(f"{name}.{key}" for key, _ in module.named_parameters()):
            names.append(name)
        else:
            own = [f"{name}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)]
            names += [key for key in own if key in needed]
    return tuple(names)


def freeze(module: nn.Module, names: Iterable[str]) -> None:
    """Freeze the parameters below some modules, or of some names.

    Raises:
        ModelError: there is no such module or parameter.
    """
    parameters = dict(module.named_parameters())
    known = [key for key, _ in module.named_modules() if key]
    for name in names:
        keys = [key for key in parameters if key == name or key.startswith(f"{name}.")]
        if not keys and name not in known:
            raise ModelError(
                f"--freeze {name}: the network has no such module.{nearest(name, known)} "
                f"Top-level modules: {', '.join(key for key, _ in module.named_children())}."
            )
        for key in keys:
            parameters[key].requires_grad_(False)


def set_frozen_to_eval(module: nn.Module, names: Iterable[str], statistics: bool) -> None:
    """Put frozen modules into eval mode, so that their dropout is off and their batch statistics are frozen too.

    Args:
        module: in train mode.
        names: frozen modules.
        statistics: whether to freeze the statistics of batch normalisation everywhere.
    """
    for name, child in module.named_modules():
        is_frozen = any(name == key or name.startswith(f"{key}.") for key in names)
        if is_frozen or (statistics and _is_batch_norm(child)):
            child.training = False


def _is_batch_norm(module: nn.Module) -> bool:
    """Return whether a module is batch normalisation, of torch or of Keras."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or type(module).__name__ == "BatchNormalization"


def trainable_parameters(model: Model) -> set[str]:
    """Return the names of the parameters that are not frozen."""
    return {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}


def affecting_parameters(
    model: Model, layer: str | None = None, hooks: Mapping[nn.Module, Hook] | None = None
) -> set[str]:
    """Return the names of the parameters that a layer's output, or the logits, depend on.

    Args:
        model: the classifier; unchanged afterwards.
        layer: a spatial layer; None for the logits.
        hooks: forward hooks that cut the graph where it should end.
    """
    recorder = LayerRecorder(model, (layer,) if layer else (), gradients=False)
    parameters = {name: p for name, p in model.module.named_parameters() if p.is_floating_point()}
    with hooked(model.module, recorder.hooks | dict(hooks or {})), torch.enable_grad():
        for parameter in parameters.values():
            parameter.requires_grad_()
        logits = model.logits(model.noise)
        end = recorder.collect()[layer] if layer else logits
        values = list(parameters.values())
        slopes = (
            torch.autograd.grad(end.sum(), values, allow_unused=True) if end.requires_grad else [None] * len(values)
        )
        for parameter in parameters.values():
            parameter.requires_grad_(False)
    return {name for name, slope in zip(parameters, slopes, strict=True) if slope is not None}


def _finished_modules(model: Model, layer: str) -> set[str]:
    """Return the names of the modules whose last call ends no later than that of a layer, its own included."""
    names = {module: name for name, module in model.module.named_modules()}
    ran: list[str] = []

    def record(module: nn.Module, _: Any, __: Any) -> None:
        ran.append(names[module])

    with hooked(model.module, dict.fromkeys(names, record)), torch.no_grad():
        model.logits(model.noise)
    name, call = split_call(layer)
    end = [place for place, other in enumerate(ran) if other == name][(call or 1) - 1] + 1
    return set(ran[:end]) - set(ran[end:])
