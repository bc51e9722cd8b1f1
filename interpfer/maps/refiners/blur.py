"""A plain blur: the control for every refiner that makes maps smoother."""

import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.maps.refiners.base import Seen, refiner

WIDTH = 1.0
"""Standard deviation in cells of the grid."""

RADIUS = 3


@refiner(source="control")
def blur(maps: Tensor, _: Seen) -> Tensor:
    """Gaussian blur of one cell of the grid: the control, which knows nothing of the network."""
    offset = torch.arange(-RADIUS, RADIUS + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offset / WIDTH).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(maps[:, None], (RADIUS,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None, :])[:, 0]
