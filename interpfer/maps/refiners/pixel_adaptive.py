"""Pixel-adaptive refinement: a map spreads between pixels of like colour."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import Seen, refiner

DILATIONS = (1, 2, 4, 8, 12, 24)
ROUNDS = 10
WIDTH = 0.3
DISTANCE_WEIGHT = 0.01
TINY = 1e-8

OFFSETS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))


@refiner(source="ToCo, Ru et al. 2023, arXiv 2303.01267, and AFA, its code")
def par(maps: Tensor, seen: Seen) -> Tensor:
    """Spread over 48 neighbours weighted by likeness of colour, 10 times, at half the size of the picture.

    Colours are compared relative to their spread among the neighbours, so it makes no difference how the input is
    scaled. The weights sum to 1.01, as published.
    """
    size = tuple(max(side // 2, 1) for side in seen.images.shape[2:])
    images = F.interpolate(seen.images.to(maps), size=size, mode="bilinear", align_corners=True)
    large = F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=True)
    return spread(large[:, 0], images)


def spread(maps: Tensor, images: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Return (n, h, w) maps after so many rounds on (n, c, h, w) images.

    Examples:
        >>> grown = spread(torch.ones(1, 4, 4), torch.rand(1, 3, 4, 4))
        >>> grown.unique().round(decimals=4).unique()
        tensor([1.1046])
    """
    weights = pixel_weights(images)
    for _ in range(rounds):
        maps = (weights * _neighbours(maps[:, None])[:, 0]).sum(1)
    return maps


def pixel_weights(images: Tensor) -> Tensor:
    """Return the weight of each of the 48 neighbours of every pixel, (n, 48, h, w)."""
    around = _neighbours(images)
    width = around.std(2, keepdim=True) + TINY
    likeness = -((around - images[:, :, None]).abs() / width / WIDTH).square().mean(1)
    steps = torch.tensor(
        [dilation * math.hypot(*offset) for dilation in DILATIONS for offset in OFFSETS],
        device=images.device,
        dtype=images.dtype,
    )
    nearness = -(steps / (steps.std() + TINY) / WIDTH).square()
    return likeness.softmax(1) + DISTANCE_WEIGHT * nearness.softmax(0)[:, None, None]


def _neighbours(maps: Tensor) -> Tensor:
    """Return the neighbours of (n, c, h, w) as (n, c, 48, h, w); beyond the border lie its own pixels."""
    height, width = maps.shape[2:]
    far = DILATIONS[-1]
    padded = F.pad(maps, (far,) * 4, mode="replicate")
    found = [
        padded[:, :, far + i * step : far + i * step + height, far + j * step : far + j * step + width]
        for step in DILATIONS
        for i, j in OFFSETS
    ]
    return torch.stack(found, 2)
