"""GAP (Lin et al. 2013): a map per class, and its mean."""

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from interpfer.models.heads.base import ConvolutionHead


class AverageHead(ConvolutionHead):
    """A 1 x 1 convolution to a map per class; the logit is its mean."""

    summary: ClassVar[str] = "a map per class by a 1 x 1 convolution, and its mean"
    source: ClassVar[str] = "Lin et al. 2013, arXiv 1312.4400"

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of each map."""
        return scores.mean((2, 3))

    def class_map(self, features: Float[Tensor, "n c h w"], classes: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
        """Return the map whose sum over the grid is the logit without its bias."""
        maps = super().class_map(features, classes)
        bias = 0 if self.conv.bias is None else self.conv.bias[classes][:, None, None]
        return (maps - bias) / maps[0].numel()
