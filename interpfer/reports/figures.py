"""Pictures of maps beside faces, in one style."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from interpfer.au.heatmaps import au_heatmaps
from interpfer.datasets.base import Dataset
from interpfer.errors import RunError
from interpfer.expressions import EXPRESSIONS, NEUTRAL
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap
from interpfer.maps.capture import capture
from interpfer.maps.resample import normalise, to_canvas
from interpfer.metrics.au_profile import BACKGROUND
from interpfer.metrics.functional import cosine
from interpfer.models.model import Model
from interpfer.plan import find_landmarks
from interpfer.results.run import Run
from interpfer.stream import FaceStream
from interpfer.types import CANVAS

COLOURS = "inferno"
PROFILE_COLOURS = "RdBu_r"
FARTHEST = 4
"""Times the energy of a uniform map at which the colours of a profile end."""
OPACITY = 0.55
SHEET_MAPS = ("attention", "gradcam", "layercam")


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
    batch = FaceStream(dataset, find_landmarks(landmarks, dataset), CANVAS).read(rows)
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

    figure = Figure(figsize=(1.9 * (1 + len(pictures)), 2.05 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), 1 + len(pictures), squeeze=False)
    for i, name in enumerate(names):
        face = batch.faces.images[i].permute(1, 2, 0).numpy()
        axes[i][0].imshow(face)
        axes[i][0].set_ylabel(f"{name}\n(predicted {predicted[i]})", fontsize=8)
        for j, (title, maps) in enumerate(pictures.items(), 1):
            axes[i][j].imshow(face)
            axes[i][j].imshow(normalise(maps[i : i + 1])[0][0].numpy(), cmap=COLOURS, alpha=OPACITY, vmin=0, vmax=1)
            if j > 1:
                axes[i][j].set_xlabel(f"cosine {float(cosine(maps[i : i + 1], heat[i : i + 1])):.2f}", fontsize=8)
            if i == 0:
                axes[i][j].set_title(title if j == 1 else f"{title}\n{layers[0]}", fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path, dpi=110)


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
    figure = Figure(figsize=(2.2 + 0.86 * len(aus), 1.5 + 0.42 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (title, value) in zip(axes, sides.items(), strict=True):
        times = (cells[value][aus] / cells["uniform"][aus]).to_numpy(float)
        drawn = axis.imshow(times.clip(1 / FARTHEST, FARTHEST), cmap=PROFILE_COLOURS, aspect="auto",
                            norm=LogNorm(1 / FARTHEST, FARTHEST))  # fmt: skip
        for row, column in np.ndindex(times.shape):
            shown = times[row, column]
            if np.isfinite(shown):
                ink = "white" if abs(np.log(max(shown, 1e-9))) > 0.7 * np.log(FARTHEST) else "black"
                axis.text(column, row, f"{shown:.1f}", ha="center", va="center", fontsize=7, color=ink)
            if expected[row, column]:
                axis.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, color="black", lw=1.4))
        for row in np.flatnonzero(~np.isfinite(times).any(1)):
            axis.text((len(aus) - 1) / 2, row, "no action units", ha="center", va="center", fontsize=7, color="grey")
        axis.set_xticks(range(len(aus)), [au.replace("+", "\n") for au in aus], fontsize=8)
        axis.set_xlabel("action unit (FACS)", fontsize=8)
        outside = np.nanmean(cells[value][BACKGROUND])
        axis.set_title(f"{title}\n{100 * outside:.0f} % of the energy in no region", fontsize=9)
        axis.spines[:].set_visible(False)
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    axes[0].set_ylabel(f"{by} expression", fontsize=8)
    ticks = [1 / FARTHEST, 0.5, 1, 2, FARTHEST]
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, pad=0.01, ticks=ticks)
    bar.set_label("energy, times a uniform map's\nframed: expected by the codebook", fontsize=7)
    bar.ax.set_yticklabels([f"{tick:g}" for tick in ticks], fontsize=7)
    bar.ax.minorticks_off()
    figure.savefig(path, dpi=130)
