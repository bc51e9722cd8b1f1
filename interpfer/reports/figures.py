"""Figures of a run for a paper: scores, layers by class, confusion matrix, AU profile, mean maps."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from interpfer.errors import RunError
from interpfer.reports.page.scores import Scores, number
from interpfer.reports.profile_figure import profile_figure
from interpfer.reports.style import (
    ACCENT,
    FORMATS,
    INK,
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
from interpfer.results.run import Run

DASHES = ("--", ":", "-")

MANY = 15
"""Number of classes from which on cells are small, and their numbers too."""


def write_figures(
    run: Run, report_data: ReportData | None, folder: str | Path, formats: Sequence[str] = FORMATS
) -> Iterator[Path]:
    """Write every figure of a run as PDF, SVG and PNG; yield the files.

    Args:
        run: a finished score.
        report_data: its pictures; None leaves out the mean maps.
        folder: folder of the figures; created.
        formats: some of "pdf", "svg" and "png".

    Raises:
        RunError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error}.") from error
    scores = Scores(run)
    makers: dict[str, Callable[[], Figure | None]] = {
        "scores": lambda: scores_figure(scores),
        "layers-by-class": lambda: layers_figure(scores),
        "confusion": lambda: confusion_figure(run),
        "au-profile": lambda: _main_profile(run, scores),
        "mean-maps": lambda: means_figure(report_data, scores) if report_data else None,
    }
    for name, make in makers.items():
        figure = draw(make)
        if figure is not None:
            figure.suptitle(caption(run), fontsize=7, color=SOFT)
            yield from (save(figure, folder / f"{name}.{suffix}") for suffix in formats)


def caption(run: Run) -> str:
    """Return what a figure shows in one line: model, data set, truth and number of scored images."""
    arguments, counts = run.manifest["arguments"], run.manifest["counts"]
    truth = arguments.get("codebook") or arguments.get("truth", "codebook")
    where = "/".join(filter(None, (str(arguments["dataset"]), str(arguments.get("split") or ""))))
    return f"{arguments['model']} on {where}, truth {truth}, {arguments['protocol']} protocol, n = {counts['scored']}"


def scores_figure(scores: Scores) -> Figure | None:
    """Draw maps as dots with their confidence intervals, and baselines as lines across; None if no map is defined."""
    metric, facts = scores.primary, scores.facts(scores.primary)
    keys = [key for key in scores.maps if scores.at(key, metric).is_defined]
    if not keys:
        return None
    figure = new_figure(5.2, 1.0 + 0.24 * len(keys))
    axis = figure.subplots()
    for place, key in enumerate(keys):
        estimate = scores.at(key, metric)
        ends = [estimate.low, estimate.high]
        axis.plot(ends, [place, place], color=ACCENT, lw=2.2, alpha=0.45, solid_capstyle="round")
        axis.plot(estimate.value, place, "o", color=ACCENT, ms=4)
    axis.set_yticks(range(len(keys)), [" ".join(key) for key in keys])
    axis.set_ylim(len(keys) - 0.5, -0.5)
    for style, (key, phrase) in zip(DASHES, scores.phrases.items(), strict=True):
        estimate = scores.at(key, metric)
        if estimate.is_defined:
            label = f"{phrase} ({number(estimate.value, facts, short=True)})"
            axis.axvline(estimate.value, color=MARK, lw=1, ls=style, label=label, zorder=0)
    axis.set_xlabel(f"{metric} with the {scores.words.noun}, 95 % confidence intervals")
    axis.tick_params(axis="y", length=0)
    if axis.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", fontsize=7)
    return figure


def layers_figure(scores: Scores) -> Figure | None:
    """Draw one heat map of scores per map: layers down, classes across; None if no map is defined."""
    metric, facts = scores.primary, scores.facts(scores.primary)
    columns = [facts.headline, *scores.classes]
    names = list(dict.fromkeys(name for name, _ in scores.maps))
    rows = {name: [layer for key, layer in scores.maps if key == name] for name in names}
    grids = [
        np.array([[scores.at((name, layer), metric, group).value for group in columns] for layer in rows[name]])
        for name in names
    ]
    if not grids or not any(np.isfinite(grid).any() for grid in grids):
        return None
    low, high = (end([end(grid[np.isfinite(grid)]) for grid in grids if np.isfinite(grid).any()]) for end in (min, max))
    depths = [len(rows[name]) for name in names]
    width = 0.55 if len(columns) <= MANY else 0.3
    figure = new_figure(1.6 + width * len(columns), 0.9 + sum(0.24 * count + 0.28 for count in depths))
    axes = figure.subplots(len(names), 1, squeeze=False, height_ratios=depths, sharex=True)[:, 0]
    for axis, name, grid in zip(axes, names, grids, strict=True):
        image = axis.imshow(grid, cmap=SHARES, vmin=low, vmax=high, aspect="auto")
        _write_cells(
            axis, grid, low, high, [[number(float(value), facts, short=True) for value in row] for row in grid]
        )
        axis.set_yticks(range(len(rows[name])), rows[name])
        axis.set_title(name, loc="left")
        axis.tick_params(length=0)
    _name_columns(axes[-1], ["all", *columns[1:]])
    figure.colorbar(image, ax=list(axes), shrink=min(1.0, 4 / len(names)), aspect=30).set_label(metric)
    return figure


