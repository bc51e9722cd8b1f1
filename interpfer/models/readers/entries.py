"""Reads the entries of an unpickled checkpoint: weights and modules, and which of them are averaged."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from interpfer.models.readers.averages import (
    PARAMETER_LIST,
    find_in_callbacks,
    find_parameter_list,
    has_same_parameters,
    holds_averages_elsewhere,
    list_averaged_keys,
    name_parameters,
    resembles,
    split_averaged,
)
from interpfer.models.readers.inert import extract_weights, is_module

CARD_KEY = "card"

WEIGHT_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "net_state_dict",
    "network",
    "weights",
    "params",
    "module",
    "shadow",
)
"""Usual keys of weights, in the order in which they are tried."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to every name."""

OTHER_KEYS = re.compile(
    r"optim|sched|scaler|criterion|loss|center|teacher|discriminator|ema|swa|averag|polyak|rng|queue|amp", re.IGNORECASE
)
"""Keys of tensors that are not part of the classifier."""

MAX_DEPTH = 2
"""Levels of dictionaries and lists within one another in which networks are looked for."""


@dataclass(frozen=True)
class Contents:
    """Weights or a module, and where they were in the file.

    Attributes:
        weights: name -> tensor, without the prefixes of wrappers; None if the file holds a module.
        module: a whole module, or None.
        class_name: class of a module whose code did not run.
        where: key of the weights; "" for the file itself.
        card: raw fields of a model card.
        skipped: keys that were not read.
        notes: notes for the user.
    """

    weights: Mapping[str, Tensor] | None = None
    module: nn.Module | None = None
    class_name: str | None = None
    where: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_weights(value: Any) -> bool:
    """Return whether a value is a state_dict."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items())
    )


def strip_wrappers(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Remove the prefixes of wrappers if all names have them.

    Examples:
        >>> import torch
        >>> list(strip_wrappers({"module._orig_mod.fc.bias": torch.ones(1)}))
        ['fc.bias']
    """
    stripped = {name: value for name, value in weights.items() if name != "n_averaged"}
    while prefix := next((p for p in WRAPPERS if stripped and all(name.startswith(p) for name in stripped)), None):
        weights = stripped = {name.removeprefix(prefix): value for name, value in stripped.items()}
    return weights


def list_networks(content: Any, depth: int = MAX_DEPTH) -> dict[str, Contents]:
    """Return the networks in dictionaries, lists and tuples, by their keys joined with dots.

    Examples:
        >>> import torch
        >>> network = {"fc.weight": torch.ones(2, 2)}
        >>> list(list_networks({"folds": [network, network], "epoch": 3, "optimizer": network}))
        ['folds.0', 'folds.1']
    """
    is_sequence = isinstance(content, list | tuple)
    items = enumerate(content) if is_sequence else content.items() if isinstance(content, Mapping) else ()
    found: dict[str, Contents] = {}
    for key, value in items:
        if not is_sequence and (not isinstance(key, str) or OTHER_KEYS.search(key)):
            continue
        if isinstance(value, Mapping) and "param_groups" in value:
            continue
        if (entry := read_entry(value)) is not None:
            found[str(key)] = entry
        elif depth:
            found |= {f"{key}.{inner}": entry for inner, entry in list_networks(value, depth - 1).items()}
    return found


