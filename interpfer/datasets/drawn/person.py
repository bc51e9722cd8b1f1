"""Appearance of a person apart from the shape: colours, hair, beard, glasses, clothes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.drawn.pen import CIRCLE, Pen
from interpfer.datasets.drawn.shape import FaceShape

Rgb = tuple[int, int, int]

SKIN = ((250, 222, 200), (241, 203, 172), (226, 178, 142), (198, 146, 108), (158, 109, 76), (112, 74, 52), (82, 55, 42))
HAIR = ((28, 24, 24), (48, 34, 28), (84, 56, 36), (122, 84, 48), (190, 150, 92), (146, 72, 38), (160, 156, 152))
IRIS = ((70, 44, 28), (92, 62, 38), (88, 104, 70), (78, 116, 140), (110, 128, 138))
MIDDLE_SKIN = 452
"""Sum of red, green and blue of the middle one of ``SKIN``."""
STYLES = ("short", "side", "long", "bob", "fringe", "curly", "bald")


@dataclass(frozen=True)
class Look:
    """Appearance of a person apart from the shape.

    Attributes:
        skin: colour of the unshaded skin.
        hair: colour of the hair.
        iris: colour of the iris.
        lips: colour of the lips.
        style: hair style, one of ``STYLES``.
        hairline: upward offset of the hairline.
        brow: thickness of the brows.
        age: depth of the wrinkles, 0 to 1.
        beard: density of the beard, 0 for none.
        freckles: number of freckles.
        glasses: colour of the frame; None for no glasses.
        clothes: colour of the clothes.
    """

    skin: Rgb
    hair: Rgb
    iris: Rgb
    lips: Rgb
    style: str
    hairline: float
    brow: float
    age: float
    beard: float
    freckles: int
    glasses: Rgb | None
    clothes: Rgb

    @property
    def attributes(self) -> dict[str, str]:
        """Properties by which drawn faces can be grouped (``--by``)."""
        is_light = sum(self.skin) > MIDDLE_SKIN
        return {
            "skin": "lighter" if is_light else "darker",
            "glasses": "no" if self.glasses is None else "yes",
            "beard": "yes" if self.beard else "no",
        }

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Look":
        """Sample a random appearance."""
        tone = rng.uniform(0, len(SKIN) - 1)
        skin = jitter([np.interp(tone, range(len(SKIN)), band) for band in zip(*SKIN, strict=True)], 3.0, rng)
        hair = HAIR[rng.integers(len(HAIR) if tone < 3 else 3)]
        iris = IRIS[rng.integers(len(IRIS) if tone < 2.5 else 2)]
        style = STYLES[rng.integers(len(STYLES))]
        bearded = style not in ("long", "bob", "fringe") and rng.random() < 0.35
        painted = not bearded and rng.random() < 0.3
        rosy = np.array((186.0, 60.0, 72.0)) if painted else np.array(skin) * (0.86, 0.64, 0.62)
        return cls(
            skin=skin,
            hair=jitter(hair, 4.0, rng),
            iris=jitter(iris, 10.0, rng),
            lips=jitter(rosy, 6.0, rng),
            style=style,
            hairline=rng.uniform(-0.06, 0.1),
            brow=rng.uniform(0.075, 0.14),
            age=rng.random() ** 2,
            beard=rng.uniform(0.25, 0.9) if bearded else 0.0,
            freckles=int(rng.integers(15, 50)) if tone < 3 and rng.random() < 0.2 else 0,
            glasses=jitter((60.0, 50.0, 50.0), 40.0, rng) if rng.random() < 0.18 else None,
            clothes=jitter(np.full(3, rng.uniform(35, 215)), 28.0, rng),
        )


def paint_body(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Paint neck, shoulders and ears, behind the face."""
    dim, ear = blend(look.skin, (40, 16, 16), 0.38), blend(look.skin, (60, 20, 20), 0.15)
    shoulders = [(-2.6, 3.6), (-2.3, 2.35), (-1.3, 2.05), (-0.7, 1.9), (0.7, 1.9), (1.3, 2.05), (2.3, 2.35), (2.6, 3.6)]
    pen.shape([(-0.72, 0.9), (-0.68, 1.6), (-0.74, 2.3), (0, 2.6), (0.74, 2.3), (0.68, 1.6), (0.72, 0.9)], dim)
    pen.shape([*shoulders[:4], (0.0, 2.35), *shoulders[4:]], look.clothes)
    for side, (x, y) in ((-1, shape.head[0]), (1, shape.head[16])):
        pen.ellipse((x + 0.03 * side, y + 0.14), (0.16, 0.27), ear)
        pen.ellipse((x + 0.07 * side, y + 0.12), (0.07, 0.16), dim)


