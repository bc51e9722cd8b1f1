"""Pictures of maps beside faces, in one style."""

from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from interpfer.au.heatmaps import au_heatmaps
from interpfer.datasets.base import Dataset
from interpfer.expressions import NEUTRAL
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap
from interpfer.maps.capture import capture
from interpfer.maps.resample import normalise, to_canvas
from interpfer.metrics.functional import cosine
from interpfer.models.model import Model
from interpfer.plan import find_landmarks
from interpfer.stream import FaceStream
from interpfer.types import CANVAS

COLOURS = "inferno"
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
    shown = capture(model, model.preprocess(batch.images), layers, targets)
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
        face = batch.images[i].permute(1, 2, 0).numpy()
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
