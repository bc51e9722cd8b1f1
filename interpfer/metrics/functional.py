"""Agreement of a map with the AU heatmap, one score per image."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, image_metric

PAPER = "Belharbi et al. 2024, arXiv 2402.00281"


@image_metric(higher_is_better=True, bounds=(-1, 1), source=PAPER)
def cosine(maps: MapBatch, heat: MapBatch) -> Scores:
    """Cosine of map and heatmap as vectors: CAM-COS for a CAM, ATT-COS for attention."""
    return _cosine(maps, heat)


@image_metric(higher_is_better=True, bounds=(-math.inf, 1), source="interpfer")
def cosine_skill(maps: MapBatch, heat: MapBatch) -> Scores:
    """Cosine on a scale where a uniform map scores 0 and a perfect one 1."""
    blank = _cosine(torch.ones_like(heat[:1]), heat)
    return (_cosine(maps, heat) - blank) / (1 - blank)


def _cosine(maps: Float[Tensor, "m h w"], heat: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    a, b = maps.flatten(1), heat.flatten(1)
    norms = torch.linalg.vecdot(a, a).sqrt() * torch.linalg.vecdot(b, b).sqrt()
    return torch.where(norms > 0, torch.linalg.vecdot(a, b) / norms, torch.nan)
