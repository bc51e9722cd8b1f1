"""How the fields of ``input`` of a model card are read, and what they must be."""

from collections.abc import Callable, Sequence
from typing import Any

from interpfer.choices import COLORS, INTERPOLATIONS
from interpfer.models.normalisations import NORMALISATIONS, parse_color

ROUNDED = ("pillow", "torchvision")
"""Libraries whose resize of bytes can be repeated to the byte: that of PIL images, and that of uint8 tensors."""

CROP_CORNERS = ("round", "floor")
"""How the corner of a crop with an odd margin is rounded."""

CLIP_LAYOUTS = ("ncthw", "ntchw")
"""Orders of the axes of a batch of clips: n clips, c channels, t frames, h height, w width."""


def _parse_numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in (value if isinstance(value, Sequence) else [value]))


def _parse_sides(value: Any) -> int | tuple[int, int] | None:
    if value is None or not isinstance(value, Sequence):
        return None if value is None else int(value)
    height, width = value
    return int(height), int(width)


def _parse_pad(value: Any) -> tuple[int, int, int] | None:
    if value is None or isinstance(value, bool):
        if value:
            raise ValueError
        return None
    red, green, blue = value if isinstance(value, Sequence) else (value, value, value)
    color = int(red), int(green), int(blue)
    if not all(0 <= level <= 255 for level in color):
        raise ValueError
    return color


def _parse_rounded(value: Any) -> str:
    if isinstance(value, bool):
        return ROUNDED[0] if value else ""
    return str(value).lower()


def _parse_count(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError
    return int(value)


def _parse_switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


CONVERTERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "size": (int, "a number of pixels"),
    "color": (parse_color, f"one of {', '.join(COLORS)}"),
    "scale": (float, "a number"),
    **dict.fromkeys(
        ("mean", "std"), (_parse_numbers, f"a number, a list of numbers or one of {', '.join(NORMALISATIONS)}")
    ),
    "resize": (_parse_sides, "a number of pixels or [height, width]"),
    "crop": (lambda value: None if value is None else int(value), "a number of pixels"),
    "crop_corner": (str, f"one of {', '.join(CROP_CORNERS)}"),
    "interpolation": (lambda value: str(value).lower(), f"one of {', '.join(INTERPOLATIONS)}"),
    "antialias": (_parse_switch, "true or false"),
    "rounded": (_parse_rounded, f"true, false, {' or '.join(ROUNDED)}"),
    "pad": (_parse_pad, "a colour in bytes, such as 0 or [124, 116, 104]"),
    "offset": (float, "a number"),
    "frames": (_parse_count, "a number of frames"),
    "layout": (lambda value: str(value).lower(), f"one of {', '.join(CLIP_LAYOUTS)}"),
}
"""How a field is read, and what it must be."""
