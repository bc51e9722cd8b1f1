"""Which part of a network rests in a training, and what that part reaches."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from interpfer.errors import ModelError, nearest
from interpfer.maps.capture import LayerRecorder
from interpfer.models.hooks import Hook, hooked
from interpfer.models.layers import split_call
from interpfer.models.model import Model


def frozen_names(model: Model, chosen: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return which modules and parameters rest: those named, or "half", the first half of the network.

    The half is what the stage in the middle of the card's layers, else of the model's stages, needs; a network with a
    single stage has none. Whole modules are named where they can be, so that dropout and batch statistics rest too.
    """
    if chosen != "half":
        return tuple(chosen)
    stages = model.layers("all") if model.spatial_layers else ()
    if len(stages) < 2:
        return ()
    end = stages[len(stages) // 2 - 1]
    needed, ran = reached(model, end), _ran_until(model, end)
    found: list[str] = []
    for name, module in model.module.named_modules():
        if any(name.startswith(f"{key}.") for key in found):
            continue
        if name in ran and needed.issuperset(f"{name}.{key}" for key, _ in module.named_parameters()):
            found.append(name)
        else:
            own = [f"{name}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)]
            found += [key for key in own if key in needed]
    return tuple(found)


def freeze(module: nn.Module, names: Iterable[str]) -> None:
    """Freeze the parameters below some modules, or of some names.

    Raises:
        ModelError: there is no such module or parameter.
    """
    parameters = dict(module.named_parameters())
    known = [key for key, _ in module.named_modules() if key]
    for name in names:
        chosen = [key for key in parameters if key == name or key.startswith(f"{name}.")]
        if not chosen and name not in known:
            raise ModelError(
                f"--freeze {name}: the network has no such module.{nearest(name, known)} "
                f"At its top: {', '.join(key for key, _ in module.named_children())}."
            )
        for key in chosen:
            parameters[key].requires_grad_(False)


def rest_frozen(module: nn.Module, names: Iterable[str], statistics: bool) -> None:
    """Put what is frozen into eval mode, so that its dropout and batch statistics rest too.

    Args:
        module: in train mode.
        names: frozen modules.
        statistics: whether batch normalisation keeps its statistics everywhere.
    """
    for name, child in module.named_modules():
        frozen = any(name == key or name.startswith(f"{key}.") for key in names)
        if frozen or (statistics and isinstance(child, nn.modules.batchnorm._BatchNorm)):
            child.training = False


def trainable(model: Model) -> set[str]:
    """Return the names of the parameters that are not frozen."""
    return {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}


def reached(model: Model, layer: str | None = None, hooks: Mapping[nn.Module, Hook] | None = None) -> set[str]:
    """Return the names of the parameters that a layer's output, or the logits, depend on.

    Args:
        model: the classifier; left as it was found.
        layer: a spatial layer; None for the logits.
        hooks: on forwards, to cut the graph where it should end.
    """
    watch = LayerRecorder(model, (layer,) if layer else (), gradients=False)
    parameters = {name: p for name, p in model.module.named_parameters() if p.is_floating_point()}
    with hooked(model.module, watch.hooks | dict(hooks or {})), torch.enable_grad():
        for parameter in parameters.values():
            parameter.requires_grad_()
        logits = model.logits(model.noise)
        end = watch.collect()[layer] if layer else logits
        values = list(parameters.values())
        slopes = (
            torch.autograd.grad(end.sum(), values, allow_unused=True) if end.requires_grad else [None] * len(values)
        )
        for parameter in parameters.values():
            parameter.requires_grad_(False)
    return {name for name, slope in zip(parameters, slopes, strict=True) if slope is not None}


def _ran_until(model: Model, layer: str) -> set[str]:
    """Return the names of the modules that have finished for good when a layer has, its own included."""
    names = {module: name for name, module in model.module.named_modules()}
    ran: list[str] = []

    def note(module: nn.Module, _: Any, __: Any) -> None:
        ran.append(names[module])

    with hooked(model.module, dict.fromkeys(names, note)), torch.no_grad():
        model.logits(model.noise)
    name, call = split_call(layer)
    end = [place for place, finished in enumerate(ran) if finished == name][(call or 1) - 1] + 1
    return set(ran[:end]) - set(ran[end:])
