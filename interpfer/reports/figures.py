"""The figures of a run for a paper: scores, layers by class, confusion, AU profile, mean maps."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from interpfer.errors import RunError
from interpfer.labels import EXPRESSIONS
from interpfer.reports.page.action_units import FARTHEST
from interpfer.reports.page.scores import SAID, Scores, number
from interpfer.reports.style import (
    ACCENT,
    FORMATS,
    INK,
    LESS_MORE,
    MAPS,
    MARK,
    OPACITY,
    SHARES,
    SOFT,
    bare,
    draw,
    new_figure,
    save,
    scale_of_maps,
)
from interpfer.results.pictures import AU_HEATMAP, ReportData
from interpfer.results.run import Run, headline_group
from interpfer.truth.base import BACKGROUND

DASHES = ("--", ":", "-")


def run_figures(run: Run, exhibit: ReportData | None, folder: Path) -> Iterator[Path]:
    """Write every figure of a run as PDF, SVG and PNG; yield the files.

    Args:
        run: a finished score.
        exhibit: what it kept to be shown; without it there are no mean maps.
        folder: where to write.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error}.") from error
    scores = Scores(run)
    makers: dict[str, Callable[[], Figure | None]] = {
        "scores": lambda: scores_figure(scores),
        "layers-by-class": lambda: layers_figure(scores),
        "confusion": lambda: confusion_figure(run),
        "au-profile": lambda: _profile(run, scores),
        "mean-maps": lambda: means_figure(exhibit, scores) if exhibit else None,
    }
    for name, make in makers.items():
        figure = draw(make)  # type: ignore[arg-type]
        if figure is not None:
            yield from (save(figure, folder / f"{name}.{suffix}") for suffix in FORMATS)


def scores_figure(scores: Scores) -> Figure | None:
    """Draw the maps as dots with their intervals, and the baselines as lines across."""
    metric = scores.primary
    keys = [key for key in scores.maps if scores.at(key, metric).defined]
    if not keys:
        return None
    figure = new_figure(5.2, 1.0 + 0.24 * len(keys))
    axis = figure.subplots()
    for place, key in enumerate(keys):
        found = scores.at(key, metric)
        axis.plot([found.low, found.high], [place, place], color=ACCENT, lw=2.2, alpha=0.45, solid_capstyle="round")
        axis.plot(found.value, place, "o", color=ACCENT, ms=4)
    axis.set_yticks(range(len(keys)), [" ".join(key) for key in keys])
    axis.set_ylim(len(keys) - 0.5, -0.5)
    for style, name in zip(DASHES, SAID, strict=True):
        value = scores.at((name, "-"), metric)
        if value.defined:
            label = f"{SAID[name]} ({number(value.value, metric, short=True)})"
            axis.axvline(value.value, color=MARK, lw=1, ls=style, label=label, zorder=0)
    axis.set_xlabel(f"{metric} with the AU heatmap, 95 % intervals")
    axis.tick_params(axis="y", length=0)
    if axis.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", fontsize=7)
    return figure


def layers_figure(scores: Scores) -> Figure | None:
    """Draw one table of colours per map: layers down, classes across."""
    metric, columns = scores.primary, [headline_group(scores.primary), *scores.classes]
    names = list(dict.fromkeys(name for name, _ in scores.maps))
    rows = {name: [layer for key, layer in scores.maps if key == name] for name in names}
    grids = [
        np.array([[scores.at((name, layer), metric, group).value for group in columns] for layer in rows[name]])
        for name in names
    ]
    if not grids or not any(np.isfinite(grid).any() for grid in grids):
        return None
    low, high = (end([end(grid[np.isfinite(grid)]) for grid in grids if np.isfinite(grid).any()]) for end in (min, max))
    deep = [len(rows[name]) for name in names]
    figure = new_figure(1.6 + 0.55 * len(columns), 0.9 + sum(0.24 * count + 0.28 for count in deep))
    axes = figure.subplots(len(names), 1, squeeze=False, height_ratios=deep, sharex=True)[:, 0]
    for axis, name, grid in zip(axes, names, grids, strict=True):
        drawn = axis.imshow(grid, cmap=SHARES, vmin=low, vmax=high, aspect="auto")
        _write(axis, grid, low, high, lambda value: number(value, metric, short=True))
        axis.set_yticks(range(len(rows[name])), rows[name])
        axis.set_title(name, loc="left")
        axis.tick_params(length=0)
    axes[-1].set_xticks(range(len(columns)), ["all", *columns[1:]], rotation=30, ha="right")
    figure.colorbar(drawn, ax=list(axes), shrink=min(1.0, 4 / len(names)), aspect=30).set_label(metric)
    return figure


