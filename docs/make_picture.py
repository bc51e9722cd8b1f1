"""Draws img/before-after.jpg: faces of the demo, their AU heatmaps, and Grad-CAM before and after fine-tuning.

python docs/make_picture.py          # runs `interpfer demo` in a temporary folder
python docs/make_picture.py demo     # reads the folder of an earlier `interpfer demo`
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import interpfer
from interpfer.au.codebook import load_codebook
from interpfer.datasets.demo import DemoDataset
from interpfer.demo import run_demo
from interpfer.faces.stream import FaceStream
from interpfer.maps.canvas import to_canvas
from interpfer.metrics import cosine

PICTURE = Path(__file__).with_name("img") / "before-after.jpg"
EXPRESSIONS = ("surprise", "happiness", "sadness")
TITLES = (
    "Face and label",
    "AU heatmap:\nwhere they are expected",
    "Grad-CAM before\nfine-tuning",
    "Grad-CAM after\nfine-tuning",
)
DETAIL = 448
"""Side in pixels at which a face is drawn for the picture."""
OPACITY = 0.6
INK = "#1b1f27"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "text.color": INK,
    "axes.labelcolor": INK,
}


@dataclass(frozen=True)
class Row:
    """A face and its maps.

    Attributes:
        expression: the label.
        face: the picture, DETAIL x DETAIL.
        maps: the AU heatmap, Grad-CAM before and after, in [0, 1].
        cosines: similarity of both Grad-CAMs with the AU heatmap.
    """

    expression: str
    face: Image.Image
    maps: list[Tensor]
    cosines: list[float]


def make_rows(folder: Path) -> list[Row]:
    """Return for each expression the face with the median gain in cosine, of those that are recognised both times.

    Args:
        folder: written by ``interpfer demo``.
    """
    models = [interpfer.load_model(folder / name) for name in ("model.pt", "tuned/model.pt")]
    scores = gradcam_scores(folder)
    dataset = DemoDataset("test")
    rows = []
    for expression in EXPRESSIONS:
        members = scores[(scores["label"] == expression) & scores["is_recognised"]].sort_values("gain")
        index = [sample.id for sample in dataset.samples].index(members.index[len(members) // 2])
        batch = FaceStream(dataset, dataset.landmarks(), models[0].card.input.size).read([index])
        heat, _ = interpfer.au_heatmaps(batch.landmarks.points, [expression])
        maps = [heat]
        for model in models:
            raw = interpfer.compute_maps(model, batch.faces.images, "gradcam", targets=expression)
            maps.append(to_canvas(next(iter(raw.values())), attention=False)[0])
        face = DemoDataset("test", size=DETAIL).image(index)
        rows.append(Row(expression, face, [plane[0] for plane in maps], [float(cosine(m, heat)) for m in maps[1:]]))
    return rows


def gradcam_scores(folder: Path) -> pd.DataFrame:
    """Return label, is_recognised and gain of the test faces, by image."""
    before, after = (pd.read_csv(folder / "tuned" / side / "per_image.csv") for side in ("before", "after"))
    before, after = (table[table["map"] == "gradcam"].set_index("image") for table in (before, after))
    recognised = (before["predicted"] == before["label"]) & (after["predicted"] == before["label"])
    gain = after["cosine"] - before["cosine"]
    return pd.DataFrame({"label": before["label"], "is_recognised": recognised, "gain": gain})


def draw(rows: list[Row], path: Path) -> None:
    """Draw one line of pictures per row."""
    codebook = load_codebook("belharbi2024")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 2.2 * len(rows) + 0.4), layout="constrained")
        axes = figure.subplots(len(rows), len(TITLES), squeeze=False)
        for line, row in zip(axes, rows, strict=True):
            aus = ", ".join(map(str, codebook.aus([row.expression])))
            captions = (f"expected: AU {aus}", *(f"cosine {value:.2f}" for value in row.cosines))
            show(line[0], row.face, None, row.expression)
            for axis, plane, caption in zip(line[1:], row.maps, captions, strict=True):
                show(axis, row.face, plane, caption)
        for axis, title in zip(axes[0], TITLES, strict=True):
            axis.set_title(title)
        figure.savefig(path, dpi=180, pil_kwargs={"quality": 86})


def show(axis: Axes, face: Image.Image, plane: Tensor | None, caption: str) -> None:
    """Show a face, or a map blended into its grey version."""
    picture = np.asarray(face.convert("RGB" if plane is None else "L").convert("RGB")) / 255
    if plane is not None:
        large = torch.nn.functional.interpolate(plane[None, None], (DETAIL, DETAIL), mode="bilinear")[0, 0]
        picture = (1 - OPACITY) * picture + OPACITY * mpl.colormaps["inferno"](large.numpy())[..., :3]
    axis.imshow(picture)
    axis.set(xticks=[], yticks=[], xlabel=caption)
    axis.spines[:].set_visible(False)


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else run_demo(Path(temporary) / "demo").folder
        draw(make_rows(folder), PICTURE)


if __name__ == "__main__":
    main()
