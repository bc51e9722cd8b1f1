"""Features of a synthetic face: skin and its wrinkles, eyes, brows, nose, mouth.

Each function draws with a pen on one layer. Lengths are in inter-ocular units in the frame of the head. Action units
change the wrinkles too, so that they are visible in the skin as well as in the landmarks.
"""

from functools import partial

import numpy as np

from interpfer.datasets.drawn.actions import Points
from interpfer.datasets.drawn.pen import Pen, PointsLike, almond, curve
from interpfer.datasets.drawn.person import Look, blend
from interpfer.datasets.drawn.shape import FaceShape

SIDES = {-1: "left", 1: "right"}
"""Direction of x -> side of the picture."""

FLAT = 128
"""Level of the relief layers at which the skin is neither lit nor shaded."""


def head_outline(shape: FaceShape) -> Points:
    """Return the (k, 2) outline of the face: the jaw's landmarks, then over the forehead."""
    wide = (shape.head[16, 0] - shape.head[0, 0]) / 2.24
    top = np.array([(1.09, -0.35), (0.98, -0.80), (0.62, -1.20), (0.0, -1.34)]) * (wide, 1)
    return np.concatenate([shape.head[:17], top, top[2::-1] * (-1, 1)])


def model_skin(pen: Pen, shape: FaceShape) -> None:
    """Shade the round and hollow parts of a face, on a layer that is strongly blurred afterwards."""
    head = shape.head
    for side, eye, brow in ((-1, head[36:42], head[17:22]), (1, head[42:48], head[22:27])):
        cheek = 0.10 * shape.strength(6, 12, side=SIDES[side])
        socket = (eye.mean(0) + brow.mean(0)) / 2
        pen.ellipse(socket + (-0.05 * side, 0.05), (0.30, 0.14), FLAT - 24)
        pen.ellipse(eye.mean(0) + (0, 0.17), (0.24, 0.06), FLAT - 10)
        pen.ellipse((0.66 * side, 0.52 - cheek), (0.24, 0.17), FLAT + 16 + round(120 * cheek))
        pen.ellipse((0.92 * side, 0.95), (0.14, 0.3), FLAT - 14)
        pen.shape([(0.10 * side, -0.1), (0.12 * side, 0.3), (0.24 * side, 0.62), (0.3 * side, 0.4)], FLAT - 16)
    pen.shape([(-0.05, -0.15), (-0.05, 0.45), (0, 0.56), (0.05, 0.45), (0.05, -0.15)], FLAT + 26)
    pen.ellipse(head[33] + (0, 0.07), (0.24, 0.05), FLAT - 34)
    pen.ellipse((0, head[57, 1] + 0.09), (0.26, 0.06), FLAT - 30)
    pen.ellipse((0, head[8, 1] - 0.17), (0.22, 0.12), FLAT + 14)
    pen.ellipse((0, -0.75), (0.5, 0.25), FLAT + 10)


