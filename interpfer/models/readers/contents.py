"""Finds the weights in the unpickled content of a checkpoint file."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from interpfer.errors import ModelError
from interpfer.files import bounded_integer
from interpfer.models.messages import list_few
from interpfer.models.readers.averages import (
    AVERAGED_KEYS,
    PARAMETER_LIST,
    find_parameter_list,
    list_averaged_keys,
    select_by_prefix,
)
from interpfer.models.readers.entries import (
    CARD_KEY,
    OTHER_KEYS,
    WEIGHT_KEYS,
    Contents,
    find_averaged,
    is_twin,
    is_weights,
    list_networks,
    list_others,
    named_tensors,
    read_entry,
    strip_wrappers,
    to_contents,
)
from interpfer.models.readers.inert import StandIn, is_module

OPTIMIZER_KEYS = re.compile(
    r"(\w*_)?optim(izer)?\w*|(lr_?)?sched(uler)?\w*|\w*scaler|state|param_groups|epoch\w*|step|global_step|iter\w*|lr"
    r"|args|arch|cfg|config|hparams|(best|val|test|train)_\w+|acc\w*|loss\w*|rng\w*|recorder\d*|hyper_parameters",
    re.IGNORECASE,
)


MAX_LISTED = 8
"""Keys that a message lists."""


def find_weights(content: Any, path: str, key: str | None = None) -> Contents:
    """Find weights or a module in an unpickled object.

    Args:
        content: the unpickled object.
        path: the file, for messages.
        key: place of the network, where there are several: keys joined with dots, or the first part of the names of its
            tensors; None for the only network.

    Raises:
        ModelError: there are none; the message lists the keys of the file and the usual keys of weights. Or there are
            several, and no key chooses one.
    """
    if isinstance(content, StandIn) and not is_module(content):
        raise ModelError(f"checkpoint {path} holds a {content.name}; expected weights or a module.")
    card = (content.get(CARD_KEY) or {}) if isinstance(content, Mapping) else {}
    if not isinstance(card, Mapping):
        raise ModelError(f"the card inside {path} must be a mapping of fields, got {card!r}.")
    if key is not None:
        return replace(_find_key(content, path, key), card=card)
    if isinstance(content, nn.Module | StandIn):
        return read_entry(content) or Contents()
    if isinstance(content, list | tuple):
        return _find_in_sequence(content, path)
    if not isinstance(content, Mapping):
        raise ModelError(f"checkpoint {path} holds a {type(content).__name__}; expected weights or a module.")
    return replace(_find_in_mapping(content, path), card=card)


def _several_error(path: str, keys: list[str]) -> ModelError:
    return ModelError(
        f"checkpoint {path} holds {len(keys)} networks, under {list_few(keys, MAX_LISTED)}; choose one: "
        f"--key {keys[0]} (key={keys[0]!r})."
    )


def _find_key(content: Any, path: str, key: str) -> Contents:
    """Return the network under a key of the file, or of which all names begin with the key."""
    value: Any = content
    rest = key
    while rest and isinstance(value, Mapping | list | tuple):
        step, _, after = (rest, "", "") if isinstance(value, Mapping) and rest in value else rest.partition(".")
        if isinstance(value, Mapping):
            value = value.get(step)
        else:
            value = value[bounded_integer(step)] if step.isdecimal() and bounded_integer(step) < len(value) else None
        rest = after
    entry = None if rest else read_entry(value)
    tops = [content, *content.values()] if isinstance(content, Mapping) else []
    for weights in map(named_tensors, (top for top in tops if entry is None and isinstance(top, Mapping))):
        if selected := select_by_prefix(strip_wrappers(weights), key):
            entry = Contents(strip_wrappers(selected))
            break
    if entry is None:
        known = list(list_networks(content))
        listed = f"; it holds {list_few(known, MAX_LISTED)}" if known else ""
        raise ModelError(f"checkpoint {path} holds no network under the key '{key}'{listed}.")
    return replace(entry, where=key, notes=(*entry.notes, f"the network under the key '{key}' was read"))


def _find_in_sequence(content: list[Any] | tuple[Any, ...], path: str) -> Contents:
    kind = f"{type(content).__name__} of {len(content)}"
    is_pairs = all(isinstance(item, tuple) and len(item) == 2 for item in content)
    if is_pairs and is_weights(dict(content)):
        return to_contents(dict(content))
    networks = list_networks(content)
    if len(networks) > 1:
        raise _several_error(path, list(networks))
    if networks:
        key, entry = networks.popitem()
        note = f"the file holds a {kind}, of which item {key} was read, counted from 0"
        return replace(entry, where=key, notes=(*entry.notes, note))
    if find_parameter_list(content):
        raise ModelError(
            f"checkpoint {path} holds a {kind} tensors without names, such as those of parameters(); "
            "save the network's state_dict() instead."
        )
    raise ModelError(f"checkpoint {path} holds a {type(content).__name__}; expected weights or a module.")


def _find_in_mapping(content: Mapping[Any, Any], path: str) -> Contents:
    """Return the averaged weights of a file, else its weights or module."""
    plain = _find_plain(content, path)
    averaged, notes = find_averaged(content, plain, "" if plain is None else plain.where)
    found = plain if averaged is None else averaged
    if found is None:
        networks = list_networks(content)
        if len(networks) > 1:
            raise _several_error(path, list(networks))
        if not networks:
            raise ModelError(_describe_no_weights(content, path))
        key, entry = networks.popitem()
        found = replace(entry, where=key, skipped=list_others(content, key.partition(".")[0]))
    return replace(found, notes=(*found.notes, *notes))


def _find_plain(content: Mapping[Any, Any], path: str) -> Contents | None:
    """Return the weights or the module of a file that are not averaged; None if there are none at the usual places.

    Raises:
        ModelError: all its parts are networks of the same kind.
    """
    for key in WEIGHT_KEYS:
        entry = read_entry(content.get(key))
        if entry is not None:
            return _select_entry(content, key, entry)
    parts = _find_parts(content)
    if len(parts) > 1:
        first, *others = parts.values()
        if all(is_twin(first, other) for other in others):
            raise _several_error(path, list(parts))
        return _join_parts(content, parts, "")
    if len(parts) == 1:
        return _select_entry(content, *parts.popitem())
    tensors = named_tensors(content)
    if tensors and 2 * len(tensors) >= len(content):
        skipped = tuple(str(name) for name in content if name not in tensors and name != CARD_KEY)
        return replace(to_contents(tensors), skipped=skipped)
    return None


def _find_parts(content: Mapping[Any, Any]) -> dict[str, Contents]:
    """Return the state_dicts of a file by key, without those of losses and averages, and without numbers alone."""
    parts = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and not OTHER_KEYS.search(key) and key not in list_averaged_keys(content)
    }
    return {
        key: entry
        for key, value in parts.items()
        if is_weights(value) and any(item.dim() for item in value.values()) and (entry := read_entry(value))
    }


def _select_entry(content: Mapping[Any, Any], key: str, entry: Contents) -> Contents:
    """Return the contents of an entry, joined with the other parts of the network in the file."""
    parts = _find_parts(content)
    if entry.weights is not None and len(parts) > 1 and key in parts:
        copies = {other for other in parts if other != key and set(parts[other].weights or ()) == set(entry.weights)}
        if len(parts) - len(copies) > 1:
            return _join_parts(content, {name: part for name, part in parts.items() if name not in copies}, key)
    twins = [name for name, other in list_networks(content).items() if name != key and is_twin(entry, other)]
    note = f"the weights under '{key}' were read, not those under {list_few(twins)}; --key chooses one"
    where = f"{key}.{entry.where}" if entry.where else key
    notes = (*entry.notes, *([note] if twins else []))
    return replace(entry, where=where, skipped=list_others(content, key), notes=notes)


def _join_parts(content: Mapping[Any, Any], parts: Mapping[str, Contents], key: str) -> Contents:
    """Join the parts of a network, each under its key."""
    weights = {
        f"{re.sub(r'_?(state_?dict|weights)$', '', name) or name}.{tensor}": value
        for name, part in parts.items()
        for tensor, value in (part.weights or {}).items()
    }
    skipped = tuple(str(other) for other in content if other not in parts and other != CARD_KEY)
    note = f"the file holds the network in parts, which were joined: {', '.join(parts)}"
    return Contents(weights, where=key or ", ".join(parts), skipped=skipped, notes=(note,))


def _describe_no_weights(content: Mapping[Any, Any], path: str) -> str:
    keys = [str(key) for key in content]
    listed = ", ".join(keys[:8]) + (" ..." if len(keys) > 8 else "")
    if find_parameter_list(content) or any(map(find_parameter_list, map(content.get, AVERAGED_KEYS))):
        return (
            f"checkpoint {path} holds averaged parameters as a list without names ({PARAMETER_LIST}), and no "
            "state_dict; save the state_dict() of the network after ema.copy_to()."
        )
    optimizer = any(re.search("optim|param_groups", key) for key in keys)
    if optimizer and all(OPTIMIZER_KEYS.fullmatch(key) for key in keys):
        return (
            f"checkpoint {path} holds no weights, only the state of an optimizer; its keys are {listed}; "
            "pass another file of that training."
        )
    return (
        f"checkpoint {path} holds no weights; its keys are {listed or 'none'}; expected a state_dict, plain or under "
        f"{', '.join(WEIGHT_KEYS[:6])}."
    )
