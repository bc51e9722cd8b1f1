"""Log-sum-exp pooling (Pinheiro and Collobert 2015): between the mean and the maximum."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interpfer.models.heads.base import ConvolutionHead, require_number

SHARPNESS = 10.0
"""Sharpness r of the pooling: log(mean(exp(r x))) / r; that of the paper and of arXiv 2402.00281."""


class LogSumExpHead(ConvolutionHead):
    """A 1 x 1 convolution to a map per class; the logit is log(mean(exp(r x))) / r.

    Args:
        channels: of the features.
        classes: number of logits.
        r: sharpness; near 0 the mean, very large the maximum.
    """

    summary: ClassVar[str] = "a map per class by a 1 x 1 convolution, and its log-sum-exp"
    source: ClassVar[str] = "Pinheiro and Collobert 2015, arXiv 1411.6228"

    def __init__(self, channels: int, classes: int, r: float = SHARPNESS) -> None:
        super().__init__(channels, classes)
        require_number("lse", "r", r, 1e-3, float("inf"))
        self.r = r

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the log-sum-exp of each map."""
        return log_sum_exp(scores, self.r)


def log_sum_exp(x: Float[Tensor, "n k h w"], r: float = SHARPNESS) -> Float[Tensor, "n k"]:
    """Pool maps by log(mean(exp(r x))) / r, which lies between the mean and the maximum.

    Examples:
        >>> import torch
        >>> round(log_sum_exp(torch.tensor([[[[0.0, 1.0]]]])).item(), 4)  # 1 - log(2) / 10
        0.9307
    """
    top = x.amax((2, 3), keepdim=True)
    return ((r * (x - top)).exp().mean((2, 3)).log() / r) + top[:, :, 0, 0]
