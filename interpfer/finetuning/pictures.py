"""Pictures of a fine-tuning: where a model looked before and after, and what the guide's weight costs and brings."""

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
from interpfer.labels import NEUTRAL
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps import MAPS
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.engine import run_maps
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.reports.style import MAPS as COLOURS
from interpfer.reports.style import OPACITY
from interpfer.truth import TRUTHS
from interpfer.truth.options import TruthOptions
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
    rules: TruthOptions | None = None,
) -> None:
    """Draw mean maps per expression: the AU heatmap, then attention and Grad-CAM before and after, with mean cosines.

    Below the AU heatmap stands the mean cosine of a uniform map, which the others have to beat. Where no face has an
    expression with action units there is nothing to draw.

    Args:
        before: the model that came in.
        after: the same, fine-tuned.
        dataset: the faces; of each expression with action units at most ``MOST_FACES``.
        provider: their landmarks.
        path: the picture to write; its suffix is the format.
        rules: how maps are resized, and what they are compared with; None for the defaults.
    """
    labels = [sample.label for sample in dataset.samples]
    names = [name for name in dataset.classes if name != NEUTRAL and name in before.classes and name in labels]
    if not names:
        return
    rows: list[dict[str, tuple[Tensor, float]]] = []
    faces, counts = [], []
    for name in names:
        members = [row for row, label in enumerate(labels) if label == name][:MOST_FACES]
        parts = [_maps(before, after, dataset, provider, members[start : start + BATCH], rules or TruthOptions())
                 for start in range(0, len(members), BATCH)]  # fmt: skip
        faces.append(torch.cat([images for images, _ in parts]).mean(0))
        counts.append(sum(len(images) for images, _ in parts))
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
                axis.set_xlabel(f"{'uniform map' if j == 0 else 'cosine'} {score:.2f}", fontsize=8)
            if i == 0:
                axis.set_title(title, fontsize=9)
        axes[i][0].set_ylabel(f"{name}, n = {counts[i]}", fontsize=9)
    figure.supxlabel(
        "means over n faces; colours from the least to the largest value of each map", fontsize=8, color="0.4"
    )
    figure.savefig(path, dpi=110)


def pareto_picture(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against ATT-COS and CAM-COS, one point per weight of the guide; the undominated ones are joined.

    Args:
        table: one line per training with the columns weight, accuracy, att_cos, cam_cos and n, the images it was judged
            on; weight is NaN for the model that came in.
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
            (table[table["weight"].isna()], "white", "as it came"),
            (trained, "C0", "fine-tuned, by weight of the guide"),
        ):
            low, high = _wilson(rows["accuracy"].to_numpy(float), rows["n"].to_numpy(float))
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
    figure.supxlabel(f"grey: 95 % interval of an accuracy on {count} images", fontsize=9, color="0.4")
    figure.savefig(path, dpi=130)


def _weight_name(weight: float) -> str:
    if np.isnan(weight):
        return "as it came"
    return "0, plain" if weight == 0 else f"{weight:g}"


def _wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % interval of proportions (Wilson 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points no other one beats in one way without losing in the other."""
    return np.array([not any((x >= a) & (y >= b) & ((x > a) | (y > b))) for a, b in zip(x, y, strict=True)], dtype=bool)


def _maps(
    before: Model,
    after: Model,
    dataset: Dataset,
    provider: LandmarkProvider,
    rows: list[int],
    rules: TruthOptions,
) -> tuple[Float[Tensor, "n 3 s s"], dict[str, tuple[Float[Tensor, "n s s"], Float[Tensor, " n"]]]]:
    """Return canvas pictures of some faces, and by title their maps in [0, 1] with the cosine of each.

    The AU heatmap comes first, with the cosine of a uniform map.
    """
    batch = FaceStream(dataset, provider, CANVAS).read(rows)
    images = batch.faces.images
    samples = [dataset.samples[row] for row in batch.rows]
    labels = [sample.label for sample in samples]
    heat = TRUTHS.get(rules.truth).create(rules).draw(samples, batch.landmarks).maps
    found = {"AU heatmap": (heat, cosine(torch.ones_like(heat), heat))}
    methods = {name: MAPS.get(name) for name in SHOWN}
    sides = {}
    for when, model in (("before", before), ("after", after)):
        targets = torch.tensor([model.classes.index(label) for label in labels])
        layer = model.layers("last")
        sides[when] = run_maps(model, model.preprocess(images), methods, layer, targets).maps
    for name in SHOWN:
        for when, maps in sides.items():
            ((_, raw),) = [item for item in maps.items() if item[0][0] == name]
            large = to_canvas(raw.cpu(), methods[name].attention, rules.protocol)[0]
            found[f"{name}\n{when}"] = normalise(large)[0], cosine(large, heat)
    return images, found


def _mean(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Float[Tensor, "s s"], float]:
    """Return the mean map and the mean score of what is defined."""
    maps, scores = (torch.cat(side) for side in zip(*pairs, strict=True))
    return maps.nanmean(0), float(scores.nanmean())
