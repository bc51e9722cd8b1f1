"""A pen for things that cover a face: shapes on a fine grid, lit as surfaces, with textures and soft shadows.

Each thing is painted once, at more than the resolution at which it is shown, and then laid on any number of faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

Plane = NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

UNIT = 110
"""Pixels per distance between the eyes."""

REACH = 0.12
"""Distance to a line beyond which it is not told apart."""

LIGHT = np.array((-0.42, -0.62, 0.66))
"""Direction of the light: from above, a little from the left."""


@dataclass(frozen=True)
class Drawing:
    """A finished drawing.

    Attributes:
        rgba: (4, h, w) colour, multiplied by alpha, and alpha.
        box: left, top, right and bottom, in distances between the eyes.
        is_skin: whether its colours are factors on the colour of the skin.
    """

    rgba: Float[Tensor, "4 h w"]
    box: Box
    is_skin: bool = False


class Relief:
    """A sheet that shapes are painted on, one over the other.

    Args:
        box: left, top, right and bottom of what can be painted, in distances between the eyes.
        seed: of textures.
        finer: how much finer a thing is painted than it is kept; 2 for smooth edges of thin things.
    """

    def __init__(self, box: Box, seed: int = 0, finer: int = 1) -> None:
        self.box, self.step, self._finer = box, 1 / (UNIT * finer), finer
        width, height = (round((box[2 + i] - box[i]) * UNIT) * finer for i in range(2))
        across, down = (box[i] + (np.arange(count) + 0.5) * self.step for i, count in enumerate((width, height)))
        self.x, self.y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
        self.colour: Plane = np.zeros((height, width, 3), np.float32)
        self.alpha: Plane = np.zeros((height, width), np.float32)
        self._random = np.random.default_rng(seed)

    def paint(self, alpha: Plane, colour: Plane | Sequence[float]) -> None:
        """Paint a colour over what is there.

        Args:
            alpha: (h, w) how much it hides.
            colour: RGB in [0, 1], one or (h, w, 3).
        """
        keep = 1 - alpha
        self.colour = self.colour * keep[..., None] + np.asarray(colour, float) * alpha[..., None]
        self.alpha = self.alpha * keep + alpha

    def shadow(self, alpha: Plane, strength: float, blur: float, shift: tuple[float, float] = (0.03, 0.06)) -> None:
        """Paint the shadow that a shape throws on what lies behind it."""
        right, down = (round(each / self.step) for each in shift)
        moved = np.pad(self.soft(alpha, blur), ((down, 0), (right, 0)))[: len(alpha), : alpha.shape[1]]
        self.paint(strength * moved, (0.06, 0.03, 0.03))

    def soft(self, plane: Plane, blur: float) -> Plane:
        """Return a plane blurred by a distance."""
        sigma = blur / self.step
        coarser = max(int(sigma / 2.5), 1)
        if coarser == 1:
            return np.asarray(gaussian_filter(plane.astype(np.float32), sigma, truncate=3))
        sheet = torch.from_numpy(plane.astype(np.float32))[None, None]
        small = F.avg_pool2d(
            F.pad(sheet, (0, -sheet.shape[3] % coarser, 0, -sheet.shape[2] % coarser), "replicate"), coarser
        )
        smooth = torch.from_numpy(np.asarray(gaussian_filter(small[0, 0].numpy(), sigma / coarser, truncate=3)))
        large = F.interpolate(smooth[None, None], scale_factor=float(coarser), mode="bilinear")[0, 0].numpy()
        return np.asarray(large[: plane.shape[0], : plane.shape[1]])

    def noise(self, size: float) -> Plane:
        """Return noise of standard deviation 1 with spots of a size."""
        plane = self.soft(self._random.standard_normal(self.x.shape, np.float32), size)
        return np.asarray(plane / plane.std())

    def lit(self, height: Plane, ambient: float = 0.45, gloss: float = 0.0, sharpness: float = 24) -> Plane:
        """Return how bright a surface is, around 1 where it faces the viewer, from its height.

        Args:
            height: towards the viewer.
            ambient: share of the light that comes from everywhere.
            gloss: strength of its highlights.
            sharpness: of its highlights.
        """
        down, across = np.gradient(height, self.step)
        normal = np.stack([-across, -down, np.ones_like(height)], -1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        light = LIGHT / np.linalg.norm(LIGHT)
        facing = np.clip(normal @ light, 0, None)
        shine = np.clip(normal @ ((light + (0, 0, 1)) / np.linalg.norm(light + (0, 0, 1))), 0, None) ** sharpness
        return np.asarray(ambient + (1 - ambient) * facing / light[2] + gloss * shine)

    def inside(self, outline: Plane | Sequence[tuple[float, float]], edge: float = 0.008) -> Plane:
        """Return how far each pixel is inside a smooth closed curve, from 0 to 1 across its edge."""
        return np.asarray(np.clip(0.5 - self.distance(outline) / edge, 0, 1))

    def distance(self, outline: Plane | Sequence[tuple[float, float]]) -> Plane:
        """Return the distance to a polygon, negative inside."""
        corners = (np.asarray(outline, float) - self.box[:2]) / self.step
        picture = Image.new("1", self.x.shape[::-1])
        ImageDraw.Draw(picture).polygon(corners.ravel().tolist(), fill=1)
        within = np.asarray(picture)
        away = distance_transform_edt(~within) - distance_transform_edt(within)
        return np.asarray((away - 0.5 * np.sign(away)) * self.step, np.float32)

    def to_line(self, a: tuple[float, float], b: tuple[float, float]) -> tuple[Plane, Plane]:
        """Return the distance to a line between two points, and how far along it the nearest point lies."""
        dx, dy = b[0] - a[0], b[1] - a[1]
        square = max(dx * dx + dy * dy, 1e-12)
        along = np.clip(((self.x - a[0]) * dx + (self.y - a[1]) * dy) / square, 0, 1)
        return np.hypot(self.x - a[0] - along * dx, self.y - a[1] - along * dy), along

    def stroke(self, path: Plane | Sequence[tuple[float, float]], width: float) -> Plane:
        """Return how much of each pixel a line through points covers."""
        return np.asarray(np.clip(0.5 + (width / 2 - self.to_path(path)) / 0.008, 0, 1))

    def to_path(self, path: Plane | Sequence[tuple[float, float]]) -> Plane:
        """Return the distance to a line through points."""
        points, nearest = np.asarray(path, float), np.full(self.x.shape, REACH, np.float32)
        low, high = (
            (points.min(0) - REACH - self.box[:2]) / self.step,
            (points.max(0) + REACH - self.box[:2]) / self.step,
        )
        columns, rows = (slice(max(int(low[i]), 0), max(int(high[i]), 0)) for i in range(2))
        x, y = self.x[rows, columns], self.y[rows, columns]
        for a, b in zip(points[:-1], points[1:], strict=True):
            along = np.clip(
                ((x - a[0]) * (b - a)[0] + (y - a[1]) * (b - a)[1]) / max(((b - a) ** 2).sum(), 1e-12), 0, 1
            )
            away = np.hypot(x - a[0] - along * (b - a)[0], y - a[1] - along * (b - a)[1])
            nearest[rows, columns] = np.minimum(nearest[rows, columns], away)
        return nearest

    def finish(self, is_skin: bool = False) -> Drawing:
        """Return the drawing at the resolution at which it is kept."""
        planes = torch.from_numpy(np.concatenate([self.colour, self.alpha[..., None]], -1)).float().permute(2, 0, 1)
        kept = F.avg_pool2d(planes[None], self._finer)[0].clamp(min=0)
        return Drawing(kept, self.box, is_skin)
