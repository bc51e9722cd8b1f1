"""Things that are held before a face: a telephone, a mug, a paper cup, a leaf."""

from functools import cache

import numpy as np
import torch

from interpfer.datasets.drawn.pen import closed, curve
from interpfer.occlusion.base import Cover, Scene, occluder
from interpfer.occlusion.placing import RIGID, by_affine, lay, turned
from interpfer.occlusion.relief import Drawing, Relief

BOX = (-1.0, -1.0, 1.0, 1.0)

SPOTS = ((0.0, 1.05), (0.45, 0.05), (0.0, 0.45), (0.55, 0.65), (0.2, 1.35), (0.35, -0.35))
"""Where a thing may be on the right half of a face, or on its middle: mouth, eye, nose, cheek, chin, brow."""

TURN = 0.5
"""Largest turn to either side, in radians."""


@occluder(needs="landmarks")
def things(scene: Scene, argument: str) -> Cover:  # noqa: ARG001
    """A telephone, a mug, a paper cup or a leaf before a part of the face."""
    head = by_affine(scene.points, RIGID, scene.size)
    spots = torch.tensor(SPOTS, dtype=torch.float64)[scene.keys.pick(len(SPOTS))].to(head.device)
    draws = scene.keys.uniform(4, offset=1).to(head.device)
    is_left = draws[:, 0] < 0.5
    side = torch.where(is_left, -1.0, 1.0)
    centre = torch.stack([side * spots[:, 0], spots[:, 1]], 1) + 0.2 * (draws[:, 1:3] - 0.5)
    place = turned(head, centre, 2 * TURN * (draws[:, 3] - 0.5), is_left)
    return lay(scene, drawings(), scene.keys.pick(len(drawings()), offset=5), place, head)


@cache
def drawings() -> tuple[Drawing, ...]:
    """Return the things."""
    return (_telephone(), _mug(), _paper_cup(), _leaf())


def _telephone() -> Drawing:
    sheet = Relief(BOX, 1)
    x, y = sheet.x, sheet.y
    away = _rounded(x, y, 0.36, 0.72, 0.10)
    body = np.clip(0.5 - away / 0.008, 0, 1)
    sheet.shadow(body, 0.5, 0.06, (0.04, 0.08))
    height = 0.05 * np.clip(-away / 0.04, 0, 1) ** 0.5
    shade = sheet.lit(sheet.soft(height, 0.01), 0.6, gloss=0.5)
    metal = np.array((0.19, 0.21, 0.25)) * (1 + 0.10 * (x - 0.6 * y))[..., None]
    glow = np.exp(-(((x + 0.7 * y - 0.1) / 0.22) ** 2))
    sheet.paint(
        body, np.clip(shade[..., None] * metal + 0.07 * glow[..., None] + 0.006 * sheet.noise(0.01)[..., None], 0, 1)
    )
    island = np.clip(0.5 - _rounded(x + 0.16, y + 0.50, 0.155, 0.165, 0.06) / 0.008, 0, 1)
    sheet.paint(island, np.array((0.13, 0.14, 0.17)) + 0.04 * np.clip(-(x + y) - 0.5, 0, 1)[..., None])
    for cx, cy in ((-0.23, -0.58), (-0.23, -0.42), (-0.09, -0.50)):
        r = np.hypot(x - cx, y - cy)
        sheet.paint(np.clip((0.062 - r) / 0.008, 0, 1), (0.42, 0.44, 0.47))
        sheet.paint(np.clip((0.050 - r) / 0.008, 0, 1), (0.03, 0.03, 0.05))
        sheet.paint(np.clip((0.022 - r) / 0.008, 0, 1), (0.10, 0.12, 0.24))
        sheet.paint(np.clip((0.010 - np.hypot(x - cx + 0.015, y - cy + 0.018)) / 0.006, 0, 1), (0.9, 0.95, 1.0))
    sheet.paint(np.clip((0.02 - np.hypot(x + 0.09, y + 0.60)) / 0.006, 0, 1), (0.96, 0.93, 0.80))
    return sheet.finish()


