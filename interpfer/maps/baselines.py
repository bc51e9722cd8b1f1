"""Maps that do not use the model: references without which a score has no scale."""

import numpy as np
import torch
import torch.nn.functional as F

from interpfer.maps.base import OF_ALL, OF_CLASS, BaselineContext, RawMap, baseline
from interpfer.maps.canvas import resize
from interpfer.registry import also_called

CENTRE_WIDTH = 0.25
"""Standard deviation of the centre Gaussian, in sides of the canvas."""

RANDOM_GRID = 7
"""Side of the grid of random values: that of the last layer of many networks."""


@also_called("uniform")
@baseline()
def uniform(context: BaselineContext) -> RawMap:
    """The same value everywhere."""
    return torch.ones_like(context.heat)


@baseline()
def center(context: BaselineContext) -> RawMap:
    """A Gaussian in the middle of the picture, whose standard deviation is a quarter of the side."""
    size = context.heat.shape[-1]
    offset = (torch.arange(size, device=context.heat.device) + 0.5) / size - 0.5
    bell = torch.exp(-0.5 * (offset / CENTRE_WIDTH).square())
    return (bell[:, None] * bell).to(context.heat.dtype).expand_as(context.heat).clone()


@baseline()
def random(context: BaselineContext) -> RawMap:
    """Random values on a 7 x 7 grid, enlarged; they depend only on the seed and the position in the data set."""
    side = (RANDOM_GRID, RANDOM_GRID)
    grids = [np.random.default_rng([abs(context.seed), row]).random(side) for row in context.rows]
    return resize(torch.from_numpy(np.array(grids).reshape(-1, *side)).to(context.heat), context.heat.shape[-1])


@baseline()
def edges(context: BaselineContext) -> RawMap:
    """Strength of the edges of the picture (Sobel), scaled to a peak of 1."""
    assert context.images is not None
    size = context.heat.shape[-1]
    grey = resize(context.images.mean(1).to(context.heat), size)
    smooth, slope = grey.new_tensor([0.25, 0.5, 0.25]), grey.new_tensor([-0.5, 0.0, 0.5])
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None]
    gradient = F.conv2d(F.pad(grey[:, None], (1, 1, 1, 1), mode="replicate"), kernels)
    strength = gradient.square().sum(1).sqrt()
    peak = strength.amax((1, 2), keepdim=True)
    return strength / peak.where(peak > 0, torch.nan)


@also_called("mean")
@baseline(heatmaps=OF_ALL)
def mean_au(context: BaselineContext) -> RawMap:
    """Mean AU heatmap of all other images."""
    assert context.mean_of_others is not None
    return context.mean_of_others


@also_called("class-mean")
@baseline(heatmaps=OF_CLASS)
def class_mean_au(context: BaselineContext) -> RawMap:
    """Mean AU heatmap of the other images of the same class."""
    assert context.class_mean_of_others is not None
    return context.class_mean_of_others


@baseline(heatmaps=OF_ALL)
def mean_mask(context: BaselineContext) -> RawMap:
    """Mean mask of all other images, where the truth is masks."""
    assert context.mean_of_others is not None
    return context.mean_of_others


@baseline(heatmaps=OF_CLASS)
def class_mean_mask(context: BaselineContext) -> RawMap:
    """Mean mask of the other images of the same class, where the truth is masks."""
    assert context.class_mean_of_others is not None
    return context.class_mean_of_others