def fold_skin(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Draw the wrinkles caused by muscles, on a layer that is slightly blurred afterwards."""
    head, age = shape.head, look.age

    def crease(points: PointsLike, depth: float, width: float = 0.06) -> None:
        if depth > 0.08:
            pen.stroke(points, width, max(FLAT - round(110 * min(depth, 1.0)), 0))

    for side, eye, wing, corner, inner in (
        (-1, head[36:42], head[31], head[48], head[21]),
        (1, head[[45, 44, 43, 42, 47, 46]], head[35], head[54], head[22]),
    ):
        out = np.array((side, 1.0))
        strength = partial(shape.strength, side=SIDES[side])
        smile = max(strength(10) * 0.8, strength(12), strength(9) * 0.7)
        end = corner + out * (0.16, 0.02)
        crease(
            [wing + out * (0.06, -0.06), (wing + end) / 2 + out * (0.10, -0.03), end], 0.16 + 0.4 * age + 0.5 * smile
        )
        crease([wing + out * (0.03, -0.08), wing + out * (0.05, 0.0), wing + out * (0.0, 0.05)], 0.5, 0.05)
        crease([corner + out * (0.03, -0.03), corner + out * (0.07, 0.10)], 0.15 + 0.5 * strength(15), 0.07)
        crease([corner + out * (0.08, -0.10), corner + out * (0.11, 0.06)], 0.6 * max(strength(12), strength(20)), 0.05)
        for turn in (-0.10, 0.0, 0.10):
            start = eye[0] + out * (0.07, 0.6 * turn)
            crease([start, start + out * (0.13, turn)], 0.5 * strength(6) - 0.1 + 0.2 * age, 0.03)
        bag = eye[[0, 5, 4, 3]] + [(0.02 * side, 0.05), (0, 0.09), (0, 0.09), (0, 0.05)]
        crease(bag, 0.12 + 0.3 * age + 0.6 * max(strength(6), strength(7)), 0.045)
        frown = max(strength(4), 0.8 * strength(9))
        crease([(0.5 * inner[0], inner[1] - 0.06), (0.45 * inner[0], inner[1] + 0.17)], 0.95 * frown - 0.05, 0.05)
        crease([(0.17 * side, 0.10), (0.11 * side, 0.28)], 0.7 * strength(9), 0.06)
        pen.ellipse((0.13 * side, head[8, 1] - 0.20), (0.035, 0.035), FLAT - round(26 * strength(17)))
    for rise in (0.06, 0.20):
        crease([(-0.12, -rise + 0.10), (0, -rise + 0.12), (0.12, -rise + 0.10)], 0.7 * shape.strength(9), 0.06)
    for level in (0.16, 0.30, 0.44):
        y = head[[20, 23], 1].mean() - level
        bow = 0.08 * (shape.strength(2) - shape.strength(4))
        wide = 0.65 if shape.strength(2) else 0.35
        raised = max(shape.strength(1), shape.strength(2))
        crease(
            [(-wide, y + 0.03), (-wide / 2, y - bow), (0, y), (wide / 2, y - bow), (wide, y + 0.03)],
            0.75 * raised + 0.25 * age - 0.1,
            0.045,
        )
    chin = head[57, 1] + 0.10
    crease([(-0.2, chin + 0.04), (0, chin), (0.2, chin + 0.04)], 0.1 + 0.8 * shape.strength(17), 0.06)


def paint_eyes(pen: Pen, shape: FaceShape, look: Look, rng: np.random.Generator) -> None:
    """Paint both eyes and their lids."""
    gaze = rng.normal(0, (0.03, 0.012))
    lid, lash = blend(look.skin, (50, 16, 10), 0.5), blend(look.hair, (20, 12, 10), 0.7)
    level = float(shape.head[[36, 39, 42, 45], 1].mean()) - 0.03
    for first, mirrored in ((36, False), (42, True)):
        eye = shape.head[first : first + 6]
        pixels = pen.pixels(eye)
        outline = almond(pixels, (0, 1, 2, 3), (3, 4, 5, 0))
        centre = np.array([eye[[0, 3], 0].mean(), level]) + gaze
        with pen.clipped(outline) as inside:
            inside.fill(outline, (238, 234, 230))
            inside.ellipse(centre, (0.128, 0.128), blend(look.iris, (10, 8, 8), 0.55))
            inside.ellipse(centre, (0.105, 0.105), look.iris)
            inside.ellipse(centre, (0.055, 0.055), (12, 10, 12))
            inside.line(curve(pixels[:4]), 0.09 * pen.unit, (30, 14, 14, 90), (1.0, 1.0))
            inside.ellipse(centre + (0.035, -0.04), (0.026, 0.026), (255, 255, 255))
        pen.line(curve(pixels[[3, 4, 5, 0]]), 0.035 * pen.unit, (*lid, 190), (0.3, 0.6))
        ends = (0.8, 0.3) if not mirrored else (0.3, 0.8)
        pen.line(curve(pixels[:4]), 0.065 * pen.unit, lash, ends)
        pen.stroke(eye[:4] + [(0, -0.03), (0, -0.075), (0, -0.075), (0, -0.03)], 0.03, (*lid, 150))


def paint_brows(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Paint the brows along their landmarks."""
    colour = blend(look.hair, (30, 20, 18), 0.35)
    for brow, ends in ((shape.head[17:22], (0.15, 0.8)), (shape.head[22:27], (0.8, 0.15))):
        pen.stroke(brow, look.brow * 1.25, (*colour, 110), ends)
        pen.stroke(brow, look.brow * 0.85, (*colour, 210), ends)


def paint_mouth(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Paint the lips, and teeth and tongue between them."""
    mouth = pen.pixels(shape.head[48:68])
    dark, light = blend(look.lips, (40, 4, 10), 0.22), blend(look.lips, (255, 230, 225), 0.10)
    inner = almond(mouth, (12, 13, 14, 15, 16), (16, 17, 18, 19, 12))
    pen.fill(np.concatenate([curve(mouth[:7]), curve(mouth[[16, 15, 14, 13, 12]])]), dark)
    pen.fill(np.concatenate([curve(mouth[[6, 7, 8, 9, 10, 11, 0]]), curve(mouth[[12, 19, 18, 17, 16]])]), light)
    opening = float(shape.head[66, 1] - shape.head[62, 1])
    if opening > 0.03:
        with pen.clipped(inner) as inside:
            inside.fill(inner, (62, 18, 22))
            if opening > 0.16:
                inside.ellipse(shape.head[66] + (0, 0.03), (0.24, 0.13), (168, 82, 84))
            upper = shape.head[60:65]
            edge = curve(pen.pixels(upper * (1, 0.4) + (0, 0.6 * upper[2, 1] + 0.085)))
            inside.fill(np.concatenate([curve(pen.pixels(upper - (0, 0.1))), edge[::-1]]), (240, 236, 226))
            if 0.05 < opening < 0.2:
                lower = shape.head[[64, 65, 66, 67, 60]]
                inside.fill(
                    np.concatenate([curve(pen.pixels(lower + (0, 0.1))), curve(pen.pixels(lower[::-1] - (0, 0.03)))]),
                    (224, 218, 208),
                )
            inside.line(curve(mouth[12:17]), 0.05 * pen.unit, (40, 8, 12, 120), (1.0, 1.0))
    else:
        pen.line(curve(mouth[12:17]), 0.045 * pen.unit, blend(dark, (30, 4, 8), 0.65), (0.5, 0.5))
    pen.stroke(shape.head[[58, 57, 56]] + (0, -0.045), 0.03, (255, 255, 255, 45))


def paint_nostrils(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Paint the nostrils and the lower edge of the nose."""
    dark = blend(look.skin, (40, 10, 10), 0.72)
    base = shape.head[31:36]
    flare = 1 + 0.25 * shape.strength(9)
    pen.stroke(base + [(0, -0.01), (0, 0.01), (0, 0.02), (0, 0.01), (0, -0.01)], 0.03, (*dark, 110))
    for nostril in ((base[0] + base[1]) / 2, (base[3] + base[4]) / 2):
        pen.ellipse(nostril * (0.82, 1) + (0, -0.005), (0.062 * flare, 0.03 * flare), (*dark, 230))


def freckles(pen: Pen, look: Look, rng: np.random.Generator) -> None:
    """Dot the cheeks and the nose."""
    spots = rng.normal((0, 0.4), (0.42, 0.16), (look.freckles, 2))
    for spot in spots[np.abs(spots[:, 0]) < 0.9]:
        pen.ellipse(spot, (0.017, 0.017), (*blend(look.skin, (120, 50, 20), 0.5), 130))