def _mug() -> Drawing:
    sheet = Relief(BOX, 2)
    x, y = sheet.x, sheet.y
    path = curve(np.array([(0.36, -0.24), (0.62, -0.26), (0.70, 0.02), (0.58, 0.28), (0.35, 0.30)]))
    handle = sheet.stroke(path, 0.13)
    low, high = -0.50, 0.50
    edge = 0.42 - 0.03 * np.clip((y - low) / (high - low), 0, 1)
    curved_top, curved_bottom = low, high + 0.075 * np.sqrt(np.clip(1 - (x / edge) ** 2, 0, 1))
    body = (
        np.clip((edge - np.abs(x)) / 0.008 + 0.5, 0, 1) * (y > curved_top) * np.clip((curved_bottom - y) / 0.01, 0, 1)
    )
    rim = np.clip((1 - (x / 0.42) ** 2 - ((y - low) / 0.085) ** 2) / 0.04, 0, 1)
    sheet.shadow(np.maximum.reduce([body, handle, rim]), 0.5, 0.06, (0.05, 0.08))
    near = sheet.to_path(path)
    tube = np.sqrt(np.clip(0.065**2 - near**2, 0, None))
    glaze, band = np.array((0.80, 0.34, 0.24)), np.array((0.95, 0.91, 0.84))
    sheet.paint(handle, np.clip(sheet.lit(sheet.soft(tube, 0.008), 0.5, 0.25)[..., None] * glaze, 0, 1))
    round_side = 0.42 * np.sqrt(np.clip(1 - (x / 0.46) ** 2, 0.03, 1))
    shade = sheet.lit(round_side, 0.50, gloss=0.30, sharpness=40) * (1 + 0.010 * sheet.noise(0.02))
    wave = y - 0.02 - 0.05 * np.sqrt(np.clip(1 - (x / 0.42) ** 2, 0, 1))
    stripe = np.clip((0.17 - np.abs(wave)) / 0.008, 0, 1) - np.clip((0.13 - np.abs(wave)) / 0.008, 0, 1)
    dots = np.clip(
        (0.055 - np.hypot((np.arcsin(np.clip(x / 0.43, -1, 1)) * 0.43 + 0.11) % 0.22 - 0.11, wave)) / 0.01, 0, 1
    )
    mix = np.clip(stripe + dots, 0, 1)[..., None]
    sheet.paint(body, np.clip(shade[..., None] * (glaze * (1 - mix) + band * mix), 0, 1))
    sheet.paint(rim, np.clip(glaze * 1.12, 0, 1))
    inner = np.clip((1 - (x / 0.375) ** 2 - ((y - low) / 0.060) ** 2) / 0.05, 0, 1)
    sheet.paint(inner, np.array((0.20, 0.10, 0.06)) + 0.22 * np.clip((y - low + 0.02) / 0.08, 0, 1)[..., None])
    return sheet.finish()


