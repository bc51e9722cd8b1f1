"""Maps that know nothing of the model. A score means nothing without them beside it."""

import numpy as np
import torch
import torch.nn.functional as F

from interpfer.maps.base import BaselineContext, RawMap, baseline
from interpfer.maps.canvas import resize

CENTRE_WIDTH = 0.25
"""Standard deviation of the centre Gaussian, in sides of the canvas."""

RANDOM_GRID = 7
"""Side of the grid of random values: that of the last layer of a usual network."""


@baseline()
def uniform(around: BaselineContext) -> RawMap:
    """The same value everywhere."""
    return torch.ones_like(around.heat)


@baseline()
def center(around: BaselineContext) -> RawMap:
    """A Gaussian in the middle of the picture, whose standard deviation is a quarter of the side."""
    size = around.heat.shape[-1]
    off = (torch.arange(size, device=around.heat.device) + 0.5) / size - 0.5
    bell = torch.exp(-0.5 * (off / CENTRE_WIDTH).square())
    return (bell[:, None] * bell).to(around.heat.dtype).expand_as(around.heat).clone()


@baseline()
def random(around: BaselineContext) -> RawMap:
    """Random values on a 7 x 7 grid, enlarged; they depend on the seed and the place in the data set alone."""
    side = (RANDOM_GRID, RANDOM_GRID)
    grids = [np.random.default_rng([abs(around.seed), row]).random(side) for row in around.rows]
    return resize(torch.from_numpy(np.array(grids).reshape(-1, *side)).to(around.heat), around.heat.shape[-1])


@baseline()
def edges(around: BaselineContext) -> RawMap:
    """Strength of the edges of the picture (Sobel), scaled to a peak of 1: what a map owes to the face's outlines."""
    assert around.images is not None
    size = around.heat.shape[-1]
    grey = resize(around.images.mean(1).to(around.heat), size)
    smooth, slope = grey.new_tensor([0.25, 0.5, 0.25]), grey.new_tensor([-0.5, 0.0, 0.5])
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None]
    gradient = F.conv2d(F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate"), kernels)
    strength = gradient.square().sum(1).sqrt()
    peak = strength.amax((1, 2), keepdim=True)
    return strength / peak.where(peak > 0, torch.nan)


@baseline(heatmaps=True)
def mean_au(around: BaselineContext) -> RawMap:
    """Mean AU heatmap of all other images: one map for everybody."""
    assert around.mean_of_others is not None
    return around.mean_of_others


@baseline(heatmaps=True)
def class_mean_au(around: BaselineContext) -> RawMap:
    """Mean AU heatmap of the other images of the same class: what knowing the label alone is worth."""
    assert around.class_mean_of_others is not None
    return around.class_mean_of_others
