"""A contact sheet of faces with their points: what failed first, then what is doubtful, then a sample of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
TILE, GAP, TEXT = 230, 14, 15
"""Pixels: side of a tile, space around it, size of the letters."""

NOTE_LINES = 3
"""Lines of a note below a tile, at most."""

AROUND, FARTHER = 1.7, 3.4
"""Side of what is shown of a larger picture, in sides of the face: the face, or also what is beside a doubtful one."""

GROUND, INK, FAINT = "#f4f4f2", "#1b1b1b", "#6b6b6b"
POINTS = "#00e676"


@dataclass(frozen=True)
class Tile:
    """One face.

    Attributes:
        name: of the image.
        picture: None where it cannot be read.
        points: (68, 2) pixels of the picture, or None where none were found.
        note: what there is to say.
    """

    name: str
    picture: Image.Image | None
    points: NDArray[np.float64] | None
    note: str = ""


@dataclass(frozen=True)
class Block:
    """Faces under one title.

    Attributes:
        title: one line.
        colour: of the title and of the frames.
        tiles: shown in rows of six.
    """

    title: str
    colour: str
    tiles: Sequence[Tile]


def draw_sheet(title: str, blocks: Sequence[Block]) -> Image.Image:
    """Draw blocks of faces below each other; empty blocks are left out."""
    blocks = [block for block in blocks if block.tiles]
    step, line = TILE + GAP, round(1.4 * TEXT)
    heading, font = 3 * line, _font(TEXT)
    notes = [[_wrapped(tile.note, font) for tile in block.tiles] for block in blocks]
    heights = [step + line * (1 + max(map(len, some))) for some in notes]
    rows = [-(-len(block.tiles) // COLUMNS) for block in blocks]
    below = sum(heading + height * count for height, count in zip(heights, rows, strict=True))
    sheet = Image.new("RGB", (COLUMNS * step + GAP, 3 * line + below), GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, line), title, INK, _font(round(1.5 * TEXT)))
    y = 3 * line
    for block, some, height, count in zip(blocks, notes, heights, rows, strict=True):
        pen.text((GAP, y + line // 2), block.title, block.colour, _font(round(1.3 * TEXT), bold=True))
        y += heading
        for place, (tile, note) in enumerate(zip(block.tiles, some, strict=True)):
            down, across = divmod(place, COLUMNS)
            x, top = GAP + across * step, y + down * height
            sheet.paste(_face(tile), (x, top))
            pen.rectangle((x - 2, top - 2, x + TILE + 1, top + TILE + 1), outline=block.colour, width=2)
            pen.text((x, top + TILE + 4), _shortened(tile.name, font), INK, font)
            for below, text in enumerate(note, 1):
                pen.text((x, top + TILE + 4 + below * line), text, FAINT, font)
        y += height * count
    return sheet


def _face(tile: Tile) -> Image.Image:
    """Return the picture, or what is around the face, in its own proportions on a square."""
    square = Image.new("RGB", (TILE, TILE), "#d9d9d6")
    pen = ImageDraw.Draw(square)
    if tile.picture is None:
        pen.line((0, 0, TILE, TILE), "#b5b5b0", 2)
        pen.line((0, TILE, TILE, 0), "#b5b5b0", 2)
        return square
    picture = tile.picture
    left, top, side = _window(picture, tile.points, FARTHER if tile.note else AROUND)
    zoom = TILE / side
    box = max(left, 0), max(top, 0), min(left + side, picture.width), min(top + side, picture.height)
    size = max(round((box[2] - box[0]) * zoom), 1), max(round((box[3] - box[1]) * zoom), 1)
    part = picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3)
    square.paste(part, (round((box[0] - left) * zoom), round((box[1] - top) * zoom)))
    for x, y in [] if tile.points is None else ((tile.points - (left, top)) * zoom).tolist():
        pen.ellipse((x - 2.6, y - 2.6, x + 2.6, y + 2.6), "black")
        pen.ellipse((x - 1.7, y - 1.7, x + 1.7, y + 1.7), POINTS)
    return square


def _window(picture: Image.Image, points: NDArray[np.float64] | None, reach: float) -> tuple[float, float, float]:
    """Return left, top and side of the square to show: the picture, or its part around a face that is small in it."""
    whole = float(max(picture.size))
    left, top, side = (picture.width - whole) / 2, (picture.height - whole) / 2, whole
    if points is not None:
        low, high = points.min(0), points.max(0)
        near = reach * float((high - low).max())
        if near < 0.75 * whole:
            middle = (low + high) / 2
            left, top, side = float(middle[0]) - near / 2, float(middle[1]) - near / 2, near
    return left, top, side


def _shortened(name: str, font: ImageFont.FreeTypeFont) -> str:
    """Leave out the middle of a name that is wider than a tile."""
    for kept in range(len(name), 1, -1):
        head = kept // 3
        short = name if kept == len(name) else f"{name[:head]}\u2026{name[len(name) - kept + head :]}"
        if font.getlength(short) <= TILE:
            return short
    return "\u2026"


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break a text into lines of a tile's width; what does not fit into the last one is left out."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= TILE:
            lines[-1] += f" {word}"
        else:
            lines.append(_shortened(word, font))
    return lines if len(lines) <= NOTE_LINES else [*lines[: NOTE_LINES - 1], f"{lines[NOTE_LINES - 1]}\u2026"]


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font that matplotlib brings: many scripts, everywhere the same."""
    return ImageFont.truetype(Path(findfont("DejaVu Sans:bold" if bold else "DejaVu Sans")), size)
