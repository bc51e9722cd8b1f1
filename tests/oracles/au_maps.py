"""The AU heatmap of Belharbi et al. 2024 as a loop over OpenCV calls: one face, one action unit, one ellipse at a time.

It shares no code and no table with ``interpfer.au``.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

EMPTY = 1e-4
GRID = 28
RADIUS = 20

AUS_OF: dict[str, tuple[int, ...]] = {
    "happiness": (6, 12, 25),
    "sadness": (1, 4, 6, 15, 17),
    "surprise": (1, 2, 5, 26, 27),
    "fear": (1, 2, 4, 5, 20, 25, 26, 27),
    "anger": (4, 5, 7, 10, 17, 23, 24, 25, 26),
    "disgust": (5, 9, 16, 17, 25, 26),
}
"""What the reference code runs."""

Point = tuple[int, int]
Ellipse = tuple[Point, Point]
Heatmap = NDArray[np.float32]


def middle(a: Point, b: Point) -> Point:
    """Return the middle of two points, truncated."""
    return int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2)


def axis(length: float, at_zero: int = 0) -> int:
    """Truncate a half-axis; a negative one becomes 0, and 0 becomes ``at_zero``."""
    return max(int(length), 0) or at_zero


def ellipses(points: NDArray[np.floating], w: int = 224, h: int = 224) -> dict[int, list[Ellipse]]:
    """Return centre and half-axes of the ellipses of every action unit of one face."""
    p: list[Point] = [(int(x), int(y)) for x, y in points]
    x = [point[0] for point in p]
    y = [point[1] for point in p]

    def eye(outer: int, taller: int, least: int) -> Ellipse:
        inner, top, bottom = outer + 3, outer + 2, outer + 5
        half = axis((x[inner] - x[outer]) / 2, least), axis((y[bottom] - y[top] + taller) / 2, least)
        return middle((x[outer], y[top]), (x[inner], y[bottom])), half

    brow, cheek, disc = (round(w / 8), round(h / 10)), (round(w / 10), round(h / 10)), (RADIUS, RADIUS)
    drop = round(h / 6)
    mouth = [(middle((x[48], y[51]), (x[54], y[57])), (axis((x[54] - x[48]) / 2, 5), axis((y[57] - y[51]) / 2, 5)))]
    corners = [(p[48], disc), (p[54], disc)]
    return {
        1: [(p[20], brow), (p[23], brow)],
        2: [(p[18], brow), (p[25], brow)],
        4: [(middle(p[19], p[24]), (axis((x[24] - x[19]) / 2, 10), axis((y[24] - y[19]) / 2, 10)))],
        5: [eye(36, 0, 5), eye(42, 0, 5)],
        6: [((x[41], y[41] + drop), cheek), ((x[46], y[46] + drop), cheek)],
        7: [eye(36, 20, 5), eye(42, 20, 5)],
        9: [((x[31], y[29]), disc), ((x[35], y[29]), disc)],
        10: [((x[48], y[50]), disc), ((x[52], y[54]), disc)],
        12: corners,
        14: [((max(x[48] - 20, 0), y[48]), disc), ((min(x[54] + 20, w), y[54]), disc)],
        15: corners,
        16: [(p[59], disc), (p[55], disc)],
        17: [(middle(p[59], p[8]), (axis((x[8] - x[59]) / 2, 5), axis((y[8] - y[59]) / 2, 5)))],
        20: [(middle(p[48], p[6]), disc), (middle(p[50], p[10]), disc)],
        23: mouth,
        24: mouth,
        25: [(p[51], (25, 10)), (p[57], (25, 10))],
        26: mouth,
        27: mouth,
        43: [eye(36, 20, 0), eye(42, 20, 0)],
    }


def plane(regions: Iterable[Ellipse], w: int = 224, h: int = 224) -> Heatmap | None:
    """Draw one action unit, soften it, and return it in 0..255; None if nothing was drawn inside the image."""
    canvas = np.full((h, w), EMPTY, np.float32)
    for centre, half_axes in regions:
        cv2.ellipse(canvas, centre, half_axes, 0, 0, 360, 255, -1)
    if canvas.max() <= EMPTY * 1.01:
        return None
    small = cv2.resize(canvas, (GRID, GRID), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(cv2.blur(small, (3, 3)), (w, h), interpolation=cv2.INTER_LINEAR)


def au_map(points: NDArray[np.floating], expression: str, w: int = 224, h: int = 224) -> Heatmap | None:
    """Return the heatmap of one face; None where it is undefined."""
    return union(points, AUS_OF.get(expression, ()), w, h)


def union(points: NDArray[np.floating], aus: Iterable[int], w: int = 224, h: int = 224) -> Heatmap | None:
    """Return the min-max normalised maximum of the planes of some action units."""
    if not np.isfinite(points).all():
        return None
    regions = ellipses(points, w, h)
    drawn = [picture for au in aus if (picture := plane(regions[au], w, h)) is not None]
    if not drawn:
        return None
    merged = np.max(drawn, axis=0)
    if np.ptp(merged) < EMPTY:  # an edge that fell between the pixels that the 28 x 28 grid samples
        return None
    return (merged - merged.min()) / (merged.max() - merged.min())
