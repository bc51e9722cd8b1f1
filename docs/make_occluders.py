"""Draws img/occluders.jpg: every occluder on drawn faces.

python docs/make_occluders.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.demo import DemoDataset
from interpfer.occlusion.apply import occlude
from interpfer.occlusion.kinds import parse_occlusion

PICTURE = Path(__file__).with_name("img") / "occluders.jpg"
KINDS = ("patches:0.3", "guided:0.2", "sunglasses", "mask", "hand", "object", "au", "au-inverse", "elsewhere")
FACES = (2, 3, 5, 7, 9, 11)
DETAIL = 384
"""Side in pixels at which a face is drawn."""
INK = "#1b1f27"


def open_faces() -> tuple[list[str], Tensor, Tensor, list[str]]:
    """Return names, pictures, landmarks on the canvas and labels of the faces."""
    dataset = DemoDataset("test", count=max(FACES) + 1, size=DETAIL)
    samples = [dataset.samples[row] for row in FACES]
    pictures = [torch.from_numpy(np.array(dataset.image(row))).permute(2, 0, 1) / 255 for row in FACES]
    points = dataset.landmarks().locate([sample.id for sample in samples], None).points.float() * 224 / DETAIL
    return [sample.id for sample in samples], torch.stack(pictures).float(), points, [each.label for each in samples]


def main() -> None:
    """Draw the picture; ``guided`` follows the AU heatmap here, in place of a map."""
    ids, images, points, labels = open_faces()
    heat, _ = au_heatmaps(points, labels)
    with mpl.rc_context({"font.size": 10, "text.color": INK, "axes.labelcolor": INK}):
        figure = Figure((1.35 * len(FACES) + 0.9, 1.35 * len(KINDS)), dpi=120)
        axes = figure.subplots(len(KINDS), len(FACES), gridspec_kw={"wspace": 0.03, "hspace": 0.03})
        for row, kind in zip(axes, KINDS, strict=True):
            covered = occlude(parse_occlusion(kind), images, points, ids, seed=4, truth=heat, ranking=heat)
            for place, face in zip(row, covered.images, strict=True):
                place.imshow(face.permute(1, 2, 0).clamp(0, 1).numpy())
                place.set(xticks=[], yticks=[])
                for side in place.spines.values():
                    side.set_visible(False)
            row[0].set_ylabel(kind, rotation=0, ha="right", va="center", labelpad=6)
        figure.savefig(PICTURE, bbox_inches="tight", pad_inches=0.05, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
