"""The rank filter of TAM: an average over a window, weighted by the rank of its values."""

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import Seen, refiner

SIDE = 3
"""Side of the window in cells of the grid."""

EXCHANGES = (
    (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (0, 3), (3, 6), (0, 3), (1, 4),
    (4, 7), (1, 4), (2, 5), (5, 8), (2, 5), (1, 3), (5, 7), (2, 6), (4, 6), (2, 4), (2, 3), (5, 6),
)  # fmt: skip
"""Pairs that are put in order, one after another, to sort nine values: Floyd's network, in whole maps at a time."""


@refiner(source="TAM, Li et al. 2025, ICCV, its code")
def rank_gaussian(maps: Tensor, _: Seen) -> Tensor:
    """Mean over 3 x 3 cells weighted by a Gaussian of their ranks, narrow where they are alike; positive part only.

    The width is the coefficient of variation of the window. In a constant window it is 0, and the value stays, which
    the published code turns to NaN.
    """
    return rank_filter(maps.relu())


def rank_filter(maps: Tensor) -> Tensor:
    """Filter (n, h, w) maps without negative values.

    Examples:
        >>> spike = torch.zeros(1, 5, 5)
        >>> spike[0, 2, 2] = 9
        >>> rank_filter(spike)[0, 1:4, 1:4].unique().round(decimals=4)
        tensor([0.5246])
    """
    pad, cells = SIDE // 2, SIDE * SIDE
    mode = "reflect" if min(maps.shape[1:]) > pad else "replicate"
    padded = F.pad(maps[:, None], (pad,) * 4, mode=mode)[:, 0]
    height, width = maps.shape[1:]
    values = [padded[:, i : i + height, j : j + width] for i in range(SIDE) for j in range(SIDE)]
    for low, high in EXCHANGES:
        values[low], values[high] = torch.minimum(values[low], values[high]), torch.maximum(values[low], values[high])
    stacked = torch.stack(values)
    mean = stacked.mean(0)
    variation = stacked.var(0, correction=0) / mean.where(mean > 0, 1).square()
    width_of_ranks = (2 * variation).clamp(min=torch.finfo(maps.dtype).tiny)
    total, weights = values[cells // 2], torch.ones_like(mean)
    for rank in range(1, cells // 2 + 1):
        weight = torch.exp(-(rank**2) / width_of_ranks)
        total = total + weight * (values[cells // 2 - rank] + values[cells // 2 + rank])
        weights = weights + 2 * weight
    return total / weights
