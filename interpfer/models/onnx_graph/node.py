"""A node of an ONNX graph: its attributes, and which of its inputs are constant."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interpfer.errors import ModelError

MAX_ELEMENTS = 1 << 29
"""Largest number of elements of one tensor: 2 GB in single precision."""

DOMAINS = ("", "ai.onnx")
"""Domains of the standard operators."""


class UnsupportedGraphError(Exception):
    """An ONNX graph has an operator, or a form of one, that is not translated; the text names it."""


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        operator: type of the node, such as "Conv"; of other domains than that of ONNX, with the domain.
        name: name of the node; "" for none.
        inputs: names of its inputs; "" for one that is omitted.
        outputs: names of its outputs.
        attributes: name -> value; tensors as tensors of torch, text as str.
        opset: version of the operators.
        constants: for each input its value if it is constant, else None; trainable ones are parameters.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    constants: tuple[Tensor | None, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or a default."""
        return self.attributes.get(name, default)

    def has_input(self, position: int) -> bool:
        """Return whether an input is there: optional ones may be omitted."""
        return position < len(self.inputs) and self.inputs[position] != ""

    def constant(self, position: int) -> Tensor | None:
        """Return the value of a constant input; None if it is omitted or depends on the image."""
        return self.constants[position] if position < len(self.constants) else None

    def is_fixed(self, *positions: int) -> bool:
        """Return whether inputs are constant or omitted."""
        return all(not self.has_input(i) or self.constant(i) is not None for i in positions)

    def integers(self, name: str, position: int) -> tuple[int, ...] | None:
        """Return integers that are an attribute in older opsets and a constant input in newer ones; None if omitted.

        Raises:
            UnsupportedGraphError: they depend on the image.
        """
        if name in self.attributes:
            value = self.attributes[name]
            return tuple(value) if isinstance(value, Sequence) else (int(value),)
        if not self.has_input(position):
            return None
        value = self.constant(position)
        if value is None:
            raise self.error(f"whose {name} depend on the image")
        return to_integers(value)

    def require_one_output(self) -> None:
        """Check that only the first output is there.

        Raises:
            UnsupportedGraphError: there are others.
        """
        if any(self.outputs[1:]):
            raise self.error("of several outputs")

    def error(self, what: str = "") -> UnsupportedGraphError:
        """Return the error for a node that is not translated."""
        return UnsupportedGraphError(f"operator {self.operator}{f' {what}' if what else ''} (opset {self.opset})")


def parse_node(proto: Any, opset: int) -> Node:
    """Return a node of a protocol buffer; subgraphs in attributes stay protocol buffers."""
    domain = "" if proto.domain in DOMAINS else f"{proto.domain}."
    attributes = {attribute.name: _parse_value(attribute) for attribute in proto.attribute}
    return Node(f"{domain}{proto.op_type}", proto.name, tuple(proto.input), tuple(proto.output), attributes, opset)


def _parse_value(attribute: Any) -> Any:
    from onnx import TensorProto, helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, TensorProto):
        return to_tensor(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, Sequence):
        return [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
    return value


def to_tensor(proto: Any) -> Tensor:
    """Return a tensor of a protocol buffer.

    Raises:
        UnsupportedGraphError: torch has no such type.
    """
    from onnx import numpy_helper

    check_size(proto.dims)
    try:
        return torch.from_numpy(np.array(numpy_helper.to_array(proto)))
    except Exception as error:  # a type that torch or onnx does not have, or a broken file
        raise UnsupportedGraphError(f"tensor {proto.name}, whose type torch does not have,") from error


def to_integers(value: Tensor) -> tuple[int, ...]:
    """Return a tensor of integers as a tuple.

    Examples:
        >>> to_integers(torch.tensor([1, -1])), to_integers(torch.tensor(3))
        ((1, -1), (3,))
    """
    return tuple(int(item) for item in value.reshape(-1).tolist())


def check_size(shape: Sequence[int]) -> None:
    """Check the size of a tensor before it is made.

    Raises:
        ModelError: it has more than ``MAX_ELEMENTS`` elements.

    Examples:
        >>> check_size([1 << 20, 1 << 20])
        Traceback (most recent call last):
        interpfer.errors.ModelError: the program makes a tensor of 1048576 x 1048576 values, more than interpfer reads.
    """
    if math.prod(max(int(size), 0) for size in shape) > MAX_ELEMENTS:
        sizes = " x ".join(map(str, shape))
        raise ModelError(f"the program makes a tensor of {sizes} values, more than interpfer reads.")
