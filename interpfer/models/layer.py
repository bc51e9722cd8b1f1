"""A spatial layer of a network, and its output as channels on a grid."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """A module whose output lies on a grid.

    Attributes:
        name: name in ``named_modules()``.
        channels: number of channels of the output.
        grid: (height, width) of the output.
        layout: "nchw", "nhwc", or "tokens".
        prefix: number of class and register tokens before the patch tokens.
        is_composite: whether it contains other modules.
        is_norm: whether it is a normalisation.
        is_used: whether the logits depend on its output.
        has_gradient: whether a graph leads from its output to the logits; not where the network runs it without
            gradients, or a module behind it has none.
        calls: number of calls in one forward pass.
        part: index of the output in a tuple of tensors.
        has_weights: whether it has parameters.
        source: number shared by layers that return the same tensor, such as a block and the last module inside it.
        is_stage_end: whether it ends a stage.
        order: index of the patch token at each cell of the grid, row by row, where tokens have another order.
    """

    name: str
    channels: int
    grid: tuple[int, int]
    layout: str
    prefix: int = 0
    is_composite: bool = False
    is_norm: bool = False
    is_used: bool = True
    has_gradient: bool = True
    calls: int = 1
    part: int = 0
    has_weights: bool = True
    source: int = 0
    is_stage_end: bool = False
    order: tuple[int, ...] | None = None

    @property
    def used(self) -> bool:
        """The same as ``is_used``, under its name in the first version."""
        return self.is_used

    def to_grid(self, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Reshape an output, or its gradient, to channels on a grid."""
        if self.layout == "nhwc":
            return activation.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            patches = activation[:, self.prefix :]
            if self.order is not None:
                patches = patches[:, torch.tensor(self.order, device=patches.device)]
            return patches.mT.reshape(len(activation), -1, *self.grid)
        return activation

    def describe(self) -> str:
        """Return the name and the shape of the output."""
        return f"{self.name} ({self.channels} x {self.grid[0]} x {self.grid[1]})"
