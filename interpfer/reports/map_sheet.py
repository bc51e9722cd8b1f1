"""Pictures of maps beside faces, in one style."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.base import Dataset
from interpfer.errors import RunError
from interpfer.faces.stream import FaceStream
from interpfer.labels import EXPRESSIONS, NEUTRAL
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap
from interpfer.maps.canvas import to_canvas
from interpfer.maps.capture import capture
from interpfer.metrics.agreement import cosine
from interpfer.metrics.au_profile import BACKGROUND
from interpfer.models.model import Model
from interpfer.reports.page.action_units import FARTHEST
from interpfer.reports.style import INK, LESS_MORE, OPACITY, SOFT, bare, draw, new_figure, save, scale_of_maps
from interpfer.reports.style import MAPS as COLOURS
from interpfer.results.run import Run
from interpfer.types import CANVAS

SHEET_MAPS = ("attention", "gradcam", "layercam")
SHEET_TITLE = (
    "Where an expert would look (AU heatmap of the label) and where the classifier looks.\n"
    "Bright is much; the cosine says how alike a map and the AU heatmap are (1: the same)."
)


def map_sheet(model: Model, dataset: Dataset, path: Path, landmarks: Any = None) -> None:
    """Draw one face per expression: the face, its AU heatmap, and maps of the last layer with their cosines.

    Args:
        model: the classifier.
        dataset: the first face of each expression with action units is taken.
        path: the picture to write; its suffix is the format.
        landmarks: as for ``interpfer.score``.
    """
    names = [name for name in dataset.classes if name != NEUTRAL]
    labels = [sample.label for sample in dataset.samples]
    rows = [labels.index(name) for name in names]
    batch = FaceStream(dataset, resolve_landmarks(landmarks, dataset.landmarks()), CANVAS).read(rows)
    heat, _ = au_heatmaps(batch.landmarks.points, names)
    targets = torch.tensor([model.classes.index(name) if name in model.classes else -1 for name in names])
    layers = model.layers("last")
    shown = capture(model, model.preprocess(batch.faces.images), layers, targets)
    pictures = {"AU heatmap": heat}
    for name in SHEET_MAPS:
        method = MAPS.get(name)
        assert isinstance(method, LayerMap)
        pictures[name], _ = to_canvas(method(shown.layers[layers[0]]), method.attention)
    predicted = [model.classes[index] for index in shown.logits.argmax(1).tolist()]

    sheet = draw(lambda: _sheet(batch.faces.images, names, predicted, pictures, heat, layers[0]))
    save(sheet, path, dpi=110)


def _sheet(
    faces: Float[Tensor, "n 3 h w"],
    names: list[str],
    predicted: list[str],
    pictures: dict[str, Float[Tensor, "n s s"]],
    heat: Float[Tensor, "n s s"],
    layer: str,
) -> Figure:
    figure = new_figure(1.75 * (1 + len(pictures)) + 0.9, 2.0 * len(names) + 0.7)
    axes = figure.subplots(len(names), 1 + len(pictures), squeeze=False)
    for i, name in enumerate(names):
        face = faces[i].permute(1, 2, 0).numpy()
        axes[i][0].imshow(face)
        axes[i][0].set_ylabel(f"{name}\n(predicted {predicted[i]})")
        for j, (title, maps) in enumerate(pictures.items(), 1):
            shown = maps[i : i + 1] / maps[i].max()
            axes[i][j].imshow(face)
            drawn = axes[i][j].imshow(shown[0].numpy(), cmap=COLOURS, alpha=OPACITY, vmin=0, vmax=1)
            if j > 1:
                axes[i][j].set_xlabel(f"cosine {float(cosine(maps[i : i + 1], heat[i : i + 1])):.2f}")
            if i == 0:
                axes[i][j].set_title(title if j == 1 else f"{title}\n{layer}")
    for axis in axes.flat:
        bare(axis)
    scale_of_maps(figure, drawn, axes)
    figure.suptitle(SHEET_TITLE, fontsize=9)
    return figure


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
