"""How good a network is on images that are held out: accuracy, and agreement with the AU heatmaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from accelerate.utils import gather_object

from interpfer.finetuning.guide import Guide
from interpfer.finetuning.pool import FacePool, targets_of
from interpfer.maps import MAPS
from interpfer.maps.canvas import to_canvas
from interpfer.maps.engine import run_maps
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.types import Landmarks

VALIDATED = {"att_cos": "attention", "cam_cos": "gradcam"}
"""Column of the history -> the map whose cosine it holds, at the last layer."""


@dataclass(frozen=True)
class Share:
    """Which part of the work is this process's.

    Attributes:
        rank: number of the process.
        world: number of processes.
    """

    rank: int = 0
    world: int = 1


def validate(
    model: Model, pool: FacePool, rows: Sequence[int], guide: Guide, batch: int, share: Share
) -> dict[str, float]:
    """Return val_loss, val_accuracy and the macro means of ATT-COS and CAM-COS; NaN where undefined.

    Args:
        model: the classifier; left as it was found.
        pool: where the faces are.
        rows: the held-out ones; a row's turn belongs to one process.
        guide: tells protocol, codebook and geometry.
        batch: faces per forward.
        share: this process's part.
    """
    truth = guide.open_truth()
    methods = {name: MAPS.get(name) for name in VALIDATED.values()}
    layer = model.layers("last")
    own = rows[share.rank :: share.world]
    found: list[tuple[int, tuple[str, float, bool, dict[str, float]]]] = []
    parts = [own[start : start + batch] for start in range(0, len(own), batch)]
    for lesson in pool.batches(parts):
        images = lesson.images.to(model.device).float() / 255
        targets = targets_of(lesson.labels, model.classes).to(model.device)
        shown = run_maps(model, model.preprocess(images), methods, layer, targets)
        logits = shown.logits
        losses = F.cross_entropy(logits, targets, reduction="none").tolist()
        right = (logits.argmax(1) == targets).tolist()
        heat = truth.draw(lesson.samples, Landmarks.of(lesson.points.to(model.device))).maps
        agreement = {
            column: cosine(to_canvas(shown.maps[name, layer[0]], name == "attention", guide.protocol)[0], heat).tolist()
            for column, name in VALIDATED.items()
        }
        for i, row in enumerate(lesson.rows):
            scores = {column: values[i] for column, values in agreement.items()}
            found.append((row, (lesson.labels[i], losses[i], right[i], scores)))
    if share.world > 1:
        found = gather_object(found)
    lines = [line for _, line in sorted(found)]
    return {
        "val_loss": float(np.mean([loss for _, loss, _, _ in lines])),
        "val_accuracy": float(np.mean([right for _, _, right, _ in lines])),
    } | {column: macro_mean([(label, scores[column]) for label, _, _, scores in lines]) for column in VALIDATED}


def macro_mean(values: Sequence[tuple[str, float]]) -> float:
    """Return the mean of the class means of what is defined, NaN where nothing is."""
    groups: dict[str, list[float]] = {}
    for name, value in values:
        if np.isfinite(value):
            groups.setdefault(name, []).append(value)
    return float(np.mean([np.mean(group) for group in groups.values()])) if groups else float("nan")
