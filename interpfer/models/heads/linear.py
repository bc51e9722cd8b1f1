"""CAM (Zhou et al. 2016): the mean over the grid, then linear layers."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.heads.base import Head


class LinearHead(Head):
    """Mean over the grid, then one linear layer, or up to three with ReLU between them (WGAP of arXiv 2402.00281).

    Args:
        channels: of the features.
        classes: number of logits.
        dense: widths of hidden linear layers, at most two; with any, there is no map whose sum is the logit.

    Examples:
        >>> head = LinearHead(2, 1)
        >>> _ = head.fc.weight.data.copy_(torch.tensor([[1.0, -1.0]])), head.fc.bias.data.fill_(0.5)
        >>> features = torch.tensor([[[[4.0, 0.0]], [[0.0, 2.0]]]])
        >>> head(features).item(), head.class_map(features, torch.tensor([0])).tolist()
        (1.5, [[[2.0, -1.0]]])
    """

    summary: ClassVar[str] = "mean over the grid, then a linear layer: CAM"
    source: ClassVar[str] = "Zhou et al. 2016, arXiv 1512.04150"

    def __init__(self, channels: int, classes: int, dense: Sequence[int] = ()) -> None:
        super().__init__(channels, classes)
        if len(dense) > 2:
            raise ModelError(f"head wgap: dense must have at most two widths, got {len(dense)}.")
        widths = (channels, *dense, classes)
        for index in range(len(widths) - 1):
            setattr(self, f"fc{index or ''}", nn.Linear(widths[index], widths[index + 1]))

    @property
    def has_class_maps(self) -> bool:
        """Whether there is one linear layer."""
        return len(list(self.children())) == 1

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the class maps, bias included, whose mean is the logit.

        Raises:
            ModelError: there are hidden layers, so that the logit is no sum over the grid.
        """
        layers = list(self.children())
        if len(layers) > 1:
            raise ModelError("head wgap: with hidden linear layers (dense) no class map pools to the logit.")
        (layer,) = layers
        assert isinstance(layer, nn.Linear)
        return torch.einsum("kc,nchw->nkhw", layer.weight, features) + layer.bias[:, None, None]

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean over the grid."""
        return scores.mean((2, 3))

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        x = features.mean((2, 3))
        for index, layer in enumerate(self.children()):
            x = layer(x.relu() if index else x)
        return x

    def class_map(self, features: Float[Tensor, "n c h w"], classes: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
        """Return the map whose sum over the grid is the logit without its bias."""
        (layer,) = self.children()
        assert isinstance(layer, nn.Linear)
        return torch.einsum("nc,nchw->nhw", layer.weight[classes], features) / features[0, 0].numel()
