"""Reads a pickle whose classes stay outside: each foreign object becomes a stand-in that holds data and does nothing.

The reading is torch's own ``weights_only`` one, which imports nothing; the names that it does not know are given to it
as stand-ins. So weights beside foreign objects (meters, arguments, a whole module) are had without running anything.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class StandIn:
    """An object of a class that was not imported; calling its class made this instead."""

    name = "object"

    def __new__(cls, *_: Any, **__: Any) -> "StandIn":
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.content: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.content = state


def load_inert(path: Path, names: Sequence[str]) -> Any:
    """Read a file of ``torch.save`` with stand-ins for ``names``.

    Raises:
        Exception: torch cannot read it this way; what kind differs.
    """
    classes: list[Any] = [(type("StandIn", (StandIn,), {"name": name}), name) for name in names]
    with warnings.catch_warnings(), torch.serialization.safe_globals(classes):
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def is_module(value: Any) -> bool:
    """Whether a stand-in is one of a module."""
    return isinstance(value, StandIn) and isinstance(value.content, dict) and "_modules" in value.content


def module_weights(module: StandIn) -> dict[str, Tensor]:
    """Return the state_dict of the module that a stand-in stands for."""
    return dict(_tensors(module, ""))


def _tensors(module: StandIn, prefix: str) -> Iterator[tuple[str, Tensor]]:
    state = module.content
    passing = state.get("_non_persistent_buffers_set") or ()
    for part in ("_parameters", "_buffers"):
        held = state.get(part)
        for name, value in held.items() if isinstance(held, Mapping) else ():
            if isinstance(value, Tensor) and not (part == "_buffers" and isinstance(passing, set) and name in passing):
                yield f"{prefix}{name}", value.detach()
    for name, child in state["_modules"].items():
        if is_module(child):
            yield from _tensors(child, f"{prefix}{name}.")