def confusion_figure(run: Run) -> Figure:
    """Draw the confusion matrix: colours are shares of the true class, numbers counts."""
    counts = run.confusion.to_numpy(float)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    width, height = (0.5, 0.4) if max(counts.shape) <= MANY else (0.22, 0.19)
    figure = new_figure(1.9 + width * counts.shape[1], 1.2 + height * counts.shape[0])
    axis = figure.subplots()
    image = axis.imshow(shares, cmap=SHARES, vmin=0, vmax=1, aspect="auto")
    _write_cells(axis, shares, 0, 1, [[_write_count(count, counts.shape) for count in row] for row in counts])
    _name_columns(axis, [str(name) for name in run.confusion])
    axis.set_yticks(range(counts.shape[0]), [str(name) for name in run.confusion.index])
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.tick_params(length=0)
    figure.colorbar(image, ax=axis, aspect=30).set_label("share of the true class")
    return figure


def means_figure(report_data: ReportData, scores: Scores) -> Figure | None:
    """Draw per class the mean face, AU heatmap and maps of the deepest layer; None if there is no class."""
    keys = [AU_HEATMAP, *(key for key in report_data.columns if key in scores.deepest)]
    places = [report_data.columns.index(key) for key in keys]
    rows = [row for row, count in enumerate(report_data.members.tolist()) if count]
    if not rows:
        return None
    figure = new_figure(1.05 * (1 + len(keys)) + 0.9, 1.05 * len(rows) + 0.4)
    axes = figure.subplots(len(rows), 1 + len(keys), squeeze=False)
    axes[0][0].set_title("mean face", fontsize=8)
    image = None
    for line, row in enumerate(rows):
        face = _mean_face(report_data, row)
        axes[line][0].imshow(face)
        axes[line][0].set_ylabel(f"{report_data.classes[row]}\nn = {report_data.members[row]}")
        for axis, place, key in zip(axes[line][1:], places, keys, strict=True):
            picture = report_data.mean_maps[row, place] / 255
            if picture.any():
                axis.imshow(face, extent=(0, 1, 1, 0))
                image = axis.imshow(
                    picture, cmap=MAPS, vmin=0, vmax=1, alpha=OPACITY, extent=(0, 1, 1, 0), interpolation="bilinear"
                )
            elif key == AU_HEATMAP:
                axis.text(
                    0.5,
                    0.5,
                    scores.words.nothing.replace(" units", "\nunits"),
                    ha="center",
                    va="center",
                    color=SOFT,
                    transform=axis.transAxes,
                )
            if line == 0:
                axis.set_title(scores.words.noun if key == AU_HEATMAP else "\n".join(key), fontsize=8)
    for axis in axes.flat:
        bare(axis)
    if image is not None:
        scale_of_maps(figure, image, axes)
    return figure


def _mean_face(report_data: ReportData, row: int) -> NDArray[np.uint8]:
    if row < len(report_data.mean_faces) and report_data.mean_faces[row]:
        return np.asarray(Image.open(io.BytesIO(report_data.mean_faces[row])))
    return np.full((1, 1, 3), 235, np.uint8)


def _main_profile(run: Run, scores: Scores) -> Figure | None:
    if scores.main is None or run.au_profile is None or run.au_profile.empty:
        return None
    return profile_figure(run, *scores.main)


def _name_columns(axis: Axes, names: Sequence[str]) -> None:
    """Name the columns of a heat map, upright where there are many."""
    is_dense = len(names) > MANY
    axis.set_xticks(range(len(names)), names, rotation=90 if is_dense else 30, ha="center" if is_dense else "right")


def _write_count(count: float, shape: tuple[int, ...]) -> str:
    return "" if not count and max(shape) > MANY else f"{int(count)}"


def _write_cells(
    axis: Axes, grid: NDArray[np.float64], low: float, high: float, texts: Sequence[Sequence[str]]
) -> None:
    """Write texts into the cells of a heat map: white on dark colours, dark on light ones."""
    size = 7 if max(grid.shape) <= MANY else 4.5
    for row, column in np.ndindex(grid.shape):
        value = float(grid[row, column])
        is_dark = np.isfinite(value) and value > low + 0.55 * (high - low)
        ink = "white" if is_dark else INK if np.isfinite(value) else SOFT
        axis.text(column, row, texts[row][column], ha="center", va="center", fontsize=size, color=ink)
