"""What a mask can be: the file of a picture, a box, points, polygons, or run lengths; each draws itself.

Coordinates are pixels of the upright picture, from the outer corner of the first pixel, x to the right and y down. A
pixel belongs to a box or polygon if its centre lies in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from interpfer.datasets.images import existing_path, read_image, read_size
from interpfer.errors import DataError
from interpfer.truth.mask_files.rle import decode_rle

POINT_RADIUS = 1 / 28
"""Radius of the disc that a point stands for, as a share of the longer side of the picture: 8 pixels of 224."""

IGNORED = 255
"""Index of a palette that marks pixels to ignore."""

Size = tuple[int, int]
"""(width, height)."""


class Raster(NamedTuple):
    """A mask in pixels.

    Attributes:
        mask: (h, w) from 0 to 255.
        ignore: (h, w) pixels that count neither way; None for none.
    """

    mask: NDArray[np.uint8]
    ignore: NDArray[np.bool_] | None = None

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self.mask.nbytes + (0 if self.ignore is None else self.ignore.nbytes)


@runtime_checkable
class Shape(Protocol):
    """A mask as it is written in a file.

    Attributes:
        where: file and row, for messages.
    """

    @property
    def where(self) -> str:
        """File and row, for messages."""
        ...

    def own_size(self, picture: Size) -> Size:
        """Return the (width, height) in whose pixels it is given; that of the picture if the file says none."""
        ...

    def render(self, picture: Size) -> Raster:
        """Draw it at its own size."""
        ...


@dataclass(frozen=True)
class Picture:
    """A mask in a picture: grey from 0 to 255, black and white, or a palette whose index 255 is to be ignored."""

    path: Path
    where: str

    def own_size(self, picture: Size) -> Size:  # noqa: ARG002
        """Return the size of the file."""
        return read_size(self.path)

    def render(self, picture: Size) -> Raster:  # noqa: ARG002
        """Read the file; grey of 0 and 1 alone counts as black and white."""
        try:
            with Image.open(existing_path(self.path)) as image:
                image.load()
                upright = ImageOps.exif_transpose(image)
        except FileNotFoundError:
            raise DataError(f"{self.where}: no such mask file: {self.path}.") from None
        except Exception as error:  # on a broken file Pillow raises many types: struct.error, KeyError, ...
            raise DataError(f"{self.where}: not a readable mask ({error or type(error).__name__}).") from error
        values = np.asarray(upright)
        if upright.mode == "P":
            ignore = values == IGNORED
            return Raster(((values > 0) & ~ignore).astype(np.uint8) * 255, ignore if ignore.any() else None)
        if values.ndim == 3:
            values = np.asarray(read_image(self.path))
            if (values != values[..., :1]).any():
                raise DataError(f"{self.where}: a mask must be grey or have a palette, {self.path.name} is in colour.")
            values = values[..., 0]
        elif upright.mode not in ("1", "L"):
            values = np.asarray(read_image(self.path))[..., 0]
        grey = values.astype(np.uint8)
        return Raster(grey * np.uint8(255) if grey.max(initial=0) == 1 else grey)


class _Drawn:
    """Base of shapes in pixels of the size that their file says, if it says one."""

    size: Size | None

    def own_size(self, picture: Size) -> Size:
        """Return the size that the file says, else that of the picture."""
        return self.size or picture


@dataclass(frozen=True)
class Box(_Drawn):
    """The pixels from (left, top) to before (right, bottom)."""

    ends: tuple[float, float, float, float]
    where: str
    size: Size | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.ends
        if not (right > left and bottom > top):
            raise DataError(f"{self.where}: the box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) is empty.")

    def render(self, picture: Size) -> Raster:
        """Fill the box."""
        width, height = self.own_size(picture)
        left, top, right, bottom = self.ends
        if left >= width or top >= height or right <= 0 or bottom <= 0:
            raise DataError(f"{self.where}: the box lies outside of the picture of {width} x {height} pixels.")
        mask = np.zeros((height, width), np.uint8)
        rows, columns = (
            slice(min(max(round(low), 0), side - 1), max(round(high), round(low) + 1, 1))
            for low, high, side in ((top, bottom, height), (left, right, width))
        )
        mask[rows, columns] = 255
        return Raster(mask)


@dataclass(frozen=True)
class Points(_Drawn):
    """Discs of ``POINT_RADIUS`` around points."""

    points: tuple[tuple[float, float], ...]
    where: str
    size: Size | None = None

    def render(self, picture: Size) -> Raster:
        """Draw the discs."""
        width, height = self.own_size(picture)
        mask, reach = np.zeros((height, width), np.uint8), max(width, height) * POINT_RADIUS
        rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
        for x, y in self.points:
            if not (0 <= x <= width and 0 <= y <= height):
                raise DataError(
                    f"{self.where}: the point ({x:g}, {y:g}) lies outside of the picture of {width} x {height} pixels."
                )
            mask[np.square(rows - y) + np.square(columns - x) <= max(reach, 0.75) ** 2] = 255
        return Raster(mask)


@dataclass(frozen=True)
class Polygons(_Drawn):
    """The pixels inside of any of some polygons."""

    polygons: tuple[tuple[tuple[float, float], ...], ...]
    where: str
    size: Size | None = None

    def render(self, picture: Size) -> Raster:
        """Fill the polygons."""
        from skimage.draw import polygon

        width, height = self.own_size(picture)
        mask = np.zeros((height, width), np.uint8)
        for corners in self.polygons:
            x, y = np.array(corners, dtype=float).T - 0.5
            mask[polygon(y, x, mask.shape)] = 255  # type: ignore[no-untyped-call]
        return Raster(mask)


@dataclass(frozen=True)
class RunLengths:
    """Run-length encoding as COCO has it."""

    counts: Sequence[int] | str
    where: str
    size: Size

    def own_size(self, picture: Size) -> Size:  # noqa: ARG002
        """Return the size of the encoded mask."""
        return self.size

    def render(self, picture: Size) -> Raster:  # noqa: ARG002
        """Decode it."""
        width, height = self.size
        return Raster(decode_rle(self.counts, height, width, self.where) * np.uint8(255))
