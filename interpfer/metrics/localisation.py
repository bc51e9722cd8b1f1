"""Pixel-wise localisation of the AU heatmap by a map, over a whole data set."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import DatasetMetric, Facts, MapBatch

THRESHOLDS = 1000
BINS = THRESHOLDS + 1
MASK_LEVEL = 0.5
"""A pixel belongs to the mask where its heatmap reaches this."""


def pxap_counts(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n {2 * BINS}"]:
    """Return per image the histogram of map values outside the mask, then of those inside it.

    Args:
        maps: in [0, 1]; NaN where undefined, which counts nothing.
        heat: AU heatmaps, or masks of 0 and 1.
    """
    valid = maps[:, 0, 0].isfinite() & heat[:, 0, 0].isfinite()
    level = (maps.nan_to_num(0) * THRESHOLDS).to(torch.int32).clamp_(0, THRESHOLDS)
    image = torch.arange(len(maps), dtype=torch.int32, device=maps.device)[:, None, None]
    key = level.add_((heat >= MASK_LEVEL).to(torch.int32), alpha=BINS).add_(image * (2 * BINS))
    counts = torch.bincount(key.flatten(), minlength=len(maps) * 2 * BINS).view(len(maps), 2 * BINS)
    return counts * valid[:, None]


def pxap_of_counts(counts: Int[Tensor, f"*b {2 * BINS}"]) -> Float[Tensor, "*b"]:
    """Return PxAP in percent: sum of precision times the gain in recall, from the highest threshold down."""
    above = counts.double().view(*counts.shape[:-1], 2, BINS).flip(-1).cumsum(-1)
    outside, inside = above.unbind(-2)
    total = inside[..., -1:]
    precision = inside / (inside + outside).clamp(min=1)
    gain = inside.diff(dim=-1, prepend=torch.zeros_like(total)) / total
    percent: Tensor = 100 * (precision * gain).sum(-1)
    return percent


pxap = DatasetMetric(
    pxap_counts,
    pxap_of_counts,
    Facts(
        higher_is_better=True,
        bounds=(0, 100),
        source="Choe et al. 2020, arXiv 2001.07437",
        summary="Pixel average precision of the map for the mask heatmap >= 0.5, over the whole data set, in percent.",
    ),
)
