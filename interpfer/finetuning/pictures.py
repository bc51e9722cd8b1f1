"""Pictures of a fine-tuning: maps before and after, and accuracy against agreement over weights of the guide."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.faces.stream import FaceStream
from interpfer.labels import NEUTRAL, class_indices
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps import MAPS
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.engine import run_maps
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.reports.style import MAPS as COLOURS
from interpfer.reports.style import OPACITY
from interpfer.truth import open_truth
from interpfer.truth.options import TruthOptions
from interpfer.types import CANVAS

SHEET_MAPS = ("attention", "gradcam")
"""Maps of the before/after sheet."""

MOST_FACES = 30
"""Faces per expression in a mean."""

BATCH = 16

MapAndScore = tuple[Float[Tensor, "s s"], float]


@dataclass(frozen=True)
class MeanMaps:
    """Means over the faces of one expression: a row of the before/after sheet.

    Attributes:
        expression: the class.
        count: number of faces.
        face: (3, s, s) mean face.
        maps: title -> mean map and mean cosine.
    """

    expression: str
    count: int
    face: Float[Tensor, "3 s s"]
    maps: dict[str, MapAndScore]


def before_after_sheet(
    models: tuple[Model, Model],
    dataset: Dataset,
    provider: LandmarkProvider,
    path: Path,
    options: TruthOptions | None = None,
) -> None:
    """Draw mean maps per expression: the AU heatmap, then attention and Grad-CAM before and after, with mean cosines.

    The number below the AU heatmap is the mean cosine of a uniform map. Without a face whose expression has action
    units, nothing is drawn.

    Args:
        models: before and after.
        dataset: the faces; of each expression with action units at most ``MOST_FACES``.
        provider: their landmarks.
        path: the picture to write; its suffix is the format.
        options: what maps are compared with, and by which protocol they are resized; None for the defaults.
    """
    options = options or TruthOptions()
    labels = [sample.label for sample in dataset.samples]
    rows = []
    for name in dataset.classes:
        if name != NEUTRAL and name in models[0].classes and name in labels:
            members = [row for row, label in enumerate(labels) if label == name][:MOST_FACES]
            batches = [
                _score_maps(models, dataset, provider, members[start : start + BATCH], options)
                for start in range(0, len(members), BATCH)
            ]
            rows.append(_mean_maps(name, batches))
    if rows:
        _draw_sheet(rows).savefig(path, dpi=110)


def _draw_sheet(rows: Sequence[MeanMaps]) -> Figure:
    titles = list(rows[0].maps)
    figure = Figure(figsize=(1.9 * len(titles), 2.05 * len(rows) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for i, row in enumerate(rows):
        for j, (title, (mean, score)) in enumerate(row.maps.items()):
            axis = axes[i][j]
            axis.imshow(row.face.permute(1, 2, 0).numpy())
            axis.imshow(normalise(mean[None])[0][0].numpy(), cmap=COLOURS, alpha=OPACITY, vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if np.isfinite(score):
                axis.set_xlabel(f"{'uniform map' if j == 0 else 'cosine'} {score:.2f}", fontsize=8)
            if i == 0:
                axis.set_title(title, fontsize=9)
        axes[i][0].set_ylabel(f"{row.expression}, n = {row.count}", fontsize=9)
    figure.supxlabel(
        "means over n faces; colours from the smallest to the largest value of each map", fontsize=8, color="0.4"
    )
    return figure


def pareto_picture(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against ATT-COS and CAM-COS, one point per weight of the guide; the undominated ones are joined.

    Args:
        table: one line per training with the columns weight, accuracy, att_cos, cam_cos and n, the number of images;
            weight is NaN for the original model.
        path: the picture to write.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (column, title) in zip(axes, (("att_cos", "ATT-COS"), ("cam_cos", "CAM-COS (gradcam)")), strict=True):
        trained = table[table["weight"].notna()]
        front = trained[undominated(trained[column].to_numpy(float), trained["accuracy"].to_numpy(float))]
        front = front.sort_values(column)
        axis.plot(front[column], front["accuracy"], color="C0", alpha=0.35, lw=3, zorder=1, label="not dominated")
        for rows, fill, name in (
            (table[table["weight"].isna()], "white", "original"),
            (trained, "C0", "fine-tuned, by weight of the guide"),
        ):
            low, high = _accuracy_intervals(rows)
            spread = np.stack([rows["accuracy"] - low, high - rows["accuracy"]]).clip(min=0)
            axis.errorbar(
                rows[column], rows["accuracy"], yerr=spread, fmt="none", ecolor="0.75", elinewidth=1, zorder=0
            )
            axis.scatter(rows[column], rows["accuracy"], s=45, color=fill, edgecolors="k", zorder=3, label=name)
        span = float(np.ptp(table[column])) or 1.0
        for line in table.to_dict("records"):
            beside = table["accuracy"][(table[column] - line[column]).abs() < 0.3 * span]
            axis.annotate(
                _weight_name(line["weight"]),
                (line[column], line["accuracy"]),
                xytext=(7, 6 if line["accuracy"] >= beside.max() else -14),
                textcoords="offset points",
                fontsize=10,
            )
        axis.margins(x=0.25)
        axis.set_title("better: up and to the right", loc="right", fontsize=9, color="0.4")
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("accuracy")
    handles, names = axes[0].get_legend_handles_labels()
    count = int(table["n"].iloc[0])
    figure.legend(handles, names, loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    figure.supxlabel(f"grey: 95 % confidence interval of the accuracy on {count} images", fontsize=9, color="0.4")
    figure.savefig(path, dpi=130)


def _weight_name(weight: float) -> str:
    if np.isnan(weight):
        return "original"
    return "0, plain" if weight == 0 else f"{weight:g}"


def _accuracy_intervals(rows: pd.DataFrame) -> np.ndarray:
    """Return the lower and the upper ends of the 95 % confidence intervals of the accuracies: (2, rows)."""
    return rows[["accuracy_low", "accuracy_high"]].to_numpy(float).T


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points are on the Pareto front: no other point is better in one value and as good in the other."""
    return np.array([not any((x >= a) & (y >= b) & ((x > a) | (y > b))) for a, b in zip(x, y, strict=True)], dtype=bool)


