"""ROAD, remove and debias: removed pixels are imputed from their neighbours, so the hole itself reveals nothing."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, model_metric
from interpfer.metrics.faithfulness import ranks_at_input
from interpfer.metrics.queries import Images, ModelProbe

REMOVED = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that are removed."""
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels, for images in [0, 1]."""
ROUNDS = 40
"""Steps of the solver at each size of the picture; the remaining error, in large holes, is below the noise."""
SMALLEST = 4
"""Side of the smallest picture that is imputed."""


@model_metric(higher_is_better=True, bounds=(-1.0, 1.0), source="Rong et al. 2022, ROAD, arXiv 2202.00449")
def road(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Probability of the target without the map's lowest pixels, less that without its highest (ROAD).

    Mean over 20, 40, 60 and 80 % of the pixels removed, each replaced by noisy linear imputation.
    """
    ranks = ranks_at_input(maps, probe)
    pixels = ranks[0].numel() if len(ranks) else 0
    noise = NOISE * _normal(probe, tuple(probe.images.shape[1:]))
    scores = torch.zeros(len(maps), device=probe.images.device)
    for share in REMOVED:
        count = round(share * pixels)
        removed = torch.cat([ranks >= pixels - count, ranks < count])  # least relevant, most relevant
        filled = impute(probe.images.repeat(2, 1, 1, 1), removed) + removed[:, None] * noise.repeat(2, 1, 1, 1)
        least, most = probe.probability(filled).view(2, -1)
        scores += (least - most) / len(REMOVED)
    return scores


def impute(images: Images, removed: Bool[Tensor, "n s s"]) -> Images:
    """Replace pixels so that each is the weighted mean of its neighbours: 1/6 beside, 1/12 diagonally.

    The linear system is symmetric and positive definite. Conjugate gradients solve it from a start imputed in the
    picture of half the size, and so on, so that few steps suffice for large holes too.

    Args:
        images: (n, 3, s, s).
        removed: (n, s, s) pixels to impute; the others stay as they are.

    Examples:
        A hole in a plain picture gets its colour:

        >>> removed = torch.zeros(1, 8, 8, dtype=torch.bool)
        >>> removed[:, 2:5, 2:5] = True
        >>> bool(((impute(torch.full((1, 3, 8, 8), 0.5), removed) - 0.5).abs() < 1e-5).all())
        True
    """
    return _impute(images, removed[:, None].to(images))


def _impute(images: Images, hole: Float[Tensor, "n 1 h w"]) -> Images:
    known = images * (1 - hole)
    degree = _neighbours(torch.ones_like(hole[:1]))  # less than 1 at the border, where neighbours are missing
    x = _guess(known, hole) * hole
    residual = (_neighbours(known + x) - degree * x) * hole
    direction, square = residual, residual.square().sum((2, 3), keepdim=True)
    for _ in range(ROUNDS):
        image = (degree * direction - _neighbours(direction)) * hole
        step = square / (direction * image).sum((2, 3), keepdim=True).clamp(min=1e-30)
        x = x + step * direction
        residual = residual - step * image
        before, square = square, residual.square().sum((2, 3), keepdim=True)
        direction = residual + square / before.clamp(min=1e-30) * direction
    return known + x


def _neighbours(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the weighted sum of the neighbours of each pixel, zero beyond the border.

    The weights are those of 1 2 1 by 1 2 1, minus the middle, and 1 2 1 is 1 1 by 1 1: six additions replace a slower
    convolution.
    """
    wide = F.pad(x, (1, 1, 1, 1))
    pairs = wide[..., :-1] + wide[..., 1:]
    rows = pairs[..., :-1] + pairs[..., 1:]
    pairs = rows[..., :-1, :] + rows[..., 1:, :]
    return (pairs[..., :-1, :] + pairs[..., 1:, :]).sub_(x, alpha=4).div_(12)


def _guess(known: Images, hole: Float[Tensor, "n 1 h w"]) -> Images:
    """Impute in a picture of half the size, where a pixel is known if any of its four is."""
    share = F.avg_pool2d(1 - hole, 2, ceil_mode=True)
    small = F.avg_pool2d(known, 2, ceil_mode=True) / share.where(share > 0, 1)
    if min(small.shape[-2:]) > SMALLEST:
        small = _impute(small, (share == 0).to(hole))
    return F.interpolate(small, size=known.shape[-2:], mode="bilinear", align_corners=False)


def _normal(probe: ModelProbe, shape: tuple[int, ...]) -> Tensor:
    """Return normal noise per face, from the uniform noise of the probe."""
    uniform = probe.noise(shape).clamp(1e-6, 1 - 1e-6)
    normal: Tensor = torch.special.ndtri(uniform.double()).to(probe.images)
    return normal
