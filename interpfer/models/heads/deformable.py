"""A head that looks around by deformable offsets: first wider, then narrower.

The idea is that of expansion and shrinkage of localization (ESOL, Li et al. 2022, NeurIPS), whose clip value and weight
of the area are not published. There each step is a training of its own; here both are one, in a form of our own: the
gradient of the offsets of the expansion is reversed, so that they move to where the class is hard to tell.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from interpfer.models.heads.base import Head, require_number

SIDE = 3
"""Side of the deformable convolutions."""


class DeformableHead(Head):
    """Two deformable convolutions, then a 1 x 1 convolution to a map per class; the logit is its mean.

    The offsets of the first are trained to make the loss larger (expansion), all other weights to make it smaller; its
    output is clipped. Offsets begin at zero. Training adds the mean area of the true class's map (shrinkage).

    Args:
        channels: of the features.
        classes: number of logits.
        width: channels of the deformable convolutions.
        clip: largest value after the expansion.
        area: weight of the mean of the sigmoid of the true class's map.
        reversal: factor on the gradient of the offsets of the expansion, with the sign changed.
    """

    summary: ClassVar[str] = "expansion and shrinkage by two deformable convolutions, and the mean: ours"
    source: ClassVar[str] = "ours, after Li et al. 2022, Expansion and Shrinkage of Localization, NeurIPS"
    is_twice_differentiable: ClassVar[bool] = False

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 64,
        clip: float = 6.0,
        area: float = 0.1,
        reversal: float = 1.0,
    ) -> None:
        super().__init__(channels, classes)
        require_number("expand-shrink", "width", width, 1, float("inf"))
        require_number("expand-shrink", "clip", clip, 1e-6, float("inf"))
        require_number("expand-shrink", "area", area, 0, float("inf"))
        self.clip, self.area, self.reversal = clip, area, reversal
        self.reduce = nn.Conv2d(channels, width, 1)
        self.expand, self.shrink = (nn.Conv2d(width, width, SIDE, padding=SIDE // 2) for _ in range(2))
        self.expand_offsets, self.shrink_offsets = (
            nn.Conv2d(width, 2 * SIDE**2, SIDE, padding=SIDE // 2) for _ in range(2)
        )
        for offsets in (self.expand_offsets, self.shrink_offsets):
            nn.init.zeros_(offsets.weight)
            nn.init.zeros_(offsets.bias)  # type: ignore[arg-type]
        self.conv = nn.Conv2d(width, classes, 1)

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the maps of the classes."""
        reduced = self.reduce(features).relu()
        offsets = _Reversed.apply(self.expand_offsets(reduced.detach()), self.reversal)
        expanded = _deform(self.expand, reduced, offsets).clamp(0, self.clip)
        shrunk = _deform(self.shrink, expanded, self.shrink_offsets(expanded)).relu()
        maps: Tensor = self.conv(shrunk)
        return maps

    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the mean of each map."""
        return scores.mean((2, 3))

    def training_loss(self, features: Float[Tensor, "n c h w"], targets: Int[Tensor, " n"]) -> Float[Tensor, ""] | None:
        """Return the weighted mean of the sigmoid of the map of the true class."""
        chosen = (targets >= 0).nonzero()[:, 0]
        if not len(chosen) or not self.area:
            return None
        maps = self.scores(features[chosen])[torch.arange(len(chosen)), targets[chosen]]
        return self.area * maps.sigmoid().mean()


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a negative factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def _deform(layer: nn.Conv2d, x: Tensor, offsets: Tensor) -> Tensor:
    """Apply a convolution at moved places; in mixed precision in that of its weights, which is all that it knows."""
    with torch.autocast(x.device.type, enabled=False):
        weight = layer.weight
        moved: Tensor = deform_conv2d(
            x.to(weight), offsets.to(weight), weight, layer.bias, padding=(SIDE // 2, SIDE // 2)
        )
    return moved