def paint_beard(pen: Pen, shape: FaceShape, look: Look) -> None:
    """Draw a beard on a mask (L), which is blurred afterwards; the lips are painted over it."""
    moustache = shape.head[33, 1] + 0.10
    above = [(0.78, 0.72), (0.50, 0.92), (0.28, moustache), (0, moustache - 0.01)]
    pen.shape([*shape.head[2:15], *above, *((-x, y) for x, y in above[2::-1])], round(255 * look.beard))


def paint_glasses(pen: Pen, shape: FaceShape, colour: Rgb, rng: np.random.Generator) -> None:
    """Paint glasses around the eyes, round or square."""
    corner = rng.uniform(2.0, 5.0)
    ring = np.sign(CIRCLE) * np.abs(CIRCLE) ** (2 / corner)
    lenses = [shape.head[eye : eye + 6].mean(0) + (0, 0.04) + ring * (0.40, 0.29) for eye in (36, 42)]
    for lens in lenses:
        outline = pen.pixels(lens)
        pen.fill(outline, (235, 240, 255, 22))
        pen.draw.line(
            [*outline.ravel().tolist(), *outline[0].tolist()], fill=colour, width=round(0.05 * pen.unit), joint="curve"
        )
    pen.stroke([lenses[0][0], (0, lenses[0][0, 1] - 0.05), lenses[1][14]], 0.055, colour, (1.0, 1.0))
    pen.stroke([lenses[0][14], (-1.16, -0.03)], 0.05, colour, (1.0, 1.0))
    pen.stroke([lenses[1][0], (1.16, -0.03)], 0.05, colour, (1.0, 1.0))


def hair_behind(pen: Pen, look: Look) -> None:
    """Paint the hair behind the face."""
    colour = blend(look.hair, (0, 0, 0), 0.3)
    if look.style in ("long", "bob", "fringe"):
        low = 1.25 if look.style == "bob" else 2.6
        pen.shape(
            [
                (0, -1.7),
                (0.9, -1.45),
                (1.4, -0.6),
                (1.5, 0.4),
                (1.4, low),
                (0.4, low - 0.1),
                (-0.4, low - 0.1),
                (-1.4, low),
                (-1.5, 0.4),
                (-1.4, -0.6),
                (-0.9, -1.45),
            ],
            colour,
        )
    elif look.style == "curly":
        for angle in np.linspace(-0.15, np.pi + 0.15, 13):
            pen.ellipse((1.25 * np.cos(angle), -0.45 - 1.15 * np.sin(angle)), (0.42, 0.42), colour)


def hair_mask(pen: Pen, look: Look) -> None:
    """Draw the mask (L) of the hair in front of the head."""
    if look.style == "bald":
        return
    top = -0.98 - look.hairline
    fringe = {
        "short": [(0.92, -0.62), (0.60, top), (0.0, top - 0.06), (-0.60, top), (-0.92, -0.62)],
        "side": [(0.98, -0.5), (0.80, top + 0.1), (0.45, top - 0.2), (-0.2, top - 0.02), (-0.75, -0.72)],
        "long": [(1.02, -0.1), (0.86, -0.6), (0.0, top - 0.22), (-0.86, -0.6), (-1.02, -0.1)],
        "bob": [(1.0, 0.2), (0.9, -0.6), (0.3, top - 0.1), (-0.7, -0.72), (-1.02, 0.1)],
        "fringe": [(0.98, -0.2), (0.84, -0.66), (0.0, -0.74), (-0.84, -0.66), (-0.98, -0.2)],
        "curly": [(0.95, -0.55), (0.66, top + 0.05), (0.0, top), (-0.66, top + 0.05), (-0.95, -0.55)],
    }[look.style]
    low = {"long": 1.9, "fringe": 1.9, "bob": 1.05}.get(look.style, 0.12)
    outer = [(-1.10, low), (-1.24, -0.2), (-1.2, -0.75), (-0.85, -1.35), (0, -1.62)]
    right = [(-x, y) for x, y in outer[-2::-1]]
    pen.shape([*outer, *right, *fringe], 255)


def hair_strands(pen: Pen, look: Look, rng: np.random.Generator) -> None:
    """Draw strands over a layer of hair."""
    for x, bend, light in zip(rng.uniform(-1.3, 1.3, 24), rng.normal(0, 0.06, 24), rng.random(24), strict=True):
        tint = blend(look.hair, (255, 235, 210) if light > 0.5 else (0, 0, 0), 0.16)
        pen.stroke(
            [(0.3 * x, -1.7), (0.8 * x, -1.25 + bend), (1.02 * x, -0.5), (1.05 * x + bend, 0.8)], 0.05, (*tint, 150)
        )


def blend(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """Mix a share of another colour into a colour."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def jitter(colour: Rgb | Sequence[float] | NDArray[np.float64], spread: float, rng: np.random.Generator) -> Rgb:
    """Return a random variation of a colour with a standard deviation of ``spread`` levels."""
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 0, 255).astype(int).tolist()
    return red, green, blue
