"""Reading of image files in any mode as upright 8-bit RGB."""

import hashlib
import io
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from interpfer.errors import DataError
from interpfer.files import exists

ORIENTATION = 0x0112
"""EXIF tag of the orientation; values from 5 to 8 swap width and height."""

PNG_HEADER = 8
"""Bytes before the first chunk of a PNG."""
PNG_TEXTS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""Chunks of a PNG that may hold an orientation."""

BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw image"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
"""Brand of an ISO media file -> format."""

SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"P5": "PGM",
    b"P6": "PPM",
    b"8BPS": "PSD",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}
"""First bytes of a file -> format."""


def read_image(path: str | Path) -> Image.Image:
    """Return an image as RGB, rotated upright by its EXIF orientation, with transparency on black.

    Of an animation this is the first frame. An image that Pillow considers a decompression bomb is refused.

    Raises:
        DataError: the file does not exist, or is not a readable image.
    """
    path = Path(path)
    with _opened(existing_path(path), str(path)) as image:
        image.load()
        return to_rgb(_upright(image))


def decode_image(content: bytes, where: str) -> Image.Image:
    """Return an image out of the bytes of its file, as ``read_image`` does.

    Args:
        content: bytes of the file.
        where: name of the image, for messages.

    Raises:
        DataError: it is not a readable image.
    """
    with _opened(io.BytesIO(content), where) as image:
        image.load()
        return to_rgb(_upright(image))


def decode_size(content: bytes, where: str) -> tuple[int, int]:
    """Return (width, height) of ``decode_image``, from the header.

    Raises:
        DataError: it is not an image.
    """
    with _opened(io.BytesIO(content), where) as image:
        return _upright_size(image)


def read_size(path: str | Path) -> tuple[int, int]:
    """Return (width, height) of ``read_image(path)``, from the header of the file.

    Raises:
        DataError: the file does not exist, or is not an image.
    """
    path = Path(path)
    with _opened(existing_path(path), str(path)) as image:
        return _upright_size(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to 8-bit RGB.

    Of 16-bit grey the upper byte is kept, floats are taken as [0, 1] or [0, 255], and transparency becomes black.
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.max(initial=0) > 255:
            values >>= 8
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        floats = np.nan_to_num(np.asarray(image), nan=0, posinf=255, neginf=0)
        scale = 255 if floats.max(initial=0) <= 1 else 1
        return Image.fromarray((floats * scale).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return image.convert("RGB")


def image_format(path: Path) -> str:
    """Return the format of an image by the first bytes of the file, also if it cannot be read; "" for any other file.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     photo = Path(folder) / "photo"
        ...     _ = photo.write_bytes(b"GIF89a")
        ...     print(image_format(photo))
        GIF
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return ""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in BRANDS:
        return BRANDS[brand]
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else ""
    return next((name for start, name in SIGNATURES.items() if head.startswith(start)), "")


def pixel_digest(image: Image.Image) -> str:
    """Return the sha256 of the pixels of an RGB image, row by row."""
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def content_key(size: tuple[int, int], digest: str) -> str:
    """Return what two images with the same pixels have in common: their (width, height) and ``pixel_digest``.

    Examples:
        >>> content_key((48, 64), "e3b0")
        '48x64 e3b0'
    """
    return f"{size[0]}x{size[1]} {digest}"


@contextmanager
def _opened(source: Path | io.BytesIO, where: str) -> Iterator[Image.Image]:
    try:
        with Image.open(source) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{where}: no such image file.") from None
    except Exception as error:  # on a broken file Pillow raises many types: struct.error, KeyError, ...
        cause = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            name = image_format(source) if isinstance(source, Path) else ""
            cause = f"{name}: convert it to JPEG or PNG" if name else f"cannot identify image file '{where}'"
        raise DataError(f"{where}: not a readable image ({cause}).") from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if _orientation(image) in (5, 6, 7, 8) else (width, height)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block does not affect the pixels
        return image


def _orientation(image: Image.Image) -> int:
    try:
        if isinstance(image, PngImageFile) and not _has_text_after_pixels(image):
            facts = Image.Image.getexif(image)  # that of a PNG decodes all pixels to reach what may follow them
        else:
            facts = image.getexif()
        return int(facts.get(ORIENTATION, 1))
    except Exception:
        return 1


def _has_text_after_pixels(image: PngImageFile) -> bool:
    """Return whether a PNG has anything after its pixels that may hold an orientation, by the names of its chunks."""
    file, is_after, kind = image.fp, False, b""
    assert file is not None
    before = file.tell()
    file.seek(PNG_HEADER)
    while kind != b"IEND" and not (is_after and kind in PNG_TEXTS):
        length, kind = struct.unpack(">I4s", file.read(8))
        is_after |= kind == b"IDAT"
        file.seek(length + 4, io.SEEK_CUR)  # 4 bytes of checksum
    file.seek(before)
    return kind != b"IEND"


def existing_path(path: Path) -> Path:
    """Return the path with its accents composed or decomposed, as on disk: archives and lists may differ."""
    if not str(path).isascii() and not exists(path):
        for form in ("NFC", "NFD"):
            other = Path(unicodedata.normalize(form, str(path)))
            if exists(other):
                return other
    return path
