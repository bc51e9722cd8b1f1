"""Model output: which part of what a network returns holds the logits.

The field ``output`` of a card, or ``--output``, is one of::

    0, -1, logits, heads.0          index or key; dots lead into nested outputs
    ":8", "0[:8]"                   the first eight channels of the output, or of element 0
    {0: 0.6, 1: 0.4}, "0.6*0+0.4*1"    a weighted sum of several heads
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.files import bounded_integer

Key = int | str | None

SLICE = r"(?P<start>-?\d*):(?P<stop>-?\d*)"
TERM = re.compile(rf"(?:(?P<weight>[-+]?(?:\d+\.?\d*|\.\d+))\s*\*\s*)?(?P<key>[^\[\]*]*?)\s*(?:\[{SLICE}\])?")
MAX_DEPTH = 3
"""Levels of nesting in which tensors are searched."""
MAX_LISTED = 12
"""Elements of an output that a message lists."""


@dataclass(frozen=True)
class OutputPart:
    """One head of an output.

    Attributes:
        key: index or key of the element; None for the output itself.
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
    """A weighted sum of heads.

    Attributes:
        parts: heads of the sum.
    """

    parts: tuple[OutputPart, ...]

    def pick(self, output: Any, n: int) -> Any:
        """Return the weighted sum of the parts, or the only part as it is.

        Args:
            output: return value of the network for a batch.
            n: size of the batch.

        Raises:
            ModelError: an element does not exist, or the heads cannot be added.
        """
        values = [_slice_channels(get_element(output, part.key), part, n) for part in self.parts]
        if len(values) == 1 and self.parts[0].weight == 1:
            return values[0]
        shapes = {tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__ for value in values}
        if len(shapes) > 1 or not isinstance(values[0], Tensor):
            raise ModelError(f"the heads {self} cannot be added: they are {', '.join(map(str, shapes))}.")
        total: Tensor = sum(part.weight * value for part, value in zip(self.parts, values, strict=True))
        return total

    def __str__(self) -> str:
        return "+".join(
            ("" if part.weight == 1 else f"{part.weight:g}*")
            + ("" if part.key is None else str(part.key))
            + ("" if part.start is part.stop is None else f"[{_format_bound(part.start)}:{_format_bound(part.stop)}]")
            for part in self.parts
        )


def parse_output(raw: Any, where: str, name: str = "output") -> Output:
    """Check the field ``output`` of a card, or another of its kind.

    Args:
        raw: the field, as read from YAML.
        where: name of the card, for messages.
        name: of the field, for messages.

    Raises:
        ModelError: it has none of the forms listed in the module's docstring.

    Examples:
        >>> parse_output("0.6*0+0.4*1", "model.yaml").parts[1]
        OutputPart(key=1, weight=0.4, start=None, stop=None)
    """
    error = ModelError(
        f"model card {where}: {name} must be an index, a key, a slice such as ':8' or a weighted sum such as "
        f"{{0: 0.6, 1: 0.4}}, got {raw!r}."
    )
    if isinstance(raw, bool):
        raise error
    if isinstance(raw, int):
        return Output((OutputPart(raw),))
    if isinstance(raw, Mapping) and raw:
        try:
            return Output(tuple(dataclasses.replace(_parse_term(str(key)), weight=float(raw[key])) for key in raw))
        except (TypeError, ValueError, OverflowError):
            raise error from None
    if not isinstance(raw, str) or not raw.strip():
        raise error
    text = raw.strip()
    try:
        return Output(tuple(_parse_term(term) for term in text.split("+")) if "*" in text else (_parse_term(text),))
    except (ValueError, OverflowError):
        raise error from None


def get_element(output: Any, key: Key) -> Any:
    """Return an element of an output.

    Raises:
        ModelError: there is no such element; the message lists the elements.
    """
    if key is None or (isinstance(output, Tensor) and key == 0):
        return output
    for name, value in list_elements(output):
        if name == key or str(name) == str(key):
            return value
    if isinstance(key, int) and key < 0 and isinstance(output, Sequence) and -key <= len(output):
        return output[key]
    first, dot, rest = str(key).partition(".")
    if dot and any(str(name) == first for name, _ in list_elements(output)):
        return get_element(get_element(output, first), bounded_integer(rest) if rest.lstrip("-").isdecimal() else rest)
    raise ModelError(f"the output has no element {key!r}; it is {describe_output(output)}.")


