"""Attention-based dropout (ADL, Choe and Shim 2019, arXiv 1908.10028): a training trick without parameters."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError

PUBLISHED_DROP = (0.75, 0.9)
"""Rate and threshold of Choe and Shim 2019 for ResNet-50."""

REFERENCE_DROP = (0.4, 0.1)
"""Rate and threshold of the code of arXiv 2402.00281, which hides all places above a tenth of the peak."""


class AttentionDropout(nn.Module):
    """Attention-based dropout layer: the identity in evaluation.

    In training one draw per call and batch decides how all activations are multiplied: with probability ``rate`` by a
    mask that hides each image's most attended places, else by the sigmoid of its attention, the mean over the channels.
    The draw is that of torch's generator on the CPU.

    Args:
        rate: probability of the mask.
        threshold: share of the largest attention from which on a place is hidden.

    Examples:
        >>> layer = AttentionDropout(rate=1.0, threshold=0.5)
        >>> layer(torch.tensor([[[[4.0, 1.0]]]]))
        tensor([[[[0., 1.]]]])
        >>> layer.eval()(torch.tensor([[[[4.0, 1.0]]]]))
        tensor([[[[4., 1.]]]])
    """

    def __init__(self, rate: float = REFERENCE_DROP[0], threshold: float = REFERENCE_DROP[1]) -> None:
        super().__init__()
        for name, value in (("rate", rate), ("threshold", threshold)):
            if not 0 <= value <= 1:
                raise ModelError(f"attention-based dropout: {name} must be between 0 and 1, got {value}.")
        self.rate, self.threshold = rate, threshold

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the activations, in training those that are left."""
        return self.drop(x, "nchw") if self.training else x

    def drop(self, x: Tensor, layout: str, prefix: int = 0) -> Tensor:
        """Return activations as training leaves them.

        Args:
            x: activations of a layer.
            layout: "nchw", "nhwc" or "tokens": where their channels are.
            prefix: number of class and register tokens, which are kept as they are.
        """
        if layout == "tokens":
            kept, patches = x[:, :prefix], x[:, prefix:]
            return torch.cat([kept, patches * self._factors(patches.mean(2))[:, :, None]], 1)
        channels = 1 if layout == "nchw" else 3
        attention = x.mean(channels)
        factors = self._factors(attention.flatten(1)).reshape(attention.shape)
        return x * factors.unsqueeze(channels)

    def _factors(self, attention: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
        if torch.rand(()) < self.rate:
            return (attention < self.threshold * attention.amax(1, keepdim=True)).to(attention.dtype)
        return attention.sigmoid()
