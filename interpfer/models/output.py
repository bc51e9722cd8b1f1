"""Where in what a network returns the logits are.

The field ``output`` of a card, or ``--output``, is one of::

    0, -1, logits, heads.0          element or key, dots lead into nested ones
    ":8", "0[:8]"                   the first eight channels of the output, or of element 0
    {0: 0.6, 1: 0.4}, "0.6*0+0.4*1"    a weighted sum of several heads
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interpfer.errors import ModelError

Key = int | str | None

SLICE = r"(?P<start>-?\d*):(?P<stop>-?\d*)"
TERM = re.compile(rf"(?:(?P<weight>[-+]?(?:\d+\.?\d*|\.\d+))\s*\*\s*)?(?P<key>[^\[\]*]*?)\s*(?:\[{SLICE}\])?")
DEEPEST = 3
"""Nesting up to which an output is looked into."""


@dataclass(frozen=True)
class Part:
    """One head.

    Attributes:
        key: element or key of the output; None for the output itself.
        weight: factor on its logits.
        start: first channel.
        stop: channel after the last; None for all.
    """

    key: Key
    weight: float = 1.0
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Output:
    """A weighted sum of heads."""

    parts: tuple[Part, ...]

    def pick(self, output: Any, n: int) -> Any:
        """Return what the parts name, summed.

        Args:
            output: what the network returned for a batch.
            n: size of the batch.

        Raises:
            ModelError: there is no such element, or heads that cannot be added.
        """
        picked = [_channels(element(output, part.key), part, n) for part in self.parts]
        if len(picked) == 1 and self.parts[0].weight == 1:
            return picked[0]
        shapes = {tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__ for value in picked}
        if len(shapes) > 1 or not isinstance(picked[0], Tensor):
            raise ModelError(f"the heads {self} cannot be added: they are {', '.join(map(str, shapes))}.")
        total: Tensor = sum(part.weight * value for part, value in zip(self.parts, picked, strict=True))
        return total

    def __str__(self) -> str:
        return "+".join(
            ("" if part.weight == 1 else f"{part.weight:g}*")
            + ("" if part.key is None else str(part.key))
            + ("" if part.start is part.stop is None else f"[{_text(part.start)}:{_text(part.stop)}]")
            for part in self.parts
        )


def parse_output(raw: Any, where: str) -> Output:
    """Check the field ``output`` of a card.

    Raises:
        ModelError: it is none of the forms that the module's docstring lists.
    """
    wrong = ModelError(
        f"model card {where}: output should be a number, a key, a slice such as ':8', or several heads such as "
        f"{{0: 0.6, 1: 0.4}}, found {raw!r}."
    )
    if isinstance(raw, bool):
        raise wrong
    if isinstance(raw, int):
        return Output((Part(raw),))
    if isinstance(raw, Mapping) and raw:
        try:
            return Output(tuple(dataclasses.replace(_term(str(key)), weight=float(raw[key])) for key in raw))
        except (TypeError, ValueError):
            raise wrong from None
    if not isinstance(raw, str) or not raw.strip():
        raise wrong
    text = raw.strip()
    try:
        return Output(tuple(_term(term) for term in text.split("+")) if "*" in text else (_term(text),))
    except ValueError:
        raise wrong from None


def element(output: Any, key: Key) -> Any:
    """Return an element of an output.

    Raises:
        ModelError: there is none; the message lists what there is.
    """
    if key is None or (isinstance(output, Tensor) and key == 0):
        return output
    for name, value in elements(output):
        if name == key or str(name) == str(key):
            return value
    if isinstance(key, int) and key < 0 and isinstance(output, Sequence) and -key <= len(output):
        return output[key]
    first, dot, rest = str(key).partition(".")
    if dot and any(str(name) == first for name, _ in elements(output)):
        return element(element(output, first), int(rest) if rest.isdecimal() else rest)
    raise ModelError(f"the output has no element {key!r}; it is {describe(output)}.")


def elements(output: Any) -> list[tuple[int | str, Any]]:
    """Return the parts of a tuple, list, mapping, dataclass or plain object by key."""
    if isinstance(output, Tensor | str | int | float | bool | None):
        return []
    if isinstance(output, Mapping):
        return [(key if isinstance(key, int) else str(key), value) for key, value in output.items()]
    if isinstance(output, tuple | list):
        return list(enumerate(output))
    if dataclasses.is_dataclass(output):
        return [(item.name, getattr(output, item.name)) for item in dataclasses.fields(output)]
    return [(name, value) for name, value in getattr(output, "__dict__", {}).items() if not name.startswith("_")]


def tensors(output: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[int | str, Tensor]]:
    """Yield all tensors in an output under the key that ``output:`` of a card takes."""
    for name, value in elements(output):
        key = f"{prefix}{name}"
        if isinstance(value, Tensor):
            yield (int(key) if key.isdecimal() else key), value
        elif depth < DEEPEST:
            yield from tensors(value, f"{key}.", depth + 1)


def stacked(output: Any, n: int) -> Any:
    """Turn a list of one vector per image, as some test loops return, into one tensor; leave the rest alone."""
    if isinstance(output, list) and len(output) == n and all(getattr(item, "ndim", 0) == 1 for item in output):
        return torch.stack([torch.as_tensor(item) for item in output])
    return output


def describe(output: Any) -> str:
    """Say what a network returned: kinds and shapes.

    >>> describe((torch.zeros(2, 7), [torch.zeros(2, 3), "x"]))
    'a tuple (0: (2, 7), 1: a list (0: (2, 3), 1: str))'
    """
    return f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {_kind(output, 0)}"


def _kind(output: Any, depth: int) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    parts = elements(output) if depth < DEEPEST else []
    inner = ", ".join(
        f"{key}: {'a ' if elements(value) and depth + 1 < DEEPEST else ''}{_kind(value, depth + 1)}"
        for key, value in parts[:12]
    )
    more = f", and {len(parts) - 12} more" if len(parts) > 12 else ""
    return f"{type(output).__name__} ({inner}{more})" if parts else type(output).__name__


def _term(text: str) -> Part:
    text = text.strip()
    whole = re.fullmatch(SLICE, text)
    match = whole or TERM.fullmatch(text)
    if match is None:
        raise ValueError(text)
    found = match.groupdict()
    key = found.get("key") or None
    if key is None and whole is None and found["start"] is None:
        raise ValueError(text)
    return Part(
        int(key) if key is not None and key.lstrip("-").isdecimal() else key,
        float(found.get("weight") or 1),
        int(found["start"]) if found["start"] else None,
        int(found["stop"]) if found["stop"] else None,
    )


def _channels(value: Any, part: Part, n: int) -> Any:
    value = stacked(value, n)
    if part.start is part.stop is None:
        return value
    if not isinstance(value, Tensor) or value.dim() < 2:
        raise ModelError(f"output [{_text(part.start)}:{_text(part.stop)}] takes channels of {describe(value)}.")
    return value[:, part.start : part.stop]


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
