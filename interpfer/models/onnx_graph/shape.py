"""Shapes: reshaping, joining and splitting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.onnx_graph.activation import Module
from interpfer.models.onnx_graph.function import Function
from interpfer.models.onnx_graph.node import Node, check_size, to_integers


@dataclass(frozen=True)
class FixedShape:
    """A change of shape for the number of images that a file is made for.

    Attributes:
        before: shape of the input.
        after: shape of the output.
        count: number of images.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    count: int

    @property
    def is_ambiguous(self) -> bool:
        """Whether an axis of the input may become one of several axes of the output."""
        return any(len(self.list_places(axis)) > 1 for axis in range(len(self.before)))

    def list_places(self, axis: int) -> list[int]:
        """Return the axes of the output that may grow with an axis of the input, the likeliest first.

        The images are the first or the last factor of either axis, and lie at the same place in memory. An axis that
        holds nothing but them is the likeliest.

        Args:
            axis: axis of the input that grows with the number of images.

        Examples:
            >>> FixedShape((17, 1, 24), (17, 2, 12), 1).list_places(1)
            [1, 0]
            >>> FixedShape((17, 24), (17, 1, 24), 1).list_places(0)
            [1, 2, 0]
        """
        limits = [math.prod(self.before[: axis + end]) for end in (0, 1)]
        places = [
            place
            for place in range(len(self.after))
            if any(math.prod(self.after[: place + end]) == limit for end in (0, 1) for limit in limits)
        ]
        return sorted(places, key=lambda place: (self.after[place] != self.count, -place if place else 1))

    def resize(self, shape: tuple[int, ...], choice: int) -> tuple[int, ...] | None:
        """Return the output's shape for an input of another number of images; None if it cannot be inferred.

        Args:
            shape: shape of the input.
            choice: which of the possible places the images take.
        """
        changed = [axis for axis, pair in enumerate(zip(shape, self.before, strict=False)) if pair[0] != pair[1]]
        if len(shape) != len(self.before) or len(changed) != 1 or not self.before[changed[0]]:
            return None
        places = self.list_places(changed[0])
        place = places[min(choice, len(places) - 1)] if places else 0
        size, remainder = divmod(self.after[place] * shape[changed[0]], self.before[changed[0]])
        return None if remainder else (*self.after[:place], size, *self.after[place + 1 :])


class Reshape(Function):
    """A change of shape. One that was exported with a fixed number of images can take other numbers.

    Attributes:
        fixed: the shapes for the images that the file is made for; None for the shape in the file.
        choice: which of the possible axes of the output grows with the number of images.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(_reshape, node, allows_zero=bool(node.get("allowzero", 0)))
        self.fixed: FixedShape | None = None
        self.choice = 0

    def forward(self, *inputs: Any) -> Tensor:
        """Return the input in another shape."""
        if self.fixed is not None and len(inputs) == 1:
            before = tuple(inputs[0].shape)
            after = None if before == self.fixed.before else self.fixed.resize(before, self.choice)
            if after is not None:
                x: Tensor = inputs[0]
                return x.reshape(after)
        result: Tensor = super().forward(*inputs)
        return result


def _reshape(x: Tensor, shape: Tensor, *, allows_zero: bool) -> Tensor:
    sizes = list(to_integers(shape))
    if not allows_zero:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(x: Tensor, *, axis: int) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _transpose(x: Tensor, *, order: Sequence[int] | None) -> Tensor:
    return x.permute(tuple(order) if order else tuple(reversed(range(x.dim()))))


def _squeeze(x: Tensor, *, axes: tuple[int, ...] | None) -> Tensor:
    if axes is None:
        return x.squeeze()
    if any(x.shape[axis] != 1 for axis in axes):
        raise ValueError(f"cannot remove the axes {axes} of a tensor of shape {tuple(x.shape)}")
    return x.squeeze(axes)


def _unsqueeze(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


class Concat(Function):
    """Joins tensors; in a file that is made for one image, tensors of one image are repeated for the others.

    Attributes:
        repeats: whether axes of length 1 are repeated.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(_concatenate, node, axis=node.get("axis"))
        self.repeats = False

    def forward(self, *inputs: Any) -> Tensor:
        """Return the joined tensors."""
        self.options["repeats"] = self.repeats
        result: Tensor = super().forward(*inputs)
        return result


def _concatenate(*tensors: Tensor, axis: int, repeats: bool = False) -> Tensor:
    device = next((each.device for each in tensors if each.device.type != "cpu"), tensors[0].device)
    parts = [each.to(device) for each in tensors]
    axis = axis + parts[0].dim() if axis < 0 else axis
    if repeats:
        sizes = [max(each.shape[i] for each in parts) for i in range(parts[0].dim())]
        parts = [each.expand(*sizes[:axis], each.shape[axis], *sizes[axis + 1 :]) for each in parts]
    return torch.cat(parts, axis)


def _split(x: Tensor, *, axis: int, sizes: tuple[int, ...] | None, count: int) -> Any:
    parts = torch.split(x, -(-x.shape[axis] // count) if sizes is None else list(sizes), axis)
    return parts if count > 1 else parts[0]


def _build_split(node: Node) -> nn.Module:
    sizes = node.integers("split", 1)
    return Module(_split, node, axis=node.get("axis", 0), sizes=sizes, count=len(node.outputs))


def _shape(x: Tensor, *, start: int, end: int | None) -> Tensor:
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def _size(x: Tensor) -> Tensor:
    return torch.tensor(x.numel())


def _expand(x: Tensor, shape: Tensor) -> Tensor:
    sizes = tuple(torch.broadcast_shapes(x.shape, to_integers(shape)))  # type: ignore[no-untyped-call]
    check_size(sizes)
    return x.expand(sizes)


def _tile(x: Tensor, repeats: Tensor) -> Tensor:
    counts = to_integers(repeats)
    check_size([size * count for size, count in zip(x.shape, counts, strict=True)])
    return x.repeat(counts)


def _rearrange(x: Tensor, *, size: int, is_columns: bool) -> Tensor:
    n, c, h, w = x.shape
    shape = (n, c // size**2, size, size, h, w) if is_columns else (n, size, size, c // size**2, h, w)
    order = (0, 1, 4, 2, 5, 3) if is_columns else (0, 3, 4, 1, 5, 2)
    return x.reshape(shape).permute(order).reshape(n, c // size**2, h * size, w * size)


def _fold(x: Tensor, *, size: int) -> Tensor:
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * size**2, h // size, w // size)


BUILDERS = {
    "Concat": Concat,
    "DepthToSpace": lambda node: Function(
        _rearrange, node, size=node.get("blocksize"), is_columns=node.get("mode", "DCR") == "CRD"
    ),
    "Expand": lambda node: Function(_expand, node),
    "Flatten": lambda node: Function(_flatten, node, axis=node.get("axis", 1)),
    "Reshape": Reshape,
    "Shape": lambda node: Function(_shape, node, start=node.get("start", 0), end=node.get("end")),
    "Size": lambda node: Function(_size, node),
    "SpaceToDepth": lambda node: Function(_fold, node, size=node.get("blocksize")),
    "Split": _build_split,
    "Squeeze": lambda node: Module(_squeeze, node, axes=node.integers("axes", 1)),
    "Tile": lambda node: Function(_tile, node),
    "Transpose": lambda node: Function(_transpose, node, order=node.get("perm")),
    "Unsqueeze": lambda node: Module(_unsqueeze, node, axes=node.integers("axes", 1)),
}
"""Operator -> function that builds its module."""
