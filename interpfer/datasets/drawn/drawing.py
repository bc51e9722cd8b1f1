"""Drawing of synthetic faces with exact landmarks, whose expressions consist of action units."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from interpfer.datasets.drawn import painting as paint
from interpfer.datasets.drawn import person
from interpfer.datasets.drawn.actions import Points
from interpfer.datasets.drawn.pen import Pen, closed
from interpfer.datasets.drawn.person import Look, blend, jitter
from interpfer.datasets.drawn.shape import FaceShape, shape_face

ZOOM = 3
"""Supersampling factor of shapes with sharp edges."""


@dataclass(frozen=True)
class DrawnFace:
    """A picture of a synthetic face.

    Attributes:
        image: square RGB image.
        points: (68, 2) as (x, y) pixels of the image.
        expression: canonical name.
        aus: action units that are moved.
    """

    image: Image.Image
    points: Points
    expression: str
    aus: tuple[int, ...]


def draw_face(expression: str, rng: np.random.Generator, size: int = 112) -> DrawnFace:
    """Draw a face with an expression, in a square image of ``size`` pixels."""
    shape = shape_face(expression, rng, size)
    return DrawnFace(paint_face(shape, rng), shape.points, shape.expression, shape.aus)


def paint_face(shape: FaceShape, rng: np.random.Generator, look: Look | None = None) -> Image.Image:
    """Paint a picture of a shape, with random light and background; ``look`` None for random skin and hair, too."""
    look = Look.sample(rng) if look is None else look
    side = shape.size * ZOOM
    canvas = background(side, rng)
    pen = Pen(canvas, shape.pose, ZOOM)
    person.hair_behind(pen, look)
    person.paint_body(pen, shape, look)
    canvas.paste(skin(shape, look, rng), mask=face_mask(shape))
    if look.beard:
        canvas.paste(blend(look.hair, look.skin, 0.15), mask=beard_mask(shape, look))
    paint.freckles(pen, look, rng)
    paint.paint_nostrils(pen, shape, look)
    paint.paint_mouth(pen, shape, look)
    paint.paint_eyes(pen, shape, look, rng)
    paint.paint_brows(pen, shape, look)
    put_hair(canvas, shape, look, rng)
    if look.glasses:
        person.paint_glasses(pen, shape, look.glasses, rng)
    return photograph(canvas.reduce(ZOOM), rng)


def background(side: int, rng: np.random.Generator) -> Image.Image:
    """Return a blurred gradient with a few shapes, of ``side`` x ``side`` pixels."""
    corners = rng.uniform(40, 210) + rng.normal(0, 22, 3) + rng.normal(0, 25, (2, 2, 3))
    image = Image.fromarray(corners.clip(0, 255).astype(np.uint8)).resize((48, 48), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(rng.integers(0, 5)):
        x, y, w, h = rng.uniform(0, (48, 48, 24, 24)).astype(int).tolist()
        colour = jitter(np.full(3, rng.uniform(20, 235)), 30.0, rng)
        form = draw.rectangle if rng.random() < 0.5 else draw.ellipse
        form((x - w, y - h, x + w, y + h), fill=(*colour, 110))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2.0))).resize((side, side), Image.Resampling.BILINEAR)


def face_mask(shape: FaceShape) -> Image.Image:
    """Return the mask of the face, as L."""
    pen = layer(shape, ZOOM, 0)
    pen.fill(closed(pen.pixels(paint.head_outline(shape))), 255)
    return pen.image


def skin(shape: FaceShape, look: Look, rng: np.random.Generator) -> Image.Image:
    """Return the shaded and wrinkled skin over the whole canvas."""
    wide, fine = layer(shape, 1, paint.FLAT), layer(shape, 2, paint.FLAT)
    paint.model_skin(wide, shape)
    paint.fold_skin(fine, shape, look)
    pores = paint.FLAT + rng.standard_normal((shape.size, shape.size), dtype=np.float32) * rng.uniform(1, 4)
    relief = add(light_on_head(shape, rng), wide.image.filter(ImageFilter.BoxBlur(0.16 * wide.unit)))
    relief = add(relief, Image.fromarray(pores.astype(np.uint8)))
    relief = relief.resize(fine.image.size, Image.Resampling.BILINEAR)
    relief = add(relief, fine.image.filter(ImageFilter.GaussianBlur(0.028 * fine.unit)))
    relief = relief.resize((shape.size * ZOOM,) * 2, Image.Resampling.BILINEAR)
    shadow, glow = blend(look.skin, (30, 4, 8), 0.75), blend(look.skin, (255, 246, 236), 0.55)
    ramps = [
        np.interp(np.arange(256), (0, paint.FLAT, 255), ramp).round().tolist()
        for ramp in zip(shadow, look.skin, glow, strict=True)
    ]
    return Image.merge("RGB", [relief.point(ramp) for ramp in ramps])


def light_on_head(shape: FaceShape, rng: np.random.Generator) -> Image.Image:
    """Return the shading of a smooth head by a light from one side, as L around ``FLAT``."""
    size, pose = shape.size, shape.pose
    y, x = np.mgrid[0:size:4, 0:size:4] + 1.5
    head = (np.stack([x, y], -1) - pose.origin) @ np.linalg.inv(pose.axes())
    nx, ny = head[..., 0] / 1.35 - 0.4 * np.sin(-pose.yaw), (head[..., 1] - 0.3) / 1.9
    nz = np.sqrt((1 - nx**2 - ny**2).clip(0.02))
    sideways, above = rng.uniform(-0.75, 0.75), rng.uniform(0.0, 0.6)
    level = paint.FLAT - 6 + 62 * (nx * sideways - ny * above) + 60 * (nz - 0.85)
    return Image.fromarray(level.clip(0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)


def beard_mask(shape: FaceShape, look: Look) -> Image.Image:
    """Return the density of the beard, as L."""
    pen = layer(shape, 1, 0)
    person.paint_beard(pen, shape, look)
    mask = pen.image.filter(ImageFilter.GaussianBlur(0.07 * shape.pose.scale))
    return mask.resize((shape.size * ZOOM,) * 2, Image.Resampling.BILINEAR)


def put_hair(canvas: Image.Image, shape: FaceShape, look: Look, rng: np.random.Generator) -> None:
    """Paste the hair in front of the head onto the canvas."""
    mask = layer(shape, ZOOM, 0)
    person.hair_mask(mask, look)
    box = mask.image.getbbox()
    if box is None:
        return
    hair = Pen(Image.new("RGB", canvas.size, look.hair), shape.pose, ZOOM)
    person.hair_strands(hair, look, rng)
    canvas.paste(hair.image.crop(box), box, mask.image.crop(box))


def photograph(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Simulate a camera: uneven light, gain, a slight blur, noise."""
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.6)))
    pixels = np.asarray(image, dtype=np.float32)
    height, width, _ = pixels.shape
    slope = rng.uniform(-0.22, 0.22, 2)
    fall = np.add.outer(slope[0] * np.linspace(-1, 1, height), slope[1] * np.linspace(-1, 1, width))
    gain = rng.uniform(0.82, 1.15) * (1 + fall[..., None]) * rng.normal(1, 0.02, 3)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(0.5, 5.0)
    return Image.fromarray((pixels * gain.astype(np.float32) + noise).clip(0, 255).astype(np.uint8))


def layer(shape: FaceShape, zoom: int, level: int) -> Pen:
    """Return a pen on a new grey layer filled with a level."""
    return Pen(Image.new("L", (shape.size * zoom,) * 2, level), shape.pose, zoom)


def add(relief: Image.Image, more: Image.Image) -> Image.Image:
    """Add two relief layers around ``FLAT``."""
    return ImageChops.add(relief, more, offset=-paint.FLAT)
