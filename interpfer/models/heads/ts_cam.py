"""TS-CAM (Gao et al. 2021): a transformer classifies by its patches, and its class token says where they lie."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.models.heads.base import Head
from interpfer.models.layer import Layer


class TsCamHead(Head):
    """A 3 x 3 convolution with bias from the patches after the last norm to a map per class; the logit is its mean.

    The class token has no part in the logits. Map ``cam`` is the class's map of the patches, which pools to the logit;
    map ``ts-cam`` weighs it by the attention of the class token.
    """

    summary: ClassVar[str] = "a 3 x 3 convolution of the patches of a transformer with a class token, and the mean"
    source: ClassVar[str] = "Gao et al. 2021, TS-CAM, arXiv 2103.14862"
    needs_class_token: ClassVar[bool] = True

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.conv = nn.Conv2d(channels, classes, 3, padding=1)

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the output of the convolution."""
        maps: Tensor = self.conv(features)
        return maps

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of each map."""
        return scores.mean((2, 3))


class TokenAttention(nn.Module):
    """The attention of the class token to the patches, as a layer of the network: one channel per block and head.

    Its mean over the channels is the attention that TS-CAM multiplies with the map of a class.

    Args:
        layer: how the patches lie on their grid.
    """

    is_attention = True
    """Whether the output is attention, never a map per class, however many channels it has."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, blocks: Sequence[Tensor], n: int) -> Float[Tensor, "{n} _ gh gw"]:
        """Put the rows of the class token on the grid.

        Args:
            blocks: probabilities of each block, (n, heads, t, t) or (n x heads, t, t).
            n: number of images.
        """
        rows = [block.reshape(n, -1, *block.shape[-2:])[:, :, 0, self._layer.prefix :] for block in blocks]
        return replace(self._layer, prefix=0).to_grid(torch.cat(rows, 1).mT)
