"""Pictures of a fine-tuning: where a model looked before and after, and what the guide's weight costs and brings."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from interpfer.au.heatmaps import au_heatmaps
from interpfer.datasets.base import Dataset
from interpfer.expressions import NEUTRAL
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps import MAPS
from interpfer.maps.engine import run_maps
from interpfer.maps.resample import normalise, to_canvas
from interpfer.metrics.functional import cosine
from interpfer.models.model import Model
from interpfer.reports.figures import COLOURS, OPACITY
from interpfer.stream import FaceStream
from interpfer.types import CANVAS

SHOWN = ("attention", "gradcam")
MOST_FACES = 30
"""Faces per expression that a mean is made of."""
BATCH = 16


def before_after_sheet(
    before: Model,
    after: Model,
    dataset: Dataset,
    provider: LandmarkProvider,
    path: Path,
    protocol: str = "paper",
    codebook: str = "belharbi2024",
    geometry: str = "reference",
) -> None:
    """Draw mean maps per expression: the AU heatmap, then attention and Grad-CAM before and after, with mean cosines.

    Args:
        before: the model that came in.
        after: the same, fine-tuned.
        dataset: the faces; of each expression with action units at most ``MOST_FACES``.
        provider: their landmarks.
        path: the picture to write; its suffix is the format.
        protocol: how maps are resized.
        codebook: of the heatmaps.
        geometry: of the heatmaps.
    """
    labels = [sample.label for sample in dataset.samples]
    names = [name for name in dataset.classes if name != NEUTRAL and name in before.classes]
    rows: list[dict[str, tuple[Tensor, float]]] = []
    faces = []
    for name in names:
        members = [row for row, label in enumerate(labels) if label == name][:MOST_FACES]
        parts = [_maps(before, after, dataset, provider, members[start : start + BATCH], protocol, codebook, geometry)
                 for start in range(0, len(members), BATCH)]  # fmt: skip
        faces.append(torch.cat([images for images, _ in parts]).mean(0))
        gathered = {title: [maps[title] for _, maps in parts] for title in parts[0][1]}
        rows.append({title: _mean(pairs) for title, pairs in gathered.items()})
    titles = list(rows[0])
    figure = Figure(figsize=(1.9 * len(titles), 2.05 * len(names) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), len(titles), squeeze=False)
    for i, name in enumerate(names):
        for j, title in enumerate(titles):
            picture, score = rows[i][title]
            axis = axes[i][j]
            axis.imshow(faces[i].permute(1, 2, 0).numpy())
            axis.imshow(normalise(picture[None])[0][0].numpy(), cmap=COLOURS, alpha=OPACITY, vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if np.isfinite(score):
                axis.set_xlabel(f"cosine {score:.2f}", fontsize=8)
            if i == 0:
                axis.set_title(title, fontsize=9)
        axes[i][0].set_ylabel(name, fontsize=9)
    figure.savefig(path, dpi=110)


def pareto_picture(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against ATT-COS and CAM-COS, one point per weight of the guide; the undominated ones are joined.

    Args:
        table: one line per training with the columns weight, accuracy, att_cos and cam_cos; weight is NaN for the
            model that came in.
        path: the picture to write.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (column, title) in zip(axes, (("att_cos", "ATT-COS"), ("cam_cos", "CAM-COS (gradcam)")), strict=True):
        trained = table[table["weight"].notna()]
        front = trained[undominated(trained[column].to_numpy(float), trained["accuracy"].to_numpy(float))]
        front = front.sort_values(column)
        axis.plot(front[column], front["accuracy"], color="0.7", zorder=1, label="not dominated")
        axis.scatter(trained[column], trained["accuracy"], zorder=2, label="fine-tuned, by weight of the guide")
        start = table[table["weight"].isna()]
        axis.scatter(
            start[column], start["accuracy"], marker="o", facecolors="none", edgecolors="k", label="as it came"
        )
        for x, y, weight in zip(trained[column], trained["accuracy"], trained["weight"], strict=True):
            axis.annotate(f"{weight:g}", (x, y), xytext=(5, 5), textcoords="offset points", fontsize=9)
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(fontsize=8, loc="best")
    figure.savefig(path, dpi=130)


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points no other one beats in one way without losing in the other."""
    return np.array([not any((x >= a) & (y >= b) & ((x > a) | (y > b))) for a, b in zip(x, y, strict=True)], dtype=bool)


def _maps(
    before: Model,
    after: Model,
    dataset: Dataset,
    provider: LandmarkProvider,
    rows: list[int],
    protocol: str,
    codebook: str,
    geometry: str,
) -> tuple[Float[Tensor, "n 3 s s"], dict[str, tuple[Float[Tensor, "n s s"], Float[Tensor, " n"]]]]:
    """Return canvas pictures of some faces, and by title their maps in [0, 1] with the cosine of each."""
    batch = FaceStream(dataset, provider, CANVAS).read(rows)
    images = batch.faces.images
    labels = [dataset.samples[row].label for row in batch.rows]
    heat, _ = au_heatmaps(batch.landmarks.points, labels, codebook=codebook, geometry=geometry)
    found = {"AU heatmap": (heat, torch.full((len(heat),), torch.nan))}
    methods = {name: MAPS.get(name) for name in SHOWN}
    sides = {}
    for when, model in (("before", before), ("after", after)):
        targets = torch.tensor([model.classes.index(label) for label in labels])
        layer = model.layers("last")
        sides[when] = run_maps(model, model.preprocess(images), methods, layer, targets).maps
    for name in SHOWN:
        for when, maps in sides.items():
            ((_, raw),) = [item for item in maps.items() if item[0][0] == name]
            large = to_canvas(raw.cpu(), name == "attention", protocol)[0]
            found[f"{name}\n{when}"] = normalise(large)[0], cosine(large, heat)
    return images, found


def _mean(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Float[Tensor, "s s"], float]:
    """Return the mean map and the mean score of what is defined."""
    maps, scores = (torch.cat(side) for side in zip(*pairs, strict=True))
    return maps.nanmean(0), float(scores.nanmean())
