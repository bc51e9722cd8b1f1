"""A function of torch as the module of a node."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.onnx_graph.node import Node

MAX_SHAPE = 64
"""Largest number of integers that are taken for a shape or axes, and stay on the CPU."""


class Function(nn.Module):
    """A function whose constant inputs are parameters and buffers of the module.

    Args:
        function: function of all inputs of the node, None for those that are omitted; at module level, so that the
            network can be pickled.
        node: the node.
        options: further keyword arguments of the function.
    """

    def __init__(self, function: Callable[..., Any], node: Node, /, **options: Any) -> None:
        super().__init__()
        self.function = function
        self.operator = node.operator
        self.options = options
        self.shapes: dict[int, Tensor] = {}
        self.inputs: list[int] = []
        self.count = len(node.inputs)
        for position in range(self.count):
            value = node.constant(position)
            if not node.has_input(position):
                continue
            if value is None:
                self.inputs.append(position)
            elif isinstance(value, nn.Parameter):
                self.register_parameter(f"input_{position}", value)
            elif value.dim() == 0 or (not value.is_floating_point() and value.numel() <= MAX_SHAPE):
                self.shapes[position] = value
            else:
                self.register_buffer(f"input_{position}", value)

    def forward(self, *inputs: Any) -> Any:
        """Return the function of the inputs that are not constant, and of the constants."""
        given = dict(zip(self.inputs, inputs, strict=True)) | self.shapes
        values = [given.get(i, getattr(self, f"input_{i}", None)) for i in range(self.count)]
        return self.function(*values, **self.options)

    def extra_repr(self) -> str:
        """Return the operator and its options."""
        return ", ".join([self.operator, *(f"{name}={value}" for name, value in self.options.items())])


def same_device(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tensors on one device: shapes are computed on the CPU.

    Examples:
        >>> one, other = same_device(torch.ones(2), torch.ones(3))
        >>> one.device == other.device
        True
    """
    if one.device == other.device or one.dim() == 0 or other.dim() == 0:
        return one, other
    if one.device.type == "cpu":
        return one.to(other.device), other
    return one, other.to(one.device)


def to_dtype(code: int) -> torch.dtype:
    """Return the type of torch for a type code of ONNX.

    Raises:
        KeyError: torch has no such type.

    Examples:
        >>> to_dtype(1), to_dtype(7)
        (torch.float32, torch.int64)
    """
    return DTYPES[code]


DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
"""Type code of ONNX -> type of torch."""