def named_tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors of a dictionary that have names."""
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def to_contents(weights: Mapping[str, Tensor]) -> Contents:
    """Return weights without the prefixes of wrappers, and of averaged weights beside their twins the averaged ones."""
    averaged, notes = split_averaged(strip_wrappers(weights))
    return Contents(strip_wrappers(averaged), notes=notes)


def read_entry(value: Any) -> Contents | None:
    """Return the weights or the module in an entry, also one level deeper; None if there are none."""
    if isinstance(value, nn.Module):
        return Contents(module=value)
    if is_module(value):
        return replace(to_contents(extract_weights(value)), class_name=value.name)
    if is_weights(value):
        return to_contents(value)
    if not isinstance(value, Mapping) or "param_groups" in value:
        return None
    source = next((key for key in ("module", "shadow", *WEIGHT_KEYS) if is_weights(value.get(key))), "")
    inner = value[source] if source else named_tensors(value)
    if not source and 2 * len(inner) <= len(value):
        return None
    plain = to_contents(inner)
    averaged, notes = find_averaged(value, plain, source)
    return averaged or replace(plain, notes=(*plain.notes, *notes))


def find_averaged(
    content: Mapping[Any, Any], plain: Contents | None, source: str = ""
) -> tuple[Contents | None, tuple[str, ...]]:
    """Find the averaged weights of a file.

    Args:
        content: the file, or an entry of it.
        plain: the weights that are not averaged; None if there are none.
        source: key of ``plain``.

    Returns:
        The averaged weights or None, and notes on those that were not read.
    """
    keys = [key for key in list_averaged_keys(content) if key != source]
    if plain is not None and holds_averages_elsewhere(content):
        others = [key for key in keys if read_entry(content[key]) is not None]
        note = f"the weights under '{plain.where}' are the averaged ones; mmengine keeps the others under"
        return None, tuple(f"{note} '{key}'" for key in others)
    lists = [key for key, value in content.items() if isinstance(value, Mapping) and PARAMETER_LIST in value]
    if PARAMETER_LIST in content:
        lists.append(PARAMETER_LIST)
    entries = [(key, content[key]) for key in dict.fromkeys([*keys, *lists])]
    unread: list[str] = []
    for key, value in [*entries, *find_in_callbacks(content)]:
        averaged = _read_averaged(value, plain)
        if averaged is not None:
            if plain is not None and key.startswith("callbacks.") and _is_same(averaged, plain):
                continue
            where = f"those under '{plain.where}'" if plain is not None and plain.where else "the others of the file"
            read = [f"the averaged weights under '{key}' were read, not {where}"] if plain is not None else []
            skipped = list_others(content, key.partition(".")[0])
            return replace(averaged, where=key, skipped=skipped, notes=(*averaged.notes, *read)), ()
        if find_parameter_list(value):
            unread.append(
                f"the averaged parameters under '{key}' were not read: they are a list without names, and do not fit "
                "the network"
            )
        elif plain is not None and (entry := read_entry(value)) is not None and _has_matrices(entry):
            unread.append(f"the weights under '{key}' were not read: they are those of another network")
    return None, tuple(unread)


def _read_averaged(value: Any, plain: Contents | None) -> Contents | None:
    """Return averaged weights, if they are those of the network; of a list without names the buffers are the others."""
    entry, values = read_entry(value), find_parameter_list(value)
    weights = None if plain is None else plain.weights
    if plain is not None and plain.module is not None:
        weights = plain.module.state_dict()
    if values is not None and plain is not None and weights is not None:
        named = name_parameters(values, weights)
        if named is None or plain.module is None:
            return None if named is None else replace(plain, weights=named, notes=())
        plain.module.load_state_dict(named)
        return replace(plain, notes=())
    if entry is None or entry.weights is None or weights is None or resembles(entry.weights, weights):
        return entry
    return None


def _is_same(one: Contents, other: Contents) -> bool:
    return one.weights is not None and other.weights is not None and has_same_parameters(one.weights, other.weights)


def is_twin(one: Contents, other: Contents) -> bool:
    """Return whether two entries are networks of the same kind, not layers or parts of one network."""
    first, second = one.weights or {}, other.weights or {}
    return set(first) == set(second) and any("." in name for name in first) and resembles(first, second)


def _has_matrices(entry: Contents) -> bool:
    return any(value.dim() > 1 for value in (entry.weights or {}).values())


def list_others(content: Mapping[Any, Any], key: str) -> tuple[str, ...]:
    """Return the keys beside one that was read."""
    return tuple(str(other) for other in content if other not in (key, CARD_KEY))
