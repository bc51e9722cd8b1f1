"""Histograms of the pixels of maps: 1,000 equal steps of [0, 1], and 1 itself.

All metrics of ranks or thresholds read the same histograms, so that counting once per batch replaces many sorts. Their
scores differ from those of exact values by less than about 0.001.

On a CPU, maps are counted one by one, so that they stay in its cache.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch, extent
from interpfer.metrics.caching import cached_per_batch

STEPS = 1000
LEVELS = STEPS + 1

LEVELS_NOTE = "1,000 levels of the map"
"""Difference of all these metrics from their sources."""


@cached_per_batch
def inside(heat: MapBatch) -> Float[Tensor, "n p"]:
    """Return 1 for the pixels of the mask, heatmap >= 0.5, else 0."""
    return reached(heat, heat.new_tensor(MASK_LEVEL))


def reached(maps: MapBatch, threshold: Float[Tensor, "*n"]) -> Float[Tensor, "n p"]:
    """Return 1 for the pixels at or above a threshold, else 0."""
    rows = maps.detach().flatten(1)
    return torch.ge(rows, threshold, out=torch.empty_like(rows))  # five times faster than a cast


@cached_per_batch
def mask_offset(heat: MapBatch) -> Float[Tensor, "n p"]:
    """Return ``LEVELS`` for the pixels of the mask, else 0."""
    return inside(heat) * LEVELS


@cached_per_batch
def levels(maps: MapBatch) -> Int[Tensor, "n p"]:
    """Return the level of each pixel of maps in [0, 1]; 0 where undefined."""
    return _clean(maps).flatten(1).mul(STEPS).to(torch.int32)


@cached_per_batch
def joint_levels(maps: MapBatch, heat: MapBatch) -> Int[Tensor, "n p"]:
    """Return the level of each pixel outside the mask, and its level + ``LEVELS`` inside."""
    return torch.add(mask_offset(heat), _clean(maps).flatten(1), alpha=STEPS).to(torch.int32)


def _clean(maps: MapBatch) -> MapBatch:
    """Return maps without gradients, clamped to [0, 1], 0 where undefined; nearly always they are so already."""
    low, high = extent(maps)
    is_clean = bool(((low >= 0) & (high <= 1)).all())
    maps = maps.detach().float()
    return maps if is_clean else maps.nan_to_num(0).clamp_(0, 1)


@cached_per_batch
def histogram(maps: MapBatch) -> Int[Tensor, f"n {LEVELS}"]:
    """Return the number of pixels of each map per level."""
    return count(levels(maps), LEVELS)


@cached_per_batch
def joint_histogram(maps: MapBatch, heat: MapBatch) -> Int[Tensor, f"n 2 {LEVELS}"]:
    """Return the number of pixels per level outside and inside the mask."""
    return count(joint_levels(maps, heat), 2 * LEVELS).view(-1, 2, LEVELS)


def reaching(counts: Int[Tensor, f"*b {LEVELS}"]) -> Float[Tensor, f"*b {LEVELS}"]:
    """Return the number of pixels at each level or above it.

    Examples:
        >>> counts = torch.zeros(1, LEVELS, dtype=torch.long)
        >>> counts[0, 0], counts[0, 1000] = 3, 2
        >>> reaching(counts)[0, [0, 1, 1000]].tolist()
        [5.0, 2.0, 2.0]
    """
    below = counts.cumsum(-1)  # of integers: twice as fast
    return (below[..., -1:] + counts).sub_(below).double()


def count(keys: Int[Tensor, "n p"], bins: int) -> Int[Tensor, "n {bins}"]:
    """Return how often each number below ``bins`` occurs in each row.

    Examples:
        >>> count(torch.tensor([[0, 2, 2], [1, 1, 1]], dtype=torch.int32), 3).tolist()
        [[1, 0, 2], [0, 3, 0]]
    """
    if keys.device.type == "cpu" and len(keys):
        return torch.stack([torch.bincount(row, minlength=bins) for row in keys])
    rows = torch.arange(len(keys), dtype=torch.int32, device=keys.device)[:, None] * bins
    return torch.bincount((keys + rows).flatten(), minlength=len(keys) * bins).view(len(keys), bins)


def mean_ranks(counts: Int[Tensor, f"n {LEVELS}"]) -> tuple[Float[Tensor, f"n {LEVELS}"], Float[Tensor, " n"]]:
    """Return the mean rank per level, minus the mean of all ranks, and the length of the vector of ranks."""
    ranks = counts.cumsum(1) - (counts + counts[:1].sum()) / 2
    return ranks.float(), (counts * ranks.double().square()).sum(1).sqrt().float()


def look_up(table: Float[Tensor, "n k"], keys: Int[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Return the entry of each pixel's key in the table of its map."""
    if not len(keys):
        return table.new_empty(keys.shape)
    return torch.stack([row.index_select(0, key) for row, key in zip(table, keys, strict=True)])
