"""Figure of an AU profile."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.labels import sort_classes
from interpfer.reports.page.action_units import MAX_RATIO
from interpfer.reports.style import INK, LESS_MORE, SOFT, new_figure
from interpfer.results.run import Run
from interpfer.truth.base import BACKGROUND


def profile_figure(run: Run, map_name: str, layer: str | None = None, by: str = "true") -> Figure:
    """Draw the AU profile of a map: its energy per expression and action unit, above that of the AU heatmaps.

    Energy is given as a ratio to a uniform map's energy in the same region, because regions differ in size.

    Args:
        run: a finished score.
        map_name: such as "gradcam".
        layer: name of the layer; None for the first one of the map.
        by: "true" or "predicted", the class that images are grouped by.

    Raises:
        RunError: the run holds no such profile.
    """
    table = _select_profile(run, map_name, layer, by)
    aus = [str(au) for au in table["au"].unique() if au != BACKGROUND]
    names = list(sort_classes(table["expression"]))
    titles = {f"{map_name}, {table['layer'].iloc[0]}": "share", "AU heatmaps": "codebook"}
    cells = {column: table.pivot(index="expression", columns="au", values=column).loc[names]
             for column in ("share", "codebook", "uniform", "expected")}  # fmt: skip
    expected = cells["expected"][aus].to_numpy(bool)
    figure = new_figure(1.9 + 0.42 * len(aus), 1.3 + 0.56 * len(names))
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (title, column) in zip(axes, titles.items(), strict=True):
        image = _draw_ratios(axis, (cells[column][aus] / cells["uniform"][aus]).to_numpy(float), expected)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylabel(f"{by} expression")
        outside = np.nanmean(cells[column][BACKGROUND].to_numpy(float))
        axis.set_title(f"{title}: {100 * outside:.0f} % of the energy in no region", loc="left")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[1].set_xticks(range(len(aus)), [au.replace("+", "\n") for au in aus])
    axes[1].set_xlabel("action unit (FACS); framed: expected by the codebook")
    _add_scale(figure, image, axes)
    return figure


def _select_profile(run: Run, map_name: str, layer: str | None, by: str) -> pd.DataFrame:
    table = pd.DataFrame() if run.au_profile is None else run.au_profile
    if not table.empty:
        table = table[(table["map"] == map_name) & (table["by"] == by)]
        table = table[table["layer"] == (layer or table["layer"].iloc[0])] if len(table) else table
    if table.empty:
        raise RunError(f"the run has no AU profile of {map_name} by {by} class.")
    return table


def _draw_ratios(axis: Axes, ratios: NDArray[np.float64], expected: NDArray[np.bool_]) -> AxesImage:
    """Draw (expressions, action units) ratios as a heat map with numbers; a frame where an action unit is expected."""
    image = axis.imshow(
        ratios.clip(1 / MAX_RATIO, MAX_RATIO), cmap=LESS_MORE, aspect="auto", norm=LogNorm(1 / MAX_RATIO, MAX_RATIO)
    )
    for row, column in np.ndindex(ratios.shape):
        ratio = float(ratios[row, column])
        ink = "white" if abs(np.log(max(ratio, 1e-9))) > 0.45 * np.log(MAX_RATIO) else INK
        if np.isfinite(ratio):
            axis.text(column, row, f"{ratio:.1f}", ha="center", va="center", fontsize=7, color=ink)
        if expected[row, column]:
            axis.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, color=ink, lw=1.3))
    middle = (ratios.shape[1] - 1) / 2
    for row in np.flatnonzero(~np.isfinite(ratios).any(1)).tolist():
        axis.text(middle, row, "no action units", ha="center", va="center", fontsize=7, color=SOFT)
    return image


def _add_scale(figure: Figure, image: AxesImage, axes: Sequence[Axes] | NDArray[np.object_]) -> None:
    ticks = [1 / MAX_RATIO, 0.5, 1, 2, MAX_RATIO]
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=ticks)
    bar.set_label("energy, ratio to a uniform map's")
    bar.ax.set_yticklabels(["≤ ¼", "½", "1", "2", f"≥ {MAX_RATIO}"])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
