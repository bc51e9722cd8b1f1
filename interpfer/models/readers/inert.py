"""Reads a pickle without importing its classes: objects of unknown classes become stand-ins that only hold data.

The reader is that of torch (``weights_only``), which imports nothing; it is given stand-ins for the names that it does
not know. So weights beside other objects (meters, arguments, a whole module) are read without running any code.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class StandIn:
    """Object of a class that was not imported.

    Attributes:
        name: dotted name of the class.
        content: state of the object.
    """

    name = "object"
    content: Any = None

    def __new__(cls, *_: Any, **__: Any) -> "StandIn":
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.content: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.content = state


def load_inert(path: Path, names: Sequence[str]) -> Any:
    """Read a file of ``torch.save`` with stand-ins.

    Args:
        path: the file.
        names: dotted names of the classes to replace.

    Raises:
        Exception: torch cannot read the file this way; the type varies.
    """
    classes: list[Any] = [(type("StandIn", (StandIn,), {"name": name}), name) for name in names]
    with warnings.catch_warnings(), torch.serialization.safe_globals(classes):
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def is_module(value: Any) -> bool:
    """Return whether a value is the stand-in of a module."""
    return isinstance(value, StandIn) and isinstance(value.content, dict) and "_modules" in value.content


def extract_weights(module: StandIn) -> dict[str, Tensor]:
    """Return the state_dict of the module that a stand-in replaces."""
    return dict(_iterate_weights(module, ""))


def _iterate_weights(module: StandIn, prefix: str) -> Iterator[tuple[str, Tensor]]:
    state = module.content
    transient = state.get("_non_persistent_buffers_set")
    transient = transient if isinstance(transient, set) else set()
    for kind in ("_parameters", "_buffers"):
        entries = state.get(kind)
        for name, value in entries.items() if isinstance(entries, Mapping) else ():
            if isinstance(value, Tensor) and not (kind == "_buffers" and name in transient):
                yield f"{prefix}{name}", value.detach()
    for name, child in state["_modules"].items():
        if is_module(child):
            yield from _iterate_weights(child, f"{prefix}{name}.")