def _score_maps(
    models: tuple[Model, Model],
    dataset: Dataset,
    provider: LandmarkProvider,
    rows: list[int],
    options: TruthOptions,
) -> tuple[Float[Tensor, "n 3 s s"], dict[str, tuple[Float[Tensor, "n s s"], Float[Tensor, " n"]]]]:
    """Return canvas images of some faces, and by title their maps in [0, 1] with the cosine of each.

    The AU heatmap comes first, with the cosine of a uniform map.
    """
    spec = models[0].card.input
    batch = FaceStream(dataset, provider, CANVAS, input=spec).read(rows)
    prepared = FaceStream(dataset, provider, spec.size, input=spec).read(rows).faces.images
    images = batch.faces.images
    samples = [dataset.samples[row] for row in batch.rows]
    provider_of_truth = open_truth(options)
    truth = provider_of_truth.draw(samples, batch.landmarks)
    heat, ignore = truth.maps, truth.ignore
    scored = {provider_of_truth.noun: (heat, cosine(torch.ones_like(heat), heat, ignore))}
    methods = {name: MAPS.get(name) for name in SHEET_MAPS}
    sides = {}
    for side, model in zip(("before", "after"), models, strict=True):
        targets = torch.tensor(class_indices([sample.label for sample in samples], model.classes))
        layer = model.layers("last")
        sides[side] = run_maps(model, model.normalise(prepared), methods, layer, targets).maps
    for name in SHEET_MAPS:
        for side, maps in sides.items():
            ((_, raw),) = [item for item in maps.items() if item[0][0] == name]
            large = to_canvas(raw.cpu(), methods[name].attention, options.protocol)[0]
            scored[f"{name}\n{side}"] = normalise(large)[0], cosine(large, heat, ignore)
    return images, scored


def _mean_maps(
    expression: str, batches: Sequence[tuple[Float[Tensor, "_ 3 s s"], dict[str, tuple[Tensor, Tensor]]]]
) -> MeanMaps:
    """Average faces, and what is defined of their maps and scores."""
    images = torch.cat([batch for batch, _ in batches])
    means = {}
    for title in batches[0][1]:
        maps, scores = (torch.cat(parts) for parts in zip(*(scored[title] for _, scored in batches), strict=True))
        means[title] = maps.nanmean(0), float(scores.nanmean())
    return MeanMaps(expression, len(images), images.mean(0), means)
