"""Style of all figures: plain axes, colours that are readable in print and with colour-vision deficiency."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

MAPS = "inferno"
INK, SOFT, ACCENT, MARK, LOW = "#1b1f27", "#575f6d", "#1f5f99", "#8a5a00", "#c96212"
SHARES = LinearSegmentedColormap.from_list("interpfer-shares", ["#ffffff", "#8fb6d9", ACCENT, "#123a60"])
LESS_MORE = LinearSegmentedColormap.from_list("interpfer-less-more", ["#8f4208", LOW, "#ffffff", "#2f75b5", "#123a60"])
"""Colours around a middle, as on the page: blue is more, orange is less."""
OPACITY = 0.55

FORMATS = ("pdf", "svg", "png")

RULES: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # fonts stay text
    "svg.fonttype": "none",
    "svg.hashsalt": "interpfer",
    "text.parse_math": False,  # a name with dollar signs is a name
}

FigureT = TypeVar("FigureT", bound=Figure | None)


def draw(make: Callable[[], FigureT]) -> FigureT:
    """Return the figure of a function, made in this style; None if it has nothing to draw."""
    with mpl.rc_context(RULES):
        return make()


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; width and height are in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path, dpi: int = 200) -> Path:
    """Write a figure in the format of the suffix; equal figures give equal bytes."""
    dates: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with mpl.rc_context(RULES):
        figure.savefig(path, dpi=dpi, metadata=dates.get(path.suffix, {}))
    return path


def bare(axis: Axes) -> None:
    """Remove ticks and frame."""
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def scale_of_maps(figure: Figure, drawn: Any, axes: Any) -> Colorbar:
    """Add the colour bar of overlaid maps."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.5, aspect=30, pad=0.02)
    bar.set_label("share of each map's own maximum")
    bar.set_ticks([0, 0.5, 1])
    bar.solids.set_alpha(1)  # type: ignore[union-attr]
    bar.outline.set_visible(False)
    return bar
