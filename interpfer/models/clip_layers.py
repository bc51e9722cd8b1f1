"""Layers of classifiers of clips: which outputs lie on grids over time, height and width."""

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from interpfer.models.layer import Layer

FindPicture = Callable[[str, Tensor], Layer | None]
"""Function from the name of a module and its output for one picture to a layer; None for one that is on no grid."""


class ClipLayouts:
    """Finds the layout of the outputs of a network for one clip, in the order in which its modules finish.

    Args:
        network: the network.
        frames: number of frames of the clip.
        prefixes: numbers of class and register tokens to try.
        least: smallest side of a grid.
        find_picture: for outputs of modules that run on each frame as on a picture.
    """

    def __init__(
        self, network: nn.Module, frames: int, prefixes: tuple[int, ...], least: int, find_picture: FindPicture
    ) -> None:
        self._frames, self._prefixes, self._least, self._find_picture = frames, prefixes, least, find_picture
        self._has_volumes = any(isinstance(module, nn.Conv3d) for module in network.modules())
        self._volumes: dict[int, tuple[int, int]] = {}

    def find(self, name: str, output: Tensor) -> Layer | None:
        """Return the layer of an output; None where it is on no grid."""
        if output.dim() == 5:
            return self._find_volume(name, output)
        if not output.is_floating_point() or output.dim() not in (3, 4):
            return None
        if len(output) == self._frames:
            layer = self._find_picture(name, output[:1])
            return layer and replace(layer, frames=self._frames, slices=self._frames, by_frame=True)
        if output.dim() == 4:
            layer = self._find_picture(name, output)
            return layer and replace(layer, frames=self._frames)
        return self._find_tokens(name, output) if len(output) == 1 else None

    def _find_volume(self, name: str, output: Tensor) -> Layer | None:
        _, a, b, c, d = output.shape
        if c == d and b <= self._frames and (self._has_volumes or a > self._frames):
            found = ("ncthw", a, b, c)
        elif c == d and a <= self._frames:
            found = ("ntchw", b, a, c)
        elif b == c and a <= self._frames:
            found = ("nthwc", d, a, b)
        else:
            return None
        layout, channels, slices, side = found
        self._volumes[slices * side * side] = (slices, side)
        if side < self._least or len(output) != 1 or not output.is_floating_point():
            return None
        return Layer(name, channels, (side, side), layout, frames=self._frames, slices=slices)

    def _find_tokens(self, name: str, output: Tensor) -> Layer | None:
        """Return a layer of tokens: those of a grid that was seen before, else the only grid that they can fill."""
        tokens, channels = output.shape[1:]
        known = [(extra, *self._volumes[tokens - extra]) for extra in self._prefixes if tokens - extra in self._volumes]
        possible = known[:1] or [
            (extra, slices, math.isqrt((tokens - extra) // slices))
            for extra in self._prefixes
            for slices in range(1, self._frames + 1)
            if self._frames % slices == 0 and (tokens - extra) % slices == 0
            if math.isqrt((tokens - extra) // slices) ** 2 * slices == tokens - extra
        ]
        possible = [each for each in possible if each[2] >= self._least]
        if len(possible) != 1:
            return None
        extra, slices, side = possible[0]
        return Layer(name, channels, (side, side), "tokens", extra, frames=self._frames, slices=slices)
