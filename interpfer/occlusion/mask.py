"""Face masks: surgical, respirator, cloth."""

from functools import cache

import numpy as np

from interpfer.datasets.drawn.pen import closed, curve
from interpfer.occlusion.base import Cover, Scene, occluder
from interpfer.occlusion.placing import by_spline, lay
from interpfer.occlusion.relief import Drawing, Plane, Relief

ANCHORS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 27, 28, 29, 36, 39, 42, 45)

BOX = (-1.35, -0.35, 1.35, 2.0)

HALF = ((0.0, 0.20), (0.20, 0.27), (0.50, 0.42), (0.86, 0.50), (0.97, 0.62), (0.98, 0.90), (0.90, 1.20), (0.72, 1.50),
        (0.42, 1.76), (0.0, 1.86))  # fmt: skip
"""Right half of the outline, from the nose to the chin."""


LOOPS = (((0.93, 0.58), (1.03, 0.40), (1.12, 0.16)), ((0.88, 1.22), (1.00, 0.95), (1.08, 0.62), (1.12, 0.38)))
"""Right halves of the ear loops."""


@occluder(needs="landmarks")
def mask(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """A face mask over nose, mouth and chin: surgical, respirator or cloth."""
    place = by_spline(scene.points, ANCHORS, scene.size)
    return lay(scene, drawings(), scene.keys.pick(len(drawings())), place, place)


@cache
def drawings() -> tuple[Drawing, ...]:
    """Return the masks."""
    return (
        _surgical((0.50, 0.69, 0.83), 0),
        _surgical((0.87, 0.90, 0.92), 1),
        _respirator((0.93, 0.92, 0.89), 2),
        _cloth((0.17, 0.18, 0.22), 3),
        _cloth((0.55, 0.20, 0.22), 4),
    )


def _outline() -> Plane:
    right = np.array(HALF)
    return closed(np.concatenate([right, right[-2:0:-1] * (-1, 1)]))


def _begin(seed: int) -> tuple[Relief, Plane, Plane]:
    """Return a sheet with shadow and ear loops, how far pixels are inside the mask, and its height."""
    sheet = Relief(BOX, seed)
    shape = sheet.inside(_outline())
    sheet.shadow(shape, 0.38, 0.05)
    loops = np.maximum.reduce(
        [sheet.stroke(curve(np.array(path) * (side, 1)), 0.028) for side in (-1, 1) for path in LOOPS]
    )
    sheet.shadow(loops, 0.35, 0.02, (0.01, 0.03))
    sheet.paint(loops, (0.90, 0.91, 0.92))
    x, y = sheet.x, sheet.y
    round_head = 0.75 * np.sqrt(np.clip(1.45 - x**2, 0.05, None))
    nose = 0.30 * np.exp(-((x / 0.19) ** 2) - ((y - 0.52) / 0.34) ** 2)
    chin = 0.16 * np.exp(-((x / 0.36) ** 2) - ((y - 1.52) / 0.22) ** 2)
    cheeks = 0.05 * np.exp(-(((np.abs(x) - 0.55) / 0.25) ** 2) - ((y - 0.75) / 0.3) ** 2)
    under = -0.10 * np.clip(y - 1.45, 0, None) ** 2 * 6
    return sheet, shape, sheet.soft(round_head + nose + chin + cheeks + under, 0.05)


def _hem(sheet: Relief, width: float) -> Plane:
    """Return a band along the edge of the mask."""
    away = -sheet.distance(_outline())
    return np.asarray(np.clip((width - away) / 0.012, 0, 1) * (away > 0))


def _surgical(colour: tuple[float, float, float], seed: int) -> Drawing:
    sheet, shape, height = _begin(seed)
    x, y = sheet.x, sheet.y
    for level in (0.72, 0.98, 1.24):
        fold = y - level - 0.10 * (1 - np.clip(np.abs(x), 0, 1) ** 2) * (level - 0.9)
        height = height + 0.035 * np.clip(1 - fold / 0.16, 0, 1) * (fold > 0)
    height = sheet.soft(height, 0.012) + 0.004 * sheet.noise(0.05)
    shade = sheet.lit(height, 0.5)
    shade *= 1 + 0.018 * sheet.noise(0.006)
    hem = _hem(sheet, 0.07)
    seam = np.exp(-((-sheet.distance(_outline()) - 0.075) ** 2) / 0.00012)
    stitches = 0.5 + 0.5 * np.sign(np.sin(70 * (x + y)))
    shade *= (1 + 0.05 * hem) * (1 - 0.20 * seam * stitches)
    wire = np.exp(-(((y - 0.30 - 0.42 * x**2) / 0.022) ** 2)) * (np.abs(x) < 0.42)
    shade *= 1 + 0.12 * wire
    sheet.paint(shape, np.clip(shade[..., None] * colour, 0, 1))
    return sheet.finish()


def _respirator(colour: tuple[float, float, float], seed: int) -> Drawing:
    sheet, shape, height = _begin(seed)
    x, y = sheet.x, sheet.y
    ridge = 0.22 * np.exp(-np.abs(x) / 0.30) * np.exp(-(((y - 1.0) / 0.62) ** 2))
    height = sheet.soft(height + ridge, 0.015) + 0.003 * sheet.noise(0.06)
    shade = sheet.lit(height, 0.48) * (1 + 0.015 * sheet.noise(0.008))
    centre = np.exp(-((x / 0.010) ** 2)) * (y > 0.3)
    hem = _hem(sheet, 0.06)
    dots = (np.sin(95 * x) * np.sin(95 * y) > 0.35) * hem
    shade *= (1 - 0.16 * centre) * (1 - 0.10 * dots)
    sheet.paint(shape, np.clip(shade[..., None] * colour, 0, 1))
    return sheet.finish()


def _cloth(colour: tuple[float, float, float], seed: int) -> Drawing:
    sheet, shape, height = _begin(seed)
    x, y = sheet.x, sheet.y
    for side in (-1, 1):
        for start, slope in ((0.62, 0.20), (0.95, -0.05), (1.25, -0.25)):
            crease = y - start - slope * (1 - side * x)
            height = height + 0.020 * np.exp(-((crease / 0.04) ** 2)) * np.clip(side * x - 0.35, 0, 0.5)
    height = sheet.soft(height, 0.012) + 0.007 * sheet.noise(0.07)
    shade = sheet.lit(height, 0.42)
    weave = np.sin(170 * (x + y)) * np.sin(170 * (x - y))
    shade *= 1 + 0.05 * weave + 0.02 * sheet.noise(0.008)
    seam = np.exp(-((x / 0.012) ** 2))
    hem = np.exp(-((-sheet.distance(_outline()) - 0.06) ** 2) / 0.00010) * (0.5 + 0.5 * np.sign(np.sin(60 * (x - y))))
    shade *= (1 - 0.30 * seam) * (1 - 0.25 * hem)
    sheet.paint(shape, np.clip(shade[..., None] * np.array(colour) + 0.02, 0, 1))
    return sheet.finish()
