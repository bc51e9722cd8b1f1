"""Pictures of maps beside faces, in one style."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.faces.stream import FaceStream
from interpfer.labels import NEUTRAL, class_indices
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap
from interpfer.maps.canvas import to_canvas
from interpfer.maps.capture import capture
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.reports.style import MAPS as COLOURS
from interpfer.reports.style import OPACITY, bare, draw, new_figure, save, scale_of_maps
from interpfer.truth import open_truth
from interpfer.truth.options import TruthOptions
from interpfer.types import CANVAS

SHEET_MAPS = ("attention", "gradcam", "layercam")
SHEET_TITLE = (
    "Where the label's action units are (AU heatmap) and where the classifier looks.\n"
    "Bright: high values. Cosine: similarity of a map and the AU heatmap (1: identical)."
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
    provider, spec = resolve_landmarks(landmarks, dataset.landmarks()), model.card.input
    batch = FaceStream(dataset, provider, CANVAS, input=spec).read(rows)
    prepared = FaceStream(dataset, provider, spec.size, input=spec).read(rows).faces.images
    samples = [dataset.samples[row] for row in rows]
    rules = TruthOptions()
    heat = open_truth(rules).draw(samples, batch.landmarks).maps
    targets = torch.tensor(class_indices(names, model.classes))
    layers = model.layers("last")
    results = capture(model, model.normalise(prepared), layers, targets)
    pictures = {"AU heatmap": heat}
    for name in SHEET_MAPS:
        method = MAPS.get(name)
        assert isinstance(method, LayerMap)
        pictures[name], _ = to_canvas(method(results.layers[layers[0]]), method.attention)
    predicted = [model.classes[index] for index in results.logits.argmax(1).tolist()]

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
            results = maps[i : i + 1] / maps[i].max()
            axes[i][j].imshow(face)
            drawn = axes[i][j].imshow(results[0].numpy(), cmap=COLOURS, alpha=OPACITY, vmin=0, vmax=1)
            if j > 1:
                axes[i][j].set_xlabel(f"cosine {float(cosine(maps[i : i + 1], heat[i : i + 1])):.2f}")
            if i == 0:
                axes[i][j].set_title(title if j == 1 else f"{title}\n{layer}")
    for axis in axes.flat:
        bare(axis)
    scale_of_maps(figure, drawn, axes)
    figure.suptitle(SHEET_TITLE, fontsize=9)
    return figure
