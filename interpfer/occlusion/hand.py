"""A hand before the face, in the colour of the skin of the face."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from interpfer.datasets.drawn.pen import closed
from interpfer.occlusion.base import Cover, Scene, occluder
from interpfer.occlusion.placing import RIGID, by_affine, lay, turned
from interpfer.occlusion.relief import Drawing, Plane, Relief

BOX = (-1.5, -1.35, 1.5, 2.3)

SPOTS = ((0.12, 0.95, -0.35), (0.42, 0.30, -0.15), (0.55, 0.75, 0.10))
"""Where the middle of the hand may be on the right half of the face, and its turn: mouth, eye, cheek."""


class Finger(NamedTuple):
    """Joints of a finger and its half width at each."""

    joints: tuple[tuple[float, float], ...]
    widths: tuple[float, ...]


FINGERS = (
    Finger(((-0.34, 0.30), (-0.42, -0.10), (-0.46, -0.38), (-0.47, -0.60)), (0.150, 0.145, 0.132, 0.108)),
    Finger(((-0.11, 0.24), (-0.14, -0.24), (-0.15, -0.58), (-0.15, -0.85)), (0.155, 0.150, 0.136, 0.112)),
    Finger(((0.13, 0.26), (0.15, -0.20), (0.16, -0.51), (0.17, -0.76)), (0.152, 0.146, 0.132, 0.108)),
    Finger(((0.36, 0.36), (0.41, 0.02), (0.45, -0.22), (0.47, -0.42)), (0.134, 0.126, 0.114, 0.094)),
)

THUMB = Finger(((-0.26, 0.90), (-0.52, 0.66), (-0.72, 0.42), (-0.82, 0.20)), (0.22, 0.175, 0.155, 0.118))


@occluder(needs="landmarks")
def hand(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """A hand on mouth, eye or cheek, from either side, in the colour of the skin."""
    head = by_affine(scene.points, RIGID, scene.size)
    spots = torch.tensor(SPOTS, dtype=torch.float64)[scene.keys.pick(len(SPOTS))].to(head.device)
    draws = scene.keys.uniform(4, offset=1).to(head.device)
    from_left = draws[:, 0] < 0.5
    side = torch.where(from_left, -1.0, 1.0)
    centre = torch.stack([side * spots[:, 0], spots[:, 1]], 1) + 0.16 * (draws[:, 1:3] - 0.5)
    angle = side * (spots[:, 2] + 0.4 * (draws[:, 3] - 0.5))
    place = turned(head, centre, angle, from_left)
    return lay(scene, drawings(), torch.zeros(len(head), dtype=torch.long), place, head)


@cache
def drawings() -> tuple[Drawing, ...]:
    """Return the back of a hand, fingers up."""
    sheet = Relief(BOX, 5)
    palm = _palm(sheet)
    layers = [_limb(sheet, each) for each in (*FINGERS, THUMB)]
    shape = np.maximum.reduce([np.clip(0.5 + height / 0.010, 0, 1) for height in (palm, *layers)])
    sheet.shadow(shape, 0.50, 0.06, (0.03, 0.09))
    skin = 0.012 * sheet.noise(0.010) + 0.012 * sheet.noise(0.07)
    for height, limb in ((palm, None), *zip(layers, (*FINGERS, THUMB), strict=True)):
        _paint(sheet, height, limb, skin)
    return (sheet.finish(is_skin=True),)


def _palm(sheet: Relief) -> Plane:
    """Return the height of the back of the hand and of the forearm, negative outside."""
    wrist = _limb(sheet, Finger(((0.02, 1.02), (0.05, 1.42), (0.08, 2.6)), (0.36, 0.31, 0.40)))
    outline = [(-0.47, 0.25), (-0.25, 0.14), (0.0, 0.12), (0.25, 0.15), (0.46, 0.30), (0.48, 0.65), (0.40, 1.05),
               (0.28, 1.38), (-0.25, 1.38), (-0.40, 1.0), (-0.50, 0.60)]  # fmt: skip
    away = -sheet.distance(closed(np.array(outline)))
    back = np.where(away > 0, 0.26 * (1 - np.exp(-np.clip(away, 0, None) / 0.16)), away)
    return _union(back, wrist * np.where(wrist > 0, 0.75, 1))


def _union(a: Plane, b: Plane, soft: float = 0.05) -> Plane:
    """Return the height of two bodies that have grown together."""
    top = np.maximum(a, b)
    return np.where(
        top > 0, soft * np.logaddexp(a / soft, b / soft) - soft * np.log(2) * np.exp(-np.abs(a - b) / soft), top
    )


def _limb(sheet: Relief, limb: Finger) -> Plane:
    """Return the height of a limb, half as high as it is wide; negative outside."""
    best = np.full(sheet.x.shape, -np.inf)
    for a, b, first, last in zip(limb.joints[:-1], limb.joints[1:], limb.widths[:-1], limb.widths[1:], strict=True):
        away, along = sheet.to_line(a, b)
        radius = first + (last - first) * along
        best = np.maximum(best, radius - away)
        best = np.where(away < radius, np.maximum(best, 0), best)
    inside = np.clip(best, 0, None)
    width = max(limb.widths)
    return np.where(best > 0, np.sqrt(np.clip(width**2 - (width - np.minimum(inside, width)) ** 2, 0, None)), best)


def _paint(sheet: Relief, height: Plane, limb: Finger | None, skin: Plane) -> None:
    """Paint one part of the hand over the others, with the shadow that it throws on them."""
    alpha = np.clip(0.5 + height / 0.010, 0, 1)
    smooth = sheet.soft(np.clip(height, 0, None), 0.022)
    shade = sheet.lit(smooth, 0.58, gloss=0.04, sharpness=12) * (1 + skin)
    shade = np.clip(shade, 0.30, 1.18)
    edge = np.clip(1 - np.clip(height, 0, None) / 0.09, 0, 1) ** 2
    colour = shade[..., None] * (1 - edge[..., None] * np.array((0.10, 0.20, 0.22)))
    if limb is None:
        for x in (-0.26, -0.06, 0.14, 0.32):
            tendon = np.exp(-(((sheet.x - x * (1.15 - 0.45 * (sheet.y - 0.2))) / 0.022) ** 2)) * np.exp(
                -(((sheet.y - 0.5) / 0.3) ** 2)
            )
            colour *= (1 + 0.05 * tendon)[..., None]
    else:
        sheet.paint(0.34 * np.clip(sheet.soft(alpha, 0.025) * 1.1 - alpha, 0, 1) * sheet.alpha, (0.18, 0.07, 0.05))
        colour = _details(sheet, limb.joints, limb.widths, colour)
    sheet.paint(alpha, np.clip(colour, 0, 1.25))


def _details(sheet: Relief, joints: Sequence[tuple[float, float]], widths: Sequence[float], colour: Plane) -> Plane:
    """Draw the creases over the joints, and the nail."""
    for joint, before, width in zip(joints[1:-1], joints[:-2], widths[1:-1], strict=True):
        along, across = _axes(sheet, joint, before)
        for shift in (-0.030, 0.0, 0.030):
            bow = along - shift - 0.9 * shift * (across / width) ** 2
            crease = np.exp(-((bow / 0.0075) ** 2)) * np.exp(-((across / (0.62 * width)) ** 2))
            colour = colour * (1 - 0.17 * crease[..., None] * np.array((0.8, 1.0, 1.0)))
        knuckle = np.exp(-((along / 0.07) ** 2) - (across / (0.7 * width)) ** 2)[..., None]
        colour = colour * (1 - knuckle * np.array((0.01, 0.06, 0.06)))
    tip, before, width = joints[-1], joints[-2], widths[-1]
    along, across = _axes(sheet, tip, before)
    shape = (np.abs((along - 0.012) / (0.95 * width)) ** 3 + np.abs(across / (0.70 * width)) ** 2.6) ** 0.4
    nail = np.clip((1 - shape) / 0.10, 0, 1)[..., None]
    shine = np.exp(-(((across + 0.25 * width) / (0.22 * width)) ** 2) - ((along - 0.01) / (0.6 * width)) ** 2)[
        ..., None
    ]
    tone = colour * (1.04, 0.96, 0.97) + 0.10 + 0.16 * shine
    rim = np.exp(-(((shape - 1.0) / 0.09) ** 2))[..., None]
    white = np.clip((along - 0.80 * width) / 0.012, 0, 1)[..., None] * 0.10
    return np.asarray((colour * (1 - nail) + (tone + white) * nail) * (1 - 0.20 * rim * (0.7, 1.0, 1.0)))


def _axes(sheet: Relief, point: tuple[float, float], before: tuple[float, float]) -> tuple[Plane, Plane]:
    """Return how far pixels are along a finger from one of its joints, and beside it."""
    direction = np.array(point) - before
    direction /= np.linalg.norm(direction)
    x, y = sheet.x - point[0], sheet.y - point[1]
    return x * direction[0] + y * direction[1], y * direction[0] - x * direction[1]
