"""Sunglasses in three styles."""

from functools import cache
from typing import NamedTuple

import numpy as np

from interpfer.datasets.drawn.pen import closed, curve
from interpfer.occlusion.base import Cover, Scene, occluder
from interpfer.occlusion.placing import by_affine, lay
from interpfer.occlusion.relief import Drawing, Relief

ANCHORS = (0, 16, 1, 15, 27, 28, 36, 39, 42, 45, 37, 38, 40, 41, 43, 44, 46, 47)

BOX = (-1.40, -0.62, 1.40, 0.72)


class Style(NamedTuple):
    """One pair.

    Attributes:
        lens: outline of the right lens.
        frame: colour of the frame.
        width: of its rim.
        top, bottom: colours of the lens.
        bridge: height of the bridge.
    """

    lens: tuple[tuple[float, float], ...]
    frame: tuple[float, float, float]
    width: float
    top: tuple[float, float, float]
    bottom: tuple[float, float, float]
    bridge: float


STYLES = (
    Style(((0.14, -0.13), (0.30, -0.24), (0.62, -0.27), (0.93, -0.25), (0.95, -0.05), (0.86, 0.22), (0.58, 0.31),
           (0.28, 0.24), (0.15, 0.08)), (0.07, 0.07, 0.08), 0.075, (0.03, 0.03, 0.04), (0.12, 0.12, 0.14), -0.13),
    Style(((0.12, -0.10), (0.28, -0.22), (0.60, -0.25), (0.90, -0.18), (0.96, 0.05), (0.84, 0.32), (0.58, 0.43),
           (0.30, 0.34), (0.15, 0.12)), (0.62, 0.50, 0.26), 0.032, (0.10, 0.11, 0.08), (0.36, 0.31, 0.20), -0.13),
    Style(((0.15, 0.0), (0.22, -0.22), (0.50, -0.33), (0.78, -0.22), (0.87, 0.02), (0.78, 0.26), (0.50, 0.37),
           (0.22, 0.26)), (0.30, 0.17, 0.09), 0.055, (0.09, 0.05, 0.03), (0.30, 0.19, 0.12), -0.06),
)  # fmt: skip


@occluder(needs="landmarks")
def sunglasses(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """Dark glasses over eyes and, in part, brows."""
    place = by_affine(scene.points, ANCHORS, scene.size)
    return lay(scene, drawings(), scene.keys.pick(len(drawings())), place, place)


@cache
def drawings() -> tuple[Drawing, ...]:
    """Return the pairs of glasses."""
    return tuple(_pair(style) for style in STYLES)


def _pair(style: Style) -> Drawing:
    sheet = Relief(BOX, finer=2)
    sides = [closed(np.array(style.lens) * (side, 1)) for side in (-1, 1)]
    away = np.minimum(*(sheet.distance(outline) for outline in sides))
    lens, half = np.clip(0.5 - away / 0.01, 0, 1), style.width / 2
    rim = np.clip(0.5 + (half - np.abs(away)) / 0.008, 0, 1)
    bridge = sheet.stroke(
        curve(np.array([(-0.16, style.bridge + 0.04), (0, style.bridge - 0.03), (0.16, style.bridge + 0.04)])),
        max(style.width, 0.04),
    )
    corner = max(point[0] for point in style.lens)
    level = min(point[1] for point in style.lens if point[0] > corner - 0.12) + 0.10
    arms = np.maximum(
        *(
            sheet.stroke(
                curve(np.array([(corner - 0.02, level - 0.04), (1.08, level - 0.03), (1.24, 0.0)]) * (side, 1)),
                max(style.width * 0.9, 0.035),
            )
            for side in (-1, 1)
        )
    )
    solid = np.maximum.reduce([lens, rim, bridge, arms])
    sheet.shadow(solid, 0.42, 0.035, (0.01, 0.07))
    sheet.paint(arms, np.array(style.frame) * 0.85)
    _paint_lenses(sheet, lens, style)
    tube = np.sqrt(np.clip(half**2 - np.minimum(np.abs(away), half) ** 2, 0, None)) + 0.02 * bridge
    shade = sheet.lit(sheet.soft(tube, 0.006), 0.55, gloss=0.5, sharpness=30)
    sheet.paint(np.maximum(rim, bridge), np.clip(shade[..., None] * style.frame, 0, 1))
    return sheet.finish()


def _paint_lenses(sheet: Relief, lens: np.ndarray, style: Style) -> None:
    """Paint the glass: darker at the top, with the reflection of a window."""
    x, y = sheet.x, sheet.y
    fade = np.clip((y + 0.3) / 0.7, 0, 1)[..., None]
    glass = np.array(style.top) * (1 - fade) + np.array(style.bottom) * fade
    inner = np.abs(x) - 0.53
    across = np.where(x > 0, x - 0.53, x + 0.53)
    slant = across + 0.55 * y
    glare = np.exp(-(((slant + 0.12) / 0.055) ** 2)) + 0.6 * np.exp(-(((slant - 0.05) / 0.025) ** 2))
    glare *= np.exp(-(((y + 0.02) / 0.20) ** 2)) * (np.abs(inner) < 0.5)
    sky = 0.18 * np.exp(-(((y + 0.26) / 0.10) ** 2))
    sheet.paint(
        0.965 * lens, np.clip(glass + (0.26 * sheet.soft(glare, 0.012) + sky)[..., None] * (0.85, 0.92, 1.0), 0, 1)
    )
