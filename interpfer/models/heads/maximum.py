"""Max pooling (Oquab et al. 2015): a map per class, and its largest value."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.models.heads.base import ConvolutionHead


class MaximumHead(ConvolutionHead):
    """A 1 x 1 convolution to a map per class; the logit is its largest value."""

    summary: ClassVar[str] = "a map per class by a 1 x 1 convolution, and its largest value"
    source: ClassVar[str] = "Oquab et al. 2015, Is object localization for free?, CVPR"

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the largest value of each map."""
        return torch.amax(scores, (2, 3))