def list_elements(output: Any) -> list[tuple[int | str, Any]]:
    """Return the elements of a tuple, list, mapping, dataclass or plain object, each with its key."""
    if isinstance(output, Tensor | str | int | float | bool | None):
        return []
    if isinstance(output, Mapping):
        return [(key if isinstance(key, int) else str(key), value) for key, value in output.items()]
    if isinstance(output, tuple | list):
        return list(enumerate(output))
    if dataclasses.is_dataclass(output):
        return [(item.name, getattr(output, item.name)) for item in dataclasses.fields(output)]
    return [(name, value) for name, value in getattr(output, "__dict__", {}).items() if not name.startswith("_")]


def find_tensors(output: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[int | str, Tensor]]:
    """Yield all tensors of an output, each with the key that ``output:`` of a card takes."""
    for name, value in list_elements(output):
        key = f"{prefix}{name}"
        if isinstance(value, Tensor):
            yield (bounded_integer(key) if key.isdecimal() else key), value
        elif depth < MAX_DEPTH:
            yield from find_tensors(value, f"{key}.", depth + 1)


def stack_vectors(output: Any, n: int) -> Any:
    """Stack a list of one vector per image into one tensor; return any other output as it is."""
    if isinstance(output, list) and len(output) == n and all(getattr(item, "ndim", 0) == 1 for item in output):
        return torch.stack([torch.as_tensor(item) for item in output])
    return output


def select_logits(
    output: Any, n: int, place: Output | None, names: Sequence[str], model: str, is_au: bool = False
) -> Float[Tensor, "n k"]:
    """Return the logits in an output of a network.

    Args:
        output: return value of the network.
        n: size of the batch.
        place: where the logits are; None for the output itself, or its only part of that shape.
        names: of the k logits.
        model: its name, for messages.
        is_au: whether they are those of action units, for messages.

    Raises:
        ModelError: no part of the output, or more than one, has one logit per name.
    """

    def is_logits(value: Tensor) -> bool:
        return value.dim() >= 2 and tuple(value.shape) == (n, len(names), *[1] * (value.dim() - 2))

    output = stack_vectors(output, n)
    logits = output if place is None else place.pick(output, n)
    if place is None and not isinstance(output, Tensor):
        candidates = [value for _, value in find_tensors(output) if is_logits(value)]
        if len(candidates) != 1:
            field = "aus_output" if is_au else "output"
            raise ModelError(
                f"model {model} returned {describe_output(output)}: specify which one holds the logits "
                f"({field}: in the card, or --{field.replace('_', '-')})."
            )
        logits = candidates[0]
    if not isinstance(logits, Tensor) or not is_logits(logits):
        what = "action units" if is_au else "classes"
        raise ModelError(
            f"model {model} must return {n} x {len(names)} logits, got {describe_output(logits)}; "
            f"its {what} are {', '.join(names)}."
        )
    return logits.reshape(n, len(names)).float()


def describe_output(output: Any) -> str:
    """Return the type and the shapes of an output as text.

    Examples:
        >>> describe_output((torch.zeros(2, 7), [torch.zeros(2, 3), "x"]))
        'a tuple (0: (2, 7), 1: a list (0: (2, 3), 1: str))'
    """
    return f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {_describe_element(output, 0)}"


def _describe_element(output: Any, depth: int) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    elements = list_elements(output) if depth < MAX_DEPTH else []
    inner = ", ".join(
        f"{key}: {'a ' if list_elements(value) and depth + 1 < MAX_DEPTH else ''}{_describe_element(value, depth + 1)}"
        for key, value in elements[:MAX_LISTED]
    )
    more = f", and {len(elements) - MAX_LISTED} more" if len(elements) > MAX_LISTED else ""
    return f"{type(output).__name__} ({inner}{more})" if elements else type(output).__name__


def _parse_term(text: str) -> OutputPart:
    text = text.strip()
    slice_match = re.fullmatch(SLICE, text)
    match = slice_match or TERM.fullmatch(text)
    if match is None:
        raise ValueError(text)
    groups = match.groupdict()
    key = groups.get("key") or None
    if key is None and slice_match is None and groups["start"] is None:
        raise ValueError(text)
    return OutputPart(
        bounded_integer(key) if key is not None and key.lstrip("-").isdecimal() else key,
        float(groups.get("weight") or 1),
        bounded_integer(groups["start"]) if groups["start"] else None,
        bounded_integer(groups["stop"]) if groups["stop"] else None,
    )


def _slice_channels(value: Any, part: OutputPart, n: int) -> Any:
    value = stack_vectors(value, n)
    if part.start is part.stop is None:
        return value
    if not isinstance(value, Tensor) or value.dim() < 2:
        bounds = f"[{_format_bound(part.start)}:{_format_bound(part.stop)}]"
        raise ModelError(f"output {bounds} needs a tensor with channels, got {describe_output(value)}.")
    return value[:, part.start : part.stop]


def _format_bound(value: int | None) -> str:
    return "" if value is None else str(value)
