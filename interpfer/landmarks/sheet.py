"""A contact sheet of faces with their points, in titled blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6
"""Tiles per row."""

TILE, GAP, TEXT = 230, 14, 15
"""Side of a tile, space around it, and text size, in pixels."""

NOTE_LINES = 3
"""Most lines of a note below a tile."""

FACE_VIEW, WIDE_VIEW = 1.7, 3.4
"""Side of the visible part of a larger picture, in sides of the face; the wide one for a face with a note."""

GROUND, INK, FAINT = "#f4f4f2", "#1b1b1b", "#6b6b6b"
POINTS = "#00e676"


@dataclass(frozen=True)
class Tile:
    """One face.

    Attributes:
        name: name of the image.
        picture: the picture; None if it cannot be read.
        points: (68, 2) pixels of the picture; None if the face was not found.
        note: text below the tile.
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
        colour: colour of the title and the frames.
        tiles: the faces, in rows of ``COLUMNS``.
    """

    title: str
    colour: str
    tiles: Sequence[Tile]


def draw_sheet(title: str, blocks: Sequence[Block]) -> Image.Image:
    """Draw blocks of faces below each other, without the empty ones."""
    blocks = [block for block in blocks if block.tiles]
    step, line = TILE + GAP, round(1.4 * TEXT)
    heading, font = 3 * line, _font(TEXT)
    notes = [[_wrapped(tile.note, font) for tile in block.tiles] for block in blocks]
    heights = [step + line * (1 + max(map(len, block_notes))) for block_notes in notes]
    rows = [-(-len(block.tiles) // COLUMNS) for block in blocks]
    total = sum(heading + height * count for height, count in zip(heights, rows, strict=True))
    sheet = Image.new("RGB", (COLUMNS * step + GAP, 3 * line + total), GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, line), title, INK, _font(round(1.5 * TEXT)))
    y = 3 * line
    for block, block_notes, height, count in zip(blocks, notes, heights, rows, strict=True):
        pen.text((GAP, y + line // 2), block.title, block.colour, _font(round(1.3 * TEXT), bold=True))
        y += heading
        for index, (tile, note) in enumerate(zip(block.tiles, block_notes, strict=True)):
            row, column = divmod(index, COLUMNS)
            x, top = GAP + column * step, y + row * height
            sheet.paste(_face(tile), (x, top))
            pen.rectangle((x - 2, top - 2, x + TILE + 1, top + TILE + 1), outline=block.colour, width=2)
            pen.text((x, top + TILE + 4), _shortened(tile.name, font), INK, font)
            for number, text in enumerate(note, 1):
                pen.text((x, top + TILE + 4 + number * line), text, FAINT, font)
        y += height * count
    return sheet


def _face(tile: Tile) -> Image.Image:
    """Return the picture, or its part around the face, in its own proportions on a square."""
    square = Image.new("RGB", (TILE, TILE), "#d9d9d6")
    pen = ImageDraw.Draw(square)
    if tile.picture is None:
        pen.line((0, 0, TILE, TILE), "#b5b5b0", 2)
        pen.line((0, TILE, TILE, 0), "#b5b5b0", 2)
        return square
    picture = tile.picture
    left, top, side = _window(picture, tile.points, WIDE_VIEW if tile.note else FACE_VIEW)
    zoom = TILE / side
    box = max(left, 0), max(top, 0), min(left + side, picture.width), min(top + side, picture.height)
    size = max(round((box[2] - box[0]) * zoom), 1), max(round((box[3] - box[1]) * zoom), 1)
    part = picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3)
    square.paste(part, (round((box[0] - left) * zoom), round((box[1] - top) * zoom)))
    if tile.points is not None:
        points = (tile.points - (left, top)) * zoom
        dot = min(float(np.ptp(points, 0).max()) / 70, 1.7)
        for x, y in points.tolist():
            for radius, colour in ((1.5 * dot, "black"), (dot, POINTS)):
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return square


def _window(picture: Image.Image, points: NDArray[np.float64] | None, scale: float) -> tuple[float, float, float]:
    """Return left, top and side of the square to show: the picture, or its part around a small face."""
    whole = float(max(picture.size))
    left, top, side = (picture.width - whole) / 2, (picture.height - whole) / 2, whole
    if points is not None:
        low, high = points.min(0), points.max(0)
        view = scale * float((high - low).max())
        if view < 0.75 * whole:
            centre = (low + high) / 2
            left, top, side = float(centre[0]) - view / 2, float(centre[1]) - view / 2, view
    return left, top, side


def _shortened(name: str, font: ImageFont.FreeTypeFont) -> str:
    """Replace the middle of a name that is wider than a tile by an ellipsis."""
    for length in range(len(name), 1, -1):
        head = length // 3
        short = name if length == len(name) else f"{name[:head]}\u2026{name[len(name) - length + head :]}"
        if font.getlength(short) <= TILE:
            return short
    return "\u2026"


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Break a text into lines of a tile's width, and cut it after the last one."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= TILE:
            lines[-1] += f" {word}"
        else:
            lines.append(_shortened(word, font))
    return lines if len(lines) <= NOTE_LINES else [*lines[: NOTE_LINES - 1], f"{lines[NOTE_LINES - 1]}\u2026"]


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font shipped with matplotlib: it covers many scripts and is the same everywhere."""
    return ImageFont.truetype(Path(findfont("DejaVu Sans:bold" if bold else "DejaVu Sans")), size)
