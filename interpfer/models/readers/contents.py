"""Finds the weights in the unpickled content of a checkpoint file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.readers.inert import StandIn, extract_weights, is_module

CARD_KEY = "card"

AVERAGED_KEYS = (
    "state_dict_ema",
    "model_ema",
    "model_ema_state_dict",
    "ema_state_dict",
    "ema_model",
    "params_ema",
    "ema",
)
"""Keys of averaged weights. They take precedence, as a training with averaging evaluates these."""

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
    r"optim|sched|scaler|criterion|loss|center|teacher|discriminator|ema|rng|queue|amp", re.IGNORECASE
)
"""Keys of tensors that are not part of the classifier."""

OPTIMIZER_KEYS = re.compile(
    r"(\w*_)?optim(izer)?\w*|(lr_?)?sched(uler)?\w*|\w*scaler|state|param_groups|epoch\w*|step|global_step|iter\w*|lr"
    r"|args|arch|cfg|config|hparams|(best|val|test|train)_\w+|acc\w*|loss\w*|rng\w*|recorder\d*|hyper_parameters",
    re.IGNORECASE,
)


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


def find_weights(content: Any, path: str) -> Contents:
    """Find weights or a module in an unpickled object.

    Args:
        content: the unpickled object.
        path: the file, for messages.

    Raises:
        ModelError: there are none; the message lists the keys of the file and the usual keys of weights.
    """
    if isinstance(content, nn.Module):
        return Contents(module=content)
    if isinstance(content, StandIn):
        if not is_module(content):
            raise ModelError(f"checkpoint {path} holds a {content.name}; expected weights or a module.")
        return Contents(strip_wrappers(extract_weights(content)), class_name=content.name)
    if not isinstance(content, Mapping):
        raise ModelError(f"checkpoint {path} holds a {type(content).__name__}; expected weights or a module.")
    card = content.get(CARD_KEY) or {}
    if not isinstance(card, Mapping):
        raise ModelError(f"the card inside {path} must be a mapping of fields, got {card!r}.")
    for key in (*AVERAGED_KEYS, *WEIGHT_KEYS):
        entry = _read_entry(content.get(key))
        if entry is not None:
            return _select_entry(content, key, entry, card)
    parts = _find_parts(content)
    if len(parts) > 1:
        return _join_parts(content, parts, card, "")
    if len(parts) == 1:
        return _select_entry(content, *parts.popitem(), card)
    tensors = _named_tensors(content)
    if tensors and 2 * len(tensors) >= len(content):
        skipped = tuple(str(name) for name in content if name not in tensors and name != CARD_KEY)
        return Contents(strip_wrappers(tensors), card=card, skipped=skipped)
    raise ModelError(_describe_no_weights(content, path))


def is_weights(value: Any) -> bool:
    """Return whether a value is a state_dict."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(item, Tensor) for item in value.values())


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


def _named_tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _read_entry(value: Any) -> Contents | None:
    """Return the weights or the module in an entry, also one level deeper; None if there are none."""
    if isinstance(value, nn.Module):
        return Contents(module=value)
    if is_module(value):
        return Contents(strip_wrappers(extract_weights(value)), class_name=value.name)
    if is_weights(value):
        return Contents(strip_wrappers(value))
    if isinstance(value, Mapping):
        for key in ("module", "shadow", *WEIGHT_KEYS):
            if is_weights(value.get(key)):
                return Contents(strip_wrappers(value[key]))
        tensors = _named_tensors(value)
        if tensors and 2 * len(tensors) > len(value):
            return Contents(strip_wrappers(tensors))
    return None


def _find_parts(content: Mapping[Any, Any]) -> dict[str, Contents]:
    return {
        key: entry
        for key, value in content.items()
        if isinstance(key, str) and not OTHER_KEYS.search(key) and is_weights(value) and (entry := _read_entry(value))
    }


def _select_entry(content: Mapping[Any, Any], key: str, entry: Contents, card: Mapping[str, Any]) -> Contents:
    """Return the contents of an entry, joined with the other parts of the network in the file."""
    parts = _find_parts(content)
    plain = [other for other in WEIGHT_KEYS if key in AVERAGED_KEYS and _read_entry(content.get(other)) is not None]
    if entry.weights is not None and len(parts) > 1 and key in parts:
        copies = {other for other in parts if other != key and set(parts[other].weights or ()) == set(entry.weights)}
        if len(parts) - len(copies) > 1:
            return _join_parts(content, {name: part for name, part in parts.items() if name not in copies}, card, key)
    notes = (f"the averaged weights under '{key}' were read, not those under '{plain[0]}'",) if plain else ()
    skipped = tuple(str(other) for other in content if other not in (key, CARD_KEY))
    return Contents(entry.weights, entry.module, entry.class_name, key, card, skipped, notes)


def _join_parts(
    content: Mapping[Any, Any], parts: Mapping[str, Contents], card: Mapping[str, Any], key: str
) -> Contents:
    """Join the parts of a network, each under its key."""
    weights = {
        f"{re.sub(r'_?(state_?dict|weights)$', '', name) or name}.{tensor}": value
        for name, part in parts.items()
        for tensor, value in (part.weights or {}).items()
    }
    skipped = tuple(str(other) for other in content if other not in parts and other != CARD_KEY)
    note = f"the file holds the network in parts, which were joined: {', '.join(parts)}"
    return Contents(weights, where=key or ", ".join(parts), card=card, skipped=skipped, notes=(note,))


def _describe_no_weights(content: Mapping[Any, Any], path: str) -> str:
    keys = [str(key) for key in content]
    listed = ", ".join(keys[:8]) + (" ..." if len(keys) > 8 else "")
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
