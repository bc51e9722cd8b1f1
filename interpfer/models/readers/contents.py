"""Finds the weights in what a checkpoint file holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.readers.inert import StandIn, is_module, module_weights

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
"""Where averaged weights are kept; they are what such a training evaluates, so they go first."""

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
"""The usual keys, in the order in which they are tried."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile put before every name."""

OTHERS = re.compile(r"optim|sched|scaler|criterion|loss|center|teacher|discriminator|ema|rng|queue|amp", re.IGNORECASE)
"""Tensors under such keys are no part of the classifier."""

OPTIMIZER_KEYS = re.compile(
    r"(\w*_)?optim(izer)?\w*|(lr_?)?sched(uler)?\w*|\w*scaler|state|param_groups|epoch\w*|step|global_step|iter\w*|lr"
    r"|args|arch|cfg|config|hparams|(best|val|test|train)_\w+|acc\w*|loss\w*|rng\w*|recorder\d*|hyper_parameters",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Contents:
    """What was found.

    Attributes:
        weights: names -> tensors, wrappers taken off; None if a module was there.
        module: a whole module, or None.
        class_name: of a module that was not run.
        where: the key; "" for the file itself.
        card: raw fields of a card.
        skipped: keys that were not read.
        notes: what the user should know.
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
        content: what the file held.
        path: for messages.

    Raises:
        ModelError: there are none; the message says what there is, and where weights are usually kept.
    """
    if isinstance(content, nn.Module):
        return Contents(module=content)
    if isinstance(content, StandIn):
        if not is_module(content):
            raise ModelError(f"checkpoint {path} holds a {content.name}; expected weights or a module.")
        return Contents(without_wrappers(module_weights(content)), class_name=content.name)
    if not isinstance(content, Mapping):
        raise ModelError(f"checkpoint {path} holds a {type(content).__name__}; expected weights or a module.")
    card = content.get(CARD_KEY) or {}
    if not isinstance(card, Mapping):
        raise ModelError(f"the card inside {path} should be a mapping of fields, found {card!r}.")
    for key in (*AVERAGED_KEYS, *WEIGHT_KEYS):
        found = _inside(content.get(key))
        if found is not None:
            return _chosen(content, key, found, card)
    parts = _parts(content)
    if len(parts) > 1:
        return _joined(content, parts, card, "")
    if len(parts) == 1:
        return _chosen(content, *parts.popitem(), card)
    own = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if own and 2 * len(own) >= len(content):
        left = tuple(str(name) for name in content if name not in own and name != CARD_KEY)
        return Contents(without_wrappers(own), card=card, skipped=left)
    raise ModelError(_nothing(content, path))


def is_weights(value: Any) -> bool:
    """Whether something is a state_dict."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(item, Tensor) for item in value.values())


def without_wrappers(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Take prefixes that all names share, and that only wrappers write, off.

    >>> import torch
    >>> list(without_wrappers({"module._orig_mod.fc.bias": torch.ones(1)}))
    ['fc.bias']
    """
    bare = {name: value for name, value in weights.items() if name != "n_averaged"}
    while prefix := next((p for p in WRAPPERS if bare and all(name.startswith(p) for name in bare)), None):
        weights = bare = {name.removeprefix(prefix): value for name, value in bare.items()}
    return weights


def _inside(value: Any) -> Contents | None:
    """Return the weights or the module that an entry holds, also one level deeper."""
    if isinstance(value, nn.Module):
        return Contents(module=value)
    if is_module(value):
        return Contents(without_wrappers(module_weights(value)), class_name=value.name)
    if is_weights(value):
        return Contents(without_wrappers(value))
    if isinstance(value, Mapping):
        for key in ("module", "shadow", *WEIGHT_KEYS):
            if is_weights(value.get(key)):
                return Contents(without_wrappers(value[key]))
        own = {name: item for name, item in value.items() if isinstance(name, str) and isinstance(item, Tensor)}
        if own and 2 * len(own) > len(value):
            return Contents(without_wrappers(own))
    return None


def _parts(content: Mapping[Any, Any]) -> dict[str, Contents]:
    return {
        key: found
        for key, value in content.items()
        if isinstance(key, str) and not OTHERS.search(key) and is_weights(value) and (found := _inside(value))
    }


def _chosen(content: Mapping[Any, Any], key: str, found: Contents, card: Mapping[str, Any]) -> Contents:
    parts = _parts(content)
    twins = [other for other in WEIGHT_KEYS if key in AVERAGED_KEYS and _inside(content.get(other)) is not None]
    if found.weights is not None and len(parts) > 1 and key in parts:
        same = {other for other in parts if other != key and set(parts[other].weights or ()) == set(found.weights)}
        if len(parts) - len(same) > 1:
            return _joined(content, {name: part for name, part in parts.items() if name not in same}, card, key)
    notes = (f"the averaged weights under '{key}' were read, not those under '{twins[0]}'",) if twins else ()
    skipped = tuple(str(other) for other in content if other not in (key, CARD_KEY))
    return Contents(found.weights, found.module, found.class_name, key, card, skipped, notes)


def _joined(content: Mapping[Any, Any], parts: Mapping[str, Contents], card: Mapping[str, Any], key: str) -> Contents:
    weights = {
        f"{re.sub(r'_?(state_?dict|weights)$', '', name) or name}.{tensor}": value
        for name, part in parts.items()
        for tensor, value in (part.weights or {}).items()
    }
    skipped = tuple(str(other) for other in content if other not in parts and other != CARD_KEY)
    note = f"the file keeps the network in parts, which were joined: {', '.join(parts)}"
    return Contents(weights, where=key or ", ".join(parts), card=card, skipped=skipped, notes=(note,))


def _nothing(content: Mapping[Any, Any], path: str) -> str:
    keys = [str(key) for key in content]
    shown = ", ".join(keys[:8]) + (" ..." if len(keys) > 8 else "")
    optimizer = any(re.search("optim|param_groups", key) for key in keys)
    if optimizer and all(OPTIMIZER_KEYS.fullmatch(key) for key in keys):
        return (
            f"checkpoint {path} holds no weights, only the state of an optimizer; its keys are {shown}: "
            "the weights are in another file of that training."
        )
    return (
        f"checkpoint {path} holds no weights; its keys are {shown or 'none'}; expected a state_dict, plain or under "
        f"{', '.join(WEIGHT_KEYS[:6])}."
    )
