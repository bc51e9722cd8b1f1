"""Squares and windows cut from pictures, at the sizes that the landmark network wants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from interpfer.landmarks.network import CROP, Squares

CANVAS_SIDE = 160
"""Side in pixels to which a picture is brought before crops are cut from it."""

WINDOW_STEP = 32
"""Step of the search, in pixels of a window of CROP pixels; the network finds faces this far off the centre."""

SMALLEST = 1 / 6
"""Side of the smallest window of the search, as a share of the longer side of the picture; 20 pixels at least."""


@dataclass(frozen=True)
class Canvases:
    """Squares of n pictures, reduced to one size.

    Attributes:
        pixels: (n, 1, CANVAS_SIDE, CANVAS_SIDE) grey in [0, 1].
        scale: (n, 2) pixels of the picture per pixel of the canvas, along x and y.
        origin: (n, 2) where in the picture the canvas begins.
    """

    pixels: Float[Tensor, "n 1 s s"]
    scale: Float[Tensor, "n 2"]
    origin: Float[Tensor, "n 2"]

    @classmethod
    def cut(
        cls, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]], device: torch.device
    ) -> "Canvases":
        """Cut one box (centre x, centre y, side) out of each picture."""
        found = [_canvas(grey, *box) for grey, box in zip(greys, boxes, strict=True)]
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in found])).to(device)
        placing = torch.tensor([place for _, place in found], dtype=torch.float32, device=device)
        return cls(pixels[:, None].float() / 255, placing[:, :2], placing[:, 2:])

    def squares(self) -> Squares:
        """Return the squares that cover the canvases."""
        sides = self.pixels.new_full((len(self.pixels),), self.pixels.shape[-1])
        return Squares(torch.stack([sides / 2, sides / 2], 1), sides, torch.zeros_like(sides))

    def to_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Carry points of the canvases to the pictures."""
        return points * self.scale[:, None] + self.origin[:, None]

    def from_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Undo ``to_picture``."""
        return (points - self.origin[:, None]) / self.scale[:, None]

    def replaced(self, where: list[int], other: "Canvases") -> "Canvases":
        """Return a copy with those of ``other`` in some places."""
        index = torch.tensor(where, device=self.pixels.device)
        return Canvases(
            self.pixels.index_copy(0, index, other.pixels),
            self.scale.index_copy(0, index, other.scale),
            self.origin.index_copy(0, index, other.origin),
        )


def to_grey(image: Image.Image) -> Image.Image:
    """Return the picture in grey."""
    return image if image.mode == "L" else image.convert("L")


def whole(grey: Image.Image) -> tuple[float, float, float]:
    """Return the box (centre x, centre y, side) around a picture."""
    return grey.width / 2, grey.height / 2, float(max(grey.size))


def _canvas(
    grey: Image.Image, x: float, y: float, side: float
) -> tuple[UInt8[np.ndarray, "s s"], tuple[float, float, float, float]]:
    """Reduce or enlarge a square of a picture to the canvas, repeating the picture's edge beyond it.

    Returns:
        The pixels, and what `Canvases` calls scale and origin: (x, y, x, y).
    """
    low_x, low_y = max(0.0, x - side / 2), max(0.0, y - side / 2)
    high_x, high_y = min(grey.width, x + side / 2), min(grey.height, y + side / 2)
    if high_x - low_x < 1 or high_y - low_y < 1:
        return np.zeros((CANVAS_SIDE, CANVAS_SIDE), np.uint8), (1.0, 1.0, 0.0, 0.0)
    zoom = CANVAS_SIDE / side
    left, top = round((low_x - x) * zoom + CANVAS_SIDE / 2), round((low_y - y) * zoom + CANVAS_SIDE / 2)
    width = min(max(1, round((high_x - low_x) * zoom)), CANVAS_SIDE - left)
    height = min(max(1, round((high_y - low_y) * zoom)), CANVAS_SIDE - top)
    resized = grey.resize(
        (width, height), Image.Resampling.BILINEAR, box=(low_x, low_y, high_x, high_y), reducing_gap=2.0
    )
    around = ((top, CANVAS_SIDE - top - height), (left, CANVAS_SIDE - left - width))
    scale_x, scale_y = (high_x - low_x) / width, (high_y - low_y) / height
    place = scale_x, scale_y, low_x - left * scale_x, low_y - top * scale_y
    return np.pad(np.asarray(resized), around, mode="edge"), place


def pyramid(grey: Image.Image) -> list[tuple[Tensor, Tensor]]:
    """Return, level by level, windows (n, 1, CROP, CROP) uint8 and their places (n, 3): centre x, y, side."""
    levels: list[tuple[Tensor, Tensor]] = []
    longest = max(grey.size)
    side = 1.1 * longest
    while not levels or side > max(SMALLEST * longest, 20):
        zoom = CROP / side
        width, height = max(1, round(grey.width * zoom)), max(1, round(grey.height * zoom))
        level = torch.from_numpy(np.array(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)))
        pad_x, pad_y = _fill(width), _fill(height)
        around = (pad_x // 2, pad_x - pad_x // 2, pad_y // 2, pad_y - pad_y // 2)
        padded = F.pad(level[None].float(), around, mode="replicate")[0].byte()
        windows = padded.unfold(0, CROP, WINDOW_STEP).unfold(1, CROP, WINDOW_STEP)
        rows, columns = torch.meshgrid(torch.arange(windows.shape[0]), torch.arange(windows.shape[1]), indexing="ij")
        x = (columns.flatten() * WINDOW_STEP + CROP / 2 - pad_x // 2) / width * grey.width
        y = (rows.flatten() * WINDOW_STEP + CROP / 2 - pad_y // 2) / height * grey.height
        levels.append((windows.reshape(-1, 1, CROP, CROP), torch.stack([x, y, torch.full_like(x, side)], 1)))
        side /= 1.5
    return levels


def _fill(length: int) -> int:
    """How much a level lacks for windows to cover it."""
    return CROP - length if length < CROP else -(length - CROP) % WINDOW_STEP
