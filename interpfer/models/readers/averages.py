"""Finds averaged weights (EMA, SWA) in a checkpoint: under keys, as a list without names, and by the names of tensors.

A training with averaging evaluates the averaged weights, so they take precedence over those of the last step.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

AVERAGED_KEYS = (
    "state_dict_ema",
    "model_ema",
    "model_ema_state_dict",
    "ema_state_dict",
    "ema_model",
    "params_ema",
    "ema",
    "swa_state_dict",
    "swa_model",
    "swa_model_state_dict",
    "swa",
    "averaged_model",
    "average_model_state",
)
"""Usual keys of averaged weights, in the order in which they are tried; ``AVERAGED`` names the others."""

AVERAGED = re.compile(r"(\w+_)?(ema|swa|avg|averaged?|polyak|shadow)(_[\w.]+)?", re.IGNORECASE)
"""Keys of averaged weights."""

NO_AVERAGED = re.compile(r"optim|sched|loss|criterion|teacher|discriminator|meter|grad|hook", re.IGNORECASE)
"""Keys that look like those of averaged weights but are not."""

PARAMETER_LIST = "shadow_params"
"""Key of averaged parameters that are a list without names, as of torch-ema and diffusers."""

STATISTICS = re.compile(r"(.*\.)?(running_mean|running_var|num_batches_tracked|n_averaged)")
"""Tensors of a state_dict that are no parameters."""

COUNTERS = ("initted", "step", "n_averaged", "decay", "num_updates")
"""Tensors beside averaged weights that belong to no network."""

RAW_TWIN = "online_model"
"""Part of ema-pytorch that holds the weights that were not averaged."""

Weights = Mapping[str, Tensor]


def list_averaged_keys(content: Mapping[Any, Any]) -> list[str]:
    """Return the keys that may hold averaged weights, the usual ones first.

    Examples:
        >>> list_averaged_keys({"model": {}, "avg_loss": 0.1, "swa_state_dict": {}, "net_ema": {}})
        ['swa_state_dict', 'net_ema']
    """
    usual = [key for key in AVERAGED_KEYS if key in content]
    others = [key for key in content if isinstance(key, str) and key not in usual and AVERAGED.fullmatch(key)]
    return usual + [key for key in others if not NO_AVERAGED.search(key)]


def holds_averages_elsewhere(content: Mapping[Any, Any]) -> bool:
    """Return whether the averaged weights are those under "state_dict": mmengine swaps both when it saves."""
    meta = content.get("meta")
    return isinstance(meta, Mapping) and "mmengine_version" in meta


def find_in_callbacks(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what callbacks of Lightning store under keys of averaged weights."""
    callbacks = content.get("callbacks")
    for name, state in callbacks.items() if isinstance(callbacks, Mapping) else ():
        for key in list_averaged_keys(state) if isinstance(state, Mapping) else ():
            yield f"callbacks.{name}.{key}", state[key]


def resembles(one: Weights, other: Weights) -> bool:
    """Return whether at least half of the tensors of one network have the shapes of another's.

    Examples:
        >>> resembles({"a": torch.ones(2, 3)}, {"b": torch.ones(2, 3), "c": torch.ones(4)})
        True
        >>> resembles({"loss": torch.tensor(1.0)}, {"b": torch.ones(2, 3)})
        False
    """
    shapes, others = (Counter(tuple(x.shape) for x in weights.values() if x.dim()) for weights in (one, other))
    return bool(shapes) and 2 * (shapes & others).total() >= shapes.total()


def has_same_parameters(one: Weights, other: Weights) -> bool:
    """Return whether two networks differ in nothing but statistics of batch normalisation."""
    names = [name for name in one if not STATISTICS.fullmatch(name)]
    return all(name in other and torch.equal(one[name], other[name]) for name in names)


def find_parameter_list(value: Any) -> Sequence[Tensor] | None:
    """Return averaged parameters without names: ``value`` itself, or its entry ``shadow_params``."""
    values = value.get(PARAMETER_LIST) if isinstance(value, Mapping) else value
    is_list = isinstance(values, list | tuple) and bool(values) and all(isinstance(each, Tensor) for each in values)
    return values if is_list else None


def name_parameters(values: Sequence[Tensor], weights: Weights) -> Weights | None:
    """Put averaged parameters without names in the place of the parameters of a state_dict, in order.

    Args:
        values: one tensor per parameter, in the order of ``parameters()``.
        weights: state_dict of the network; its buffers are kept.

    Returns:
        The averaged state_dict; None if numbers or shapes do not fit.

    Examples:
        >>> raw = {"conv.weight": torch.zeros(2), "bn.running_mean": torch.ones(2), "bn.bias": torch.zeros(2)}
        >>> averaged = name_parameters([torch.full((2,), 3.0), torch.full((2,), 4.0)], raw)
        >>> {name: float(value[0]) for name, value in averaged.items()}
        {'conv.weight': 3.0, 'bn.running_mean': 1.0, 'bn.bias': 4.0}
    """
    names = [name for name in weights if not STATISTICS.fullmatch(name)]
    if len(names) != len(values):
        return None
    if any(weights[name].shape != value.shape for name, value in zip(names, values, strict=True)):
        return None
    return {**weights, **dict(zip(names, values, strict=True))}


def split_averaged(weights: Weights) -> tuple[Weights, tuple[str, ...]]:
    """Return the averaged half of weights whose names begin with ``ema_model.`` or alike, and notes.

    Where the other half is a network of its own under another name, that network is left, with a note.

    Examples:
        >>> one, two = torch.ones(1, 1), torch.zeros(1, 1)
        >>> split_averaged({"online_model.fc.weight": two, "ema_model.fc.weight": one, "step": torch.tensor(5)})[1]
        ("the averaged weights under 'ema_model.' were read, not those under 'online_model.'",)
    """
    parts: dict[str, set[str]] = {}
    for name in weights:
        part, _, rest = name.partition(".")
        parts.setdefault(part, set()).add(rest)
    for part in parts:
        if not AVERAGED.fullmatch(part) or NO_AVERAGED.search(part) or parts[part] == {""}:
            continue
        others = [name for name in parts if name not in (part, RAW_TWIN, *COUNTERS)]
        if not others:
            note = f"the averaged weights under '{part}.' were read, not those under '{RAW_TWIN}.'"
            return select_by_prefix(weights, part), (note,) if RAW_TWIN in parts else ()
        plain = {_without_dots(name) for name in set(weights).union(*(parts[other] for other in others))}
        if 2 * len({_without_dots(name) for name in parts[part]} & plain) >= len(parts[part]):
            return weights, (f"the averaged weights under '{part}.' were not read; pass --key {part} to read them",)
    return weights, ()


def _without_dots(name: str) -> str:
    return name.removeprefix("module.").replace(".", "")


def select_by_prefix(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with a prefix, without it.

    Examples:
        >>> list(select_by_prefix({"ema.fc.bias": torch.ones(1), "fc.bias": torch.ones(1)}, "ema"))
        ['fc.bias']
    """
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
