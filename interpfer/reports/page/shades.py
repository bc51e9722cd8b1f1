"""Style-sheet rules for the colours of the page's tables, light and dark; the colours are those of the figures."""

from collections.abc import Iterator, Sequence

from matplotlib.colors import Colormap, LinearSegmentedColormap

from interpfer.reports.page.tables import Cell
from interpfer.reports.style import INK, LESS_MORE

STEPS = 24
SCALES = {"of-table": ("t", 0.36), "more": ("m", 1.0), "less": ("l", -1.0)}
"""Name of a scale -> its letter in the style sheet, and the end of its colours between the middle (0) and the ends.

A scale that means the same in every table uses all colours, as in the figures; one from the smallest to the largest
value of a table stays pale, to keep its numbers readable.
"""

MIN_CONTRAST = 4.5
"""Smallest contrast of text that WCAG 2 allows."""

NIGHT, NIGHT_INK = "#1a1d23", "#e7e9ee"
DARK = LinearSegmentedColormap.from_list(
    "interpfer-less-more-dark", ["#ffdcb8", "#c96212", NIGHT, "#2f75b5", "#b9dcff"]
)


def shade_class(cell: Cell) -> str:
    """Return the style-sheet classes of a cell: its step in its scale, and its mark."""
    if cell.shade is None:
        return cell.mark
    return f"{SCALES[cell.scale][0]}{round(cell.shade * STEPS)} {cell.mark}".strip()


def shade_rules() -> str:
    """Return the style-sheet rules, one per scale and step."""
    light, dark = ("\n".join(_rules(colours, ink)) for colours, ink in ((LESS_MORE, INK), (DARK, NIGHT_INK)))
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _rules(colours: Colormap, ink: str) -> Iterator[str]:
    for letter, end in SCALES.values():
        for step in range(STEPS + 1):
            ground = colours(0.5 + end * step / STEPS / 2)[:3]
            text = next(one for one in (ink, "#ffffff", "#000000") if contrast(_parts(one), ground) >= MIN_CONTRAST)
            yield f".{letter}{step} {{ background: {_hex(ground)}; color: {text}; }}"


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the contrast of two colours by WCAG 2."""
    dark, bright = sorted((_luminance(one), _luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(text: str) -> list[float]:
    return [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
