"""Squares and windows cut from pictures as input of the landmark network."""

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
"""Side in pixels to which a picture is resized before crops are cut from it."""

WINDOW_STEP = 32
"""Step of the search, in pixels of a window of ``CROP`` pixels; the network finds faces this far off the centre."""

SMALLEST = 1 / 6
"""Side of the smallest window of the search, as a share of the longer side of the picture; 20 pixels at least."""


@dataclass(frozen=True)
class Canvases:
    """Squares of n pictures, resized to one size.

    Attributes:
        pixels: (n, 1, CANVAS_SIDE, CANVAS_SIDE) grey in [0, 1].
        scale: (n, 2) pixels of the picture per pixel of the canvas, along x and y.
        origin: (n, 2) position (x, y) of the canvas in the picture.
    """

    pixels: Float[Tensor, "n 1 s s"]
    scale: Float[Tensor, "n 2"]
    origin: Float[Tensor, "n 2"]

    @classmethod
    def cut(
        cls, greys: Sequence[Image.Image], boxes: Iterable[tuple[float, float, float]], device: torch.device
    ) -> "Canvases":
        """Cut one box (centre x, centre y, side) out of each picture."""
        canvases = [_canvas(grey, *box) for grey, box in zip(greys, boxes, strict=True)]
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in canvases])).to(device)
        placements = torch.tensor([placement for _, placement in canvases], dtype=torch.float32, device=device)
        return cls(pixels[:, None].float() / 255, placements[:, :2], placements[:, 2:])

    def squares(self) -> Squares:
        """Return the squares that cover the canvases."""
        sides = self.pixels.new_full((len(self.pixels),), self.pixels.shape[-1])
        return Squares(torch.stack([sides / 2, sides / 2], 1), sides, torch.zeros_like(sides))

    def to_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Convert points from pixels of the canvases to pixels of the pictures."""
        return points * self.scale[:, None] + self.origin[:, None]

    def from_picture(self, points: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p 2"]:
        """Convert points from pixels of the pictures to pixels of the canvases."""
        return (points - self.origin[:, None]) / self.scale[:, None]

    def replaced(self, where: list[int], other: "Canvases") -> "Canvases":
        """Return a copy with the canvases of ``other`` at the indices ``where``."""
        index = torch.tensor(where, device=self.pixels.device)
        return Canvases(
            self.pixels.index_copy(0, index, other.pixels),
            self.scale.index_copy(0, index, other.scale),
            self.origin.index_copy(0, index, other.origin),
        )


def to_grey(image: Image.Image) -> Image.Image:
    """Return the picture in grey."""
    return image if image.mode == "L" else image.convert("L")


def whole_box(grey: Image.Image) -> tuple[float, float, float]:
    """Return the box (centre x, centre y, side) around a picture."""
    return grey.width / 2, grey.height / 2, float(max(grey.size))


def _canvas(
    grey: Image.Image, x: float, y: float, side: float
) -> tuple[UInt8[np.ndarray, "s s"], tuple[float, float, float, float]]:
    """Resize a square of a picture to the canvas; beyond its edge, the picture repeats its last pixel.

    Returns:
        The pixels, and scale and origin as in ``Canvases``: (x, y, x, y).
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
    placement = scale_x, scale_y, low_x - left * scale_x, low_y - top * scale_y
    return np.pad(np.asarray(resized), around, mode="edge"), placement


def pyramid(grey: Image.Image) -> list[tuple[Tensor, Tensor]]:
    """Return per level the windows (n, 1, CROP, CROP) uint8 and their boxes (n, 3): centre x, y, side."""
    levels: list[tuple[Tensor, Tensor]] = []
    longest = max(grey.size)
    side = 1.1 * longest
    while not levels or side > max(SMALLEST * longest, 20):
        zoom = CROP / side
        width, height = max(1, round(grey.width * zoom)), max(1, round(grey.height * zoom))
        level = torch.from_numpy(np.array(grey.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)))
        pad_x, pad_y = _padding(width), _padding(height)
        around = (pad_x // 2, pad_x - pad_x // 2, pad_y // 2, pad_y - pad_y // 2)
        padded = F.pad(level[None].float(), around, mode="replicate")[0].byte()
        windows = padded.unfold(0, CROP, WINDOW_STEP).unfold(1, CROP, WINDOW_STEP)
        rows, columns = torch.meshgrid(torch.arange(windows.shape[0]), torch.arange(windows.shape[1]), indexing="ij")
        x = (columns.flatten() * WINDOW_STEP + CROP / 2 - pad_x // 2) / width * grey.width
        y = (rows.flatten() * WINDOW_STEP + CROP / 2 - pad_y // 2) / height * grey.height
        levels.append((windows.reshape(-1, 1, CROP, CROP), torch.stack([x, y, torch.full_like(x, side)], 1)))
        side /= 1.5
    return levels


def _padding(length: int) -> int:
    """Return the pixels to add to a side so that windows cover it."""
    return CROP - length if length < CROP else -(length - CROP) % WINDOW_STEP
