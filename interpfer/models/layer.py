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
        layout: "nchw", "nhwc", or "tokens"; of clips also "ncthw", "ntchw" and "nthwc".
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
        frames: number of frames of the clips that the network takes; 1 for pictures.
        slices: number of grids over time in the output for a clip; each stands for some of its frames.
        by_frame: whether the module runs on the frames of a clip as on pictures.
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
    frames: int = 1
    slices: int = 1
    by_frame: bool = False

    @property
    def used(self) -> bool:
        """The same as ``is_used``, under its name in the first version."""
        return self.is_used

    def to_grid(self, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Reshape an output, or its gradient, to channels on a grid; of clips, the grids of a clip below one another.

        So whatever is pooled over the grid is pooled over time, height and width; ``to_frames`` takes maps apart again.
        """
        if self.frames == 1:
            return self._to_picture_grid(activation)
        if self.layout == "ncthw":
            volume = activation
        elif self.layout == "ntchw":
            volume = activation.transpose(1, 2)
        elif self.layout == "nthwc":
            volume = activation.permute(0, 4, 1, 2, 3)
        else:
            grids = self._to_picture_grid(activation)
            if not self.by_frame:
                return grids
            volume = grids.reshape(-1, self.frames, *grids.shape[1:]).transpose(1, 2)
        return volume.flatten(2, 3)

    def _to_picture_grid(self, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        if self.layout == "nhwc":
            return activation.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            patches = activation[:, self.prefix :]
            if self.order is not None:
                patches = patches[:, torch.tensor(self.order, device=patches.device)]
            rows = 1 if self.by_frame else self.slices
            return patches.mT.reshape(len(activation), -1, rows * self.grid[0], self.grid[1])
        return activation

    def to_frames(self, maps: Float[Tensor, "n tgh gw"]) -> Float[Tensor, "m gh gw"]:
        """Return a map per frame out of maps at the grid of clips: the frame's slice, at the middle of the frame.

        Examples:
            >>> layer = Layer("conv", 1, (1, 1), "ncthw", frames=4, slices=2)
            >>> layer.to_frames(torch.tensor([[[0.1], [0.9]]])).flatten()
            tensor([0.1000, 0.1000, 0.9000, 0.9000])
        """
        if self.frames == 1:
            return maps
        chosen = [(2 * frame + 1) * self.slices // (2 * self.frames) for frame in range(self.frames)]
        return maps.reshape(len(maps), self.slices, -1, maps.shape[2])[:, chosen].flatten(0, 1)

    def describe(self) -> str:
        """Return the name and the shape of the output."""
        time = f"{self.slices} x " if self.frames > 1 else ""
        return f"{self.name} ({self.channels} x {time}{self.grid[0]} x {self.grid[1]})"
