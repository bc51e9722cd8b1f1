"""PRM (Zhou et al. 2018): a map per class, pooled over its peaks."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.models.heads.base import ConvolutionHead

WINDOW = 3
"""Side of the window in which a peak is the largest value."""


class PeakHead(ConvolutionHead):
    """A 1 x 1 convolution to a map per class; the logit is the mean over the peaks of the map.

    A peak is the first largest value of the window around itself, and not below the median of the map. Gradients reach
    the peaks alone, which sharpens them ("peak stimulation").
    """

    summary: ClassVar[str] = "a map per class by a 1 x 1 convolution, and the mean over its peaks"
    source: ClassVar[str] = "Zhou et al. 2018, arXiv 1804.00880"

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean over the peaks of each map."""
        peaks = find_peaks(scores.detach())
        return (scores * peaks).sum((2, 3)) / peaks.sum((2, 3)).clamp(min=1)


class PeakReferenceHead(ConvolutionHead):
    """PRM as the code of arXiv 2402.00281 computes it: the mean of the largest values of all 3 x 3 windows."""

    summary: ClassVar[str] = "PRM as in the code of arXiv 2402.00281: mean of the maxima of all 3 x 3 windows"
    source: ClassVar[str] = "code of Belharbi et al. 2024, arXiv 2402.00281"

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of the window maxima of each map."""
        return mean_of_window_maxima(scores)


def find_peaks(scores: Float[Tensor, "n k h w"]) -> Bool[Tensor, "n k h w"]:
    """Return which values are peaks: the first largest of the 3 x 3 window around them, and not below the median.

    Examples:
        >>> find_peaks(torch.tensor([[[[5.0, 1.0, 1.0, 3.0]]]])).int().tolist()
        [[[[1, 0, 0, 1]]]]
    """
    height, width = scores.shape[2:]
    padded = F.pad(scores, [WINDOW // 2] * 4, value=float("-inf"))
    first = F.max_pool2d(padded, WINDOW, 1, return_indices=True)[1]
    rows, columns = first // (width + 2) - 1, first % (width + 2) - 1
    own = torch.arange(height * width, device=scores.device).reshape(height, width)
    medians = scores.flatten(2).median(2).values[:, :, None, None]
    return (rows * width + columns == own) & (scores >= medians)


def mean_of_window_maxima(x: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
    """Pool maps by the mean of the maxima of all 3 x 3 windows.

    Examples:
        >>> mean_of_window_maxima(torch.tensor([[[[4.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]]])).item()
        2.0
    """
    return F.max_pool2d(x, WINDOW, 1).mean((2, 3))
