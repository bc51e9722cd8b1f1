"""Validation on held-out images: accuracy, and agreement with the AU heatmaps."""

from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from accelerate.utils import gather_object

from interpfer.finetuning.pool import FacePool, Share, output_indices
from interpfer.maps import MAPS
from interpfer.maps.canvas import to_canvas
from interpfer.maps.engine import run_maps
from interpfer.metrics.agreement import cosine
from interpfer.models.model import Model
from interpfer.statistics.summary import macro_mean
from interpfer.truth.base import TruthProvider

VALIDATED = {"att_cos": "attention", "cam_cos": "gradcam"}
"""Column of the history -> the map whose cosine it holds, at the last layer."""


class FaceScores(NamedTuple):
    """Scores of one held-out face.

    Attributes:
        row: position in the data set.
        label: its class.
        loss: cross-entropy.
        predicted: the predicted class.
        agreement: cosine with the heatmap per column of ``VALIDATED``, NaN where undefined.
    """

    row: int
    label: str
    loss: float
    predicted: str
    agreement: dict[str, float]

    @property
    def is_correct(self) -> bool:
        """Whether the predicted class is the label."""
        return self.predicted == self.label


def validate(
    model: Model, pool: FacePool, truth: TruthProvider, protocol: str, batch_size: int, share: Share
) -> dict[str, float]:
    """Return val_loss, val_accuracy and the macro means of ATT-COS and CAM-COS; NaN where undefined.

    Args:
        model: the classifier; unchanged afterwards.
        pool: the held-out faces, each scored by one process.
        truth: heatmaps that maps are compared with.
        protocol: "paper" or "corrected": how attention is resized.
        batch_size: faces per forward.
        share: share of this process.
    """
    scores = score_faces(model, pool, truth, protocol, batch_size, share)
    if share.world > 1:
        scores = gather_object(scores)
    scores = sorted(scores, key=lambda face: face.row)
    return {
        "val_loss": float(np.mean([face.loss for face in scores])),
        "val_accuracy": float(np.mean([face.is_correct for face in scores])),
    } | {
        column: macro_mean([face.agreement[column] for face in scores], [face.label for face in scores])
        for column in VALIDATED
    }


def score_faces(
    model: Model, pool: FacePool, truth: TruthProvider, protocol: str, batch_size: int, share: Share | None = None
) -> list[FaceScores]:
    """Return the scores of each face of a pool; the arguments are those of ``validate``, without a share all faces."""
    share = share or Share()
    methods = {name: MAPS.get(name) for name in VALIDATED.values()}
    layers = model.layers("last")
    own = pool.rows[share.rank :: share.world]
    scores: list[FaceScores] = []
    for batch in pool.batches([own[start : start + batch_size] for start in range(0, len(own), batch_size)]):
        images = batch.images.to(model.device).float() / 255
        targets = output_indices(batch.labels, model.classes).to(model.device)
        results = run_maps(model, model.normalise(images), methods, layers, targets)
        losses = F.cross_entropy(results.logits, targets, reduction="none").tolist()
        predicted = [model.classes[index] for index in results.logits.argmax(1).tolist()]
        expected = truth.draw(batch.samples, batch.landmarks.to(model.device))
        agreement = {}
        for column, name in VALIDATED.items():
            maps = to_canvas(results.maps[name, layers[0]], methods[name].attention, protocol)[0]
            agreement[column] = cosine(maps, expected.maps, expected.ignore).tolist()
        for i, row in enumerate(batch.rows):
            own_agreement = {column: values[i] for column, values in agreement.items()}
            scores.append(FaceScores(row, batch.labels[i], losses[i], predicted[i], own_agreement))
    return scores
