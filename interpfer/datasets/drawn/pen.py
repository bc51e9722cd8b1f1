"""Smooth curves and tapered strokes on a supersampled canvas, given in the frame of a head."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from interpfer.datasets.drawn.actions import Points
from interpfer.datasets.drawn.shape import Pose, lift

PointsLike = NDArray[np.float64] | Sequence[Any]
"""Points, or a list or tuple of them."""

Colour = tuple[int, int, int] | tuple[int, int, int, int] | int
"""RGB, RGBA that is blended with the image, or a grey level."""


class Pen:
    """Draws shapes given in the head's frame on an image.

    Args:
        image: canvas; RGB takes RGBA colours, L takes levels.
        pose: pose of the head in the image.
        zoom: pixels of the canvas per pixel of the pose's image.
        corner: (x, y) of the image's first pixel on the canvas, if the image is a crop of it.
    """

    def __init__(self, image: Image.Image, pose: Pose, zoom: int, corner: tuple[float, float] = (0.0, 0.0)) -> None:
        self.image = image
        self.pose = pose
        self.zoom = zoom
        self.corner = np.array(corner)
        self._camera = zoom * pose.camera()
        self._origin = zoom * (np.array(pose.origin) + 0.5) - 0.5
        self.unit = pose.scale * zoom
        self.draw = ImageDraw.Draw(image, "RGBA" if image.mode == "RGB" else image.mode)

    def pixels(self, points: PointsLike) -> Points:
        """Return (k, 2) points of the head in pixels of the canvas; the centre of a pixel is a whole number."""
        pixels: Points = lift(np.asarray(points, dtype=np.float64)) @ self._camera + self._origin
        return pixels

    def fill(self, outline: Points, colour: Colour) -> None:
        """Fill the polygon of (k, 2) canvas pixels."""
        self.draw.polygon((outline - self.corner).ravel().tolist(), fill=colour)

    def shape(self, points: PointsLike, colour: Colour) -> None:
        """Fill the smooth closed curve through points of the head."""
        self.fill(closed(self.pixels(points)), colour)

    def ellipse(self, centre: PointsLike, radii: tuple[float, float], colour: Colour) -> None:
        """Fill an ellipse of the head's frame, which rotates with the head."""
        self.fill(self.pixels(np.asarray(centre) + CIRCLE * radii), colour)

    def stroke(self, points: PointsLike, width: float, colour: Colour, ends: tuple[float, float] = (0.0, 0.0)) -> None:
        """Draw a line through points of the head.

        Args:
            points: (k, 2) with k at least 2.
            width: largest width in inter-ocular units.
            colour: colour of the line.
            ends: width at the start and at the end, as shares of the largest.
        """
        self.line(curve(self.pixels(points)), width * self.unit, colour, ends)

    @contextmanager
    def clipped(self, outline: Points) -> Iterator["Pen"]:
        """Yield a pen that draws only inside the polygon of (k, 2) canvas pixels."""
        low, high = np.floor(outline.min(0)).astype(int) - 1, np.ceil(outline.max(0)).astype(int) + 2
        box = (*low.tolist(), *high.tolist())
        patch = Pen(self.image.crop(box), self.pose, self.zoom, (float(low[0]), float(low[1])))
        yield patch
        mask = Image.new("L", patch.image.size)
        ImageDraw.Draw(mask).polygon((outline - low).ravel().tolist(), fill=255)
        self.image.paste(patch.image, (int(low[0]), int(low[1])), mask)

    def line(self, path: Points, width: float, colour: Colour, ends: tuple[float, float] = (0.0, 0.0)) -> None:
        """Draw a line along (k, 2) canvas pixels with a largest width of ``width`` pixels."""
        swell, along = _swell(len(path))
        half = 0.5 * width * np.maximum(swell, ends[0] + (ends[1] - ends[0]) * along)
        step = np.empty_like(path)
        step[1:-1] = path[2:] - path[:-2]
        step[0], step[-1] = path[1] - path[0], path[-1] - path[-2]
        step *= (half / np.sqrt((step**2).sum(1)).clip(1e-9))[:, None]
        side = step[:, ::-1] * (-1, 1)
        self.fill(np.concatenate([path + side, (path - side)[::-1]]), colour)


def curve(points: Points, steps: int = 6) -> Points:
    """Return a smooth open curve through (k, 2) points as ((k - 1) * steps + 1, 2)."""
    smooth: Points = _spline(len(points), steps, False) @ points
    return smooth


def closed(points: Points, steps: int = 6) -> Points:
    """Return a smooth closed curve through (k, 2) points as (k * steps, 2)."""
    smooth: Points = _spline(len(points), steps, True) @ points
    return smooth


def almond(points: Points, upper: Sequence[int], lower: Sequence[int]) -> Points:
    """Return the outline of two smooth curves that meet at corners: ``upper``, then ``lower`` in reverse."""
    return np.concatenate([curve(points[list(upper)]), curve(points[list(lower)])])


@cache
def _spline(count: int, steps: int, ring: bool) -> NDArray[np.float64]:
    """Return the matrix that maps control points to a Catmull-Rom curve."""
    pieces = count if ring else count - 1
    t = np.arange(steps) / steps
    weights = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1)
    matrix = np.zeros((pieces * steps + (not ring), count))
    for piece in range(pieces):
        for k in range(4):
            at = piece + k - 1
            at = at % count if ring else min(max(at, 0), count - 1)
            matrix[piece * steps : (piece + 1) * steps, at] += weights[:, k]
    if not ring:
        matrix[-1, -1] = 1.0
    return matrix


@cache
def _swell(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the relative width of a stroke at ``count`` points, and their relative positions, both in [0, 1]."""
    along = np.linspace(0.0, 1.0, count)
    return np.sqrt(np.sin(np.pi * along).clip(0)), along


def _circle(count: int = 28) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


CIRCLE = _circle()