def _paper_cup() -> Drawing:
    sheet = Relief(BOX, 3)
    x, y = sheet.x, sheet.y
    top, bottom = -0.52, 0.70
    edge = 0.40 - 0.10 * (y - top) / (bottom - top)
    end = bottom + 0.05 * np.sqrt(np.clip(1 - (x / 0.30) ** 2, 0, 1))
    body = (
        np.clip((edge - np.abs(x)) / 0.008 + 0.5, 0, 1)
        * np.clip((y - top) / 0.01, 0, 1)
        * np.clip((end - y) / 0.01, 0, 1)
    )
    lid = np.clip(0.5 - _rounded(x, y + 0.575, 0.44, 0.065, 0.05) / 0.008, 0, 1)
    dome = np.clip(0.5 - _rounded(x, y + 0.68, 0.36, 0.07, 0.05) / 0.008, 0, 1)
    sheet.shadow(np.maximum.reduce([body, lid, dome]), 0.5, 0.06, (0.05, 0.08))
    side = sheet.lit(0.40 * np.sqrt(np.clip(1 - (x / (edge + 0.04)) ** 2, 0.03, 1)), 0.5, gloss=0.05)
    shade = np.clip(side, 0.25, 1.15) * (1 + 0.012 * sheet.noise(0.012))
    sheet.paint(body, np.clip(shade[..., None] * (0.93, 0.91, 0.87), 0, 1))
    bow = 0.05 * np.sqrt(np.clip(1 - (x / 0.40) ** 2, 0, 1))
    sleeve = body * np.clip((y + 0.22 - bow) / 0.008, 0, 1) * np.clip((0.38 + bow - y) / 0.008, 0, 1)
    ribs = 1 + 0.05 * np.sin(np.arcsin(np.clip(x / 0.42, -1, 1)) * 60)
    sheet.paint(sleeve, np.clip((shade * ribs)[..., None] * (0.66, 0.47, 0.30), 0, 1))
    for plane, width, tone in ((dome, 0.40, 0.20), (lid, 0.48, 0.25)):
        lit = sheet.lit(width * np.sqrt(np.clip(1 - (x / width) ** 2, 0.03, 1)), 0.5, gloss=0.35, sharpness=40)
        sheet.paint(plane, np.clip(lit[..., None] * np.array((tone, tone * 0.95, tone * 0.92)), 0, 1))
    return sheet.finish()


def _leaf() -> Drawing:
    sheet = Relief(BOX, 4)
    x, y = sheet.x, sheet.y
    half = np.array([(0.0, -0.82), (0.13, -0.62), (0.30, -0.32), (0.40, 0.0), (0.34, 0.30), (0.17, 0.54), (0.0, 0.64)])
    outline = closed(np.concatenate([half, half[-2:0:-1] * (-1, 1)]))
    away = sheet.distance(outline) + 0.012 * np.sin(42 * (y + 0.4 * np.abs(x)))
    blade = np.clip(0.5 - away / 0.008, 0, 1)
    stem = sheet.stroke(curve(np.array([(0.0, 0.60), (0.02, 0.78), (0.07, 0.95)])), 0.045)
    sheet.shadow(np.maximum(blade, stem), 0.45, 0.05, (0.04, 0.08))
    middle = np.exp(-np.abs(x) / 0.018)
    branch = (y + 0.85 * np.abs(x) + 0.35 * x**2) % 0.155 - 0.0775
    veins = np.exp(-((branch / 0.008) ** 2)) * np.clip((-away - 0.02) / 0.06, 0, 1)
    height = -0.16 * np.abs(x) - 0.14 * x**2 - 0.020 * veins - 0.03 * middle + 0.006 * sheet.noise(0.05)
    height = height + 0.045 * np.cos(2 * np.pi * branch / 0.155) * np.clip(np.abs(x), 0, 0.3)
    shade = sheet.lit(sheet.soft(height, 0.008), 0.45, gloss=0.10, sharpness=16) * (1 + 0.03 * sheet.noise(0.03))
    green = np.array((0.22, 0.43, 0.16)) + 0.14 * (0.6 * veins + middle)[..., None] * (0.9, 1.0, 0.5)
    sheet.paint(stem, (0.36, 0.42, 0.18))
    sheet.paint(blade, np.clip(shade[..., None] * green, 0, 1))
    return sheet.finish()


def _rounded(x: np.ndarray, y: np.ndarray, wide: float, high: float, corner: float) -> np.ndarray:
    """Return the distance to a rectangle with round corners, given by its half sides; negative inside."""
    dx, dy = np.abs(x) - wide + corner, np.abs(y) - high + corner
    outside = np.hypot(np.clip(dx, 0, None), np.clip(dy, 0, None))
    return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - corner)
