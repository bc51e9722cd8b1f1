"""The rank filter of TAM: an average over a window, weighted by the rank of its values."""

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import Seen, refiner

SIDE = 3
"""Side of the window in cells of the grid."""


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
    window = torch.stack([padded[:, i : i + height, j : j + width] for i in range(SIDE) for j in range(SIDE)], -1)
    values = window.sort(-1).values
    mean = values.mean(-1, keepdim=True)
    variation = values.var(-1, keepdim=True, correction=0) / mean.where(mean > 0, 1).square()
    ranks = torch.arange(cells, device=maps.device, dtype=maps.dtype) - cells // 2
    weights = torch.exp(-ranks.square() / (2 * variation).clamp(min=torch.finfo(maps.dtype).tiny))
    return (values * weights).sum(-1) / weights.sum(-1)
