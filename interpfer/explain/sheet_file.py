"""How pictures of explanations are written: their style, and the same bytes at any date."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from interpfer.errors import RunError
from interpfer.reports.style import INK

SUFFIXES = (".png", ".svg", ".pdf")

PALE = "#b3bcc5"

STYLE: dict[Any, Any] = {
    "font.size": 7.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlepad": 5,
    "svg.fonttype": "path",
    "svg.hashsalt": "interpfer",
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


def write_sheet(path: str | Path, draw: Callable[[], Figure]) -> None:
    """Write a figure in the style of explanations, the same bytes at any date.

    Args:
        path: the picture to write; its suffix is the format.
        draw: function that draws the figure.

    Raises:
        RunError: the suffix is not one of ``SUFFIXES``, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise RunError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}.")
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a letter of a file's name that the font lacks
        figure = draw()
        dated: Any = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
        try:
            figure.savefig(path, dpi=200, metadata=dated)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error}.") from error