def confusion_figure(run: Run) -> Figure:
    """Draw the confusion matrix: colours are shares of the true class, numbers are counts."""
    counts = run.confusion.to_numpy(float)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    figure = new_figure(1.9 + 0.5 * counts.shape[1], 1.2 + 0.4 * counts.shape[0])
    axis = figure.subplots()
    drawn = axis.imshow(shares, cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    _write(axis, shares, 0, 1, lambda _: "", counts)
    axis.set_xticks(range(counts.shape[1]), [str(name) for name in run.confusion], rotation=30, ha="right")
    axis.set_yticks(range(counts.shape[0]), [str(name) for name in run.confusion.index])
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.tick_params(length=0)
    figure.colorbar(drawn, ax=axis, aspect=30).set_label("share of the true class")
    return figure


def means_figure(exhibit: ReportData, scores: Scores) -> Figure | None:
    """Draw per class the mean face, the mean AU heatmap and the mean maps of the deepest layer."""
    wanted = [AU_HEATMAP, *(key for key in exhibit.columns if key in scores.deepest)]
    places = [exhibit.columns.index(key) for key in wanted]
    rows = [row for row, count in enumerate(exhibit.members.tolist()) if count]
    if not rows:
        return None
    figure = new_figure(1.05 * (1 + len(wanted)) + 0.9, 1.05 * len(rows) + 0.4)
    axes = figure.subplots(len(rows), 1 + len(wanted), squeeze=False)
    axes[0][0].set_title("mean face", fontsize=8)
    drawn = None
    for line, row in enumerate(rows):
        face = _face(exhibit, row)
        axes[line][0].imshow(face)
        axes[line][0].set_ylabel(f"{exhibit.classes[row]}\nn = {exhibit.members[row]}")
        for axis, place, key in zip(axes[line][1:], places, wanted, strict=True):
            picture = exhibit.mean_maps[row, place] / 255
            if picture.any():
                axis.imshow(face, extent=(0, 1, 1, 0))
                drawn = axis.imshow(
                    picture, cmap=MAPS, vmin=0, vmax=1, alpha=OPACITY, extent=(0, 1, 1, 0), interpolation="bilinear"
                )
            elif key == AU_HEATMAP:
                axis.text(0.5, 0.5, "no action\nunits", ha="center", va="center", color=SOFT, transform=axis.transAxes)
            if line == 0:
                axis.set_title(key[0] if key == AU_HEATMAP else "\n".join(key), fontsize=8)
    for axis in axes.flat:
        bare(axis)
    if drawn is not None:
        scale_of_maps(figure, drawn, axes)
    return figure


def _face(exhibit: ReportData, row: int) -> NDArray[np.uint8]:
    if row < len(exhibit.mean_faces) and exhibit.mean_faces[row]:
        return np.asarray(Image.open(io.BytesIO(exhibit.mean_faces[row])))
    return np.full((1, 1, 3), 235, np.uint8)


def _profile(run: Run, scores: Scores) -> Figure | None:
    if scores.main is None or run.au_profile is None or run.au_profile.empty:
        return None
    return profile_figure(run, *scores.main)


def _write(
    axis: Axes, grid: NDArray[np.float64], low: float, high: float, text: Callable[[float], str],
    counts: NDArray[np.float64] | None = None,
) -> None:  # fmt: skip
    """Write numbers into a table of colours, dark on light and light on dark."""
    for row, column in np.ndindex(grid.shape):
        value = float(grid[row, column])
        said = text(value) if counts is None else f"{int(counts[row, column])}"
        deep = np.isfinite(value) and value > low + 0.55 * (high - low)
        ink = "white" if deep else INK if np.isfinite(value) else SOFT
        axis.text(column, row, said, ha="center", va="center", fontsize=7, color=ink)


def profile_sheet(run: Run, map_name: str, path: Path, layer: str | None = None, by: str = "true") -> None:
    """Draw the AU evidence profile of a map: its energy per expression and action unit, beside the codebook's.

    Energy is given as a multiple of what a uniform map has in the same region, since regions differ much in size.

    Args:
        run: a finished score.
        map_name: such as "gradcam".
        path: the picture to write; its suffix is the format.
        layer: by default the first one.
        by: "true" or "predicted": by which class of the images.

    Raises:
        RunError: the run holds no such profile.
    """
    save(draw(lambda: profile_figure(run, map_name, layer, by)), path, dpi=130)


def profile_figure(run: Run, map_name: str, layer: str | None = None, by: str = "true") -> Figure:
    """Return what ``profile_sheet`` draws.

    Raises:
        RunError: the run holds no such profile.
    """
    table = pd.DataFrame() if run.au_profile is None else run.au_profile
    if not table.empty:
        table = table[(table["map"] == map_name) & (table["by"] == by)]
        table = table[table["layer"] == (layer or table["layer"].iloc[0])] if len(table) else table
    if table.empty:
        raise RunError(f"the run has no AU profile of {map_name} by {by} class.")
    aus = [au for au in table["au"].unique() if au != BACKGROUND]
    found = table["expression"].unique()
    names = [name for name in EXPRESSIONS if name in found]
    sides = {f"{map_name}, {table['layer'].iloc[0]}": "share", "AU heatmaps": "codebook"}
    cells = {value: table.pivot(index="expression", columns="au", values=value).loc[names]
             for value in ("share", "codebook", "uniform", "expected")}  # fmt: skip
    expected = cells["expected"][aus].to_numpy(bool)
    figure = new_figure(1.9 + 0.42 * len(aus), 1.3 + 0.56 * len(names))
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (title, value) in zip(axes, sides.items(), strict=True):
        times = (cells[value][aus] / cells["uniform"][aus]).to_numpy(float)
        drawn = axis.imshow(times.clip(1 / FARTHEST, FARTHEST), cmap=LESS_MORE, aspect="auto",
                            norm=LogNorm(1 / FARTHEST, FARTHEST))  # fmt: skip
        for row, column in np.ndindex(times.shape):
            shown = float(times[row, column])
            ink = "white" if abs(np.log(max(shown, 1e-9))) > 0.45 * np.log(FARTHEST) else INK
            if np.isfinite(shown):
                axis.text(column, row, f"{shown:.1f}", ha="center", va="center", fontsize=7, color=ink)
            if expected[row, column]:
                axis.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, color=ink, lw=1.3))
        for row in np.flatnonzero(~np.isfinite(times).any(1)):
            axis.text((len(aus) - 1) / 2, row, "no action units", ha="center", va="center", fontsize=7, color=SOFT)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylabel(f"{by} expression")
        outside = np.nanmean(cells[value][BACKGROUND].to_numpy(float))
        axis.set_title(f"{title}: {100 * outside:.0f} % of the energy in no region", loc="left")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[1].set_xticks(range(len(aus)), [au.replace("+", "\n") for au in aus])
    axes[1].set_xlabel("action unit (FACS); framed: expected by the codebook")
    ticks = [1 / FARTHEST, 0.5, 1, 2, FARTHEST]
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=30, pad=0.02, ticks=ticks)
    bar.set_label("energy, times a uniform map's")
    bar.ax.set_yticklabels(["≤ ¼", "½", "1", "2", f"≥ {FARTHEST}"])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    return figure
