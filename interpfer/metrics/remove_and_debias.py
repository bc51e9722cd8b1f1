"""ROAD, remove and debias: removed pixels are imputed from their neighbours, so the hole itself reveals nothing."""

import torch
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, model_metric
from interpfer.metrics.faithfulness import ranks_at_input
from interpfer.metrics.imputation import impute
from interpfer.metrics.queries import ModelProbe

REMOVED = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that are removed."""
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels, for images in [0, 1]."""


@model_metric(
    higher_is_better=True,
    bounds=(-0.5, 0.5),
    source="Rong et al. 2022, ROAD, arXiv 2202.00449; as ROADCombined of pytorch-grad-cam",
    difference="4 shares, pytorch-grad-cam 9 by default; noise of .01 on pixels in [0, 1], there on normalised input",
    definition=2,
)
def road(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Half the probability of the target without the map's lowest pixels, less that without its highest (ROAD).

    Mean over 20, 40, 60 and 80 % of the pixels removed, each replaced by noisy linear imputation: the score that
    ``ROADCombined(percentiles=[20, 40, 60, 80])`` of pytorch-grad-cam gives.
    """
    ranks = ranks_at_input(maps, probe)
    pixels = ranks[0].numel() if len(ranks) else 0
    noise = probe.once(_noise)
    scores = torch.zeros(len(maps), device=probe.images.device)
    for share in REMOVED:
        count = round(share * pixels)
        removed = torch.cat([ranks >= pixels - count, ranks < count])  # least relevant, most relevant
        filled = impute(probe.images.repeat(2, 1, 1, 1), removed) + removed[:, None] * noise.repeat(2, 1, 1, 1)
        least, most = probe.probability(filled).view(2, -1)
        scores += (least - most) / (2 * len(REMOVED))
    return scores


def _noise(probe: ModelProbe) -> Tensor:
    """Return normal noise per face, from the uniform noise of the probe."""
    uniform = probe.noise(tuple(probe.images.shape[1:])).clamp(1e-6, 1 - 1e-6)
    normal: Tensor = torch.special.ndtri(uniform.double()).to(probe.images)
    return NOISE * normal
