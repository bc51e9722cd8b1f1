"""Pixels counted by their level: 4,000 equal steps of [0, 1], and 1 itself.

All metrics that compare values by their order or against thresholds read the same histograms, so that counting, once a
batch, takes the place of many sorts. Their scores differ from those of exact values by less than about 0.001.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch
from interpfer.metrics.memo import remembered

STEPS = 4000
LEVELS = STEPS + 1


@remembered
def levels(maps: MapBatch) -> Int[Tensor, "n p"]:
    """Return the level of each pixel of maps in [0, 1]; 0 where undefined."""
    return _levels(maps)


def _levels(maps: MapBatch) -> Int[Tensor, "n p"]:
    return (maps.detach().flatten(1) * STEPS).nan_to_num_(0).to(torch.int32).clamp_(0, STEPS)


@remembered
def mask(heat: MapBatch) -> Bool[Tensor, "n p"]:
    """Return which pixels belong to the mask: heatmap >= 0.5."""
    return heat.flatten(1) >= MASK_LEVEL


@remembered
def histogram(maps: MapBatch) -> Int[Tensor, f"n {LEVELS}"]:
    """Count the pixels of each map per level."""
    return _count(levels(maps).clone(), LEVELS)


@remembered
def joint_histogram(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n 2 {LEVELS}"]:
    """Count per level the pixels outside and those inside the mask."""
    keys = _levels(maps).add_(mask(heat), alpha=LEVELS)  # anew and in place: faster than a large tensor kept alive
    return _count(keys, 2 * LEVELS).view(-1, 2, LEVELS)


def _count(keys: Int[Tensor, "n p"], bins: int) -> Int[Tensor, "n {bins}"]:
    keys += torch.arange(len(keys), dtype=torch.int32, device=keys.device)[:, None] * bins
    return torch.bincount(keys.flatten(), minlength=len(keys) * bins).view(len(keys), bins)


def ranks(maps: MapBatch, counts: Int[Tensor, f"n {LEVELS}"]) -> tuple[Float[Tensor, "n p"], Float[Tensor, " n"]]:
    """Return per pixel the mean place of all pixels at its level, counted from the middle, and the length of that."""
    place = counts.cumsum(1) - (counts + maps[0].numel()) / 2
    row = torch.arange(len(maps), dtype=torch.int32, device=maps.device)[:, None] * LEVELS
    chosen = place.float().flatten().index_select(0, (levels(maps) + row).flatten())
    return chosen.view(len(maps), -1), (counts * place.double().square()).sum(1).sqrt().to(maps.dtype)
