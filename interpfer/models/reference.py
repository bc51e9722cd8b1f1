"""The classifier of the reference implementation (arXiv 2402.00281): a ResNet encoder and a pooling head.

Its parameters have the names in the files of the reference, once their two parts are joined.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.heads import HEADS

DROPOUT_BLOCKS = {"layer3": (0,), "layer4": (0, 2)}
"""Blocks followed by attention-based dropout (ADL), which shifts the names of the later blocks."""

DROP_RATE, DROP_THRESHOLD = 0.4, 0.1
"""Defaults of the reference for attention-based dropout; Choe and Shim 2019 have 0.75 and 0.9 for ResNet-50."""

REFERENCE_HEADS = {
    "WGAP": "wgap",
    "GAP": "gap",
    "MaxPool": "max",
    "LogSumExpPool": "lse",
    "PRM": "prm-reference",
}
"""Name of a head in the reference -> that in ``interpfer.models.heads``."""


class ReferenceClassifier(nn.Module):
    """A ResNet without its head, and a pooling head of the reference.

    Args:
        classes: number of outputs.
        encoder: a ResNet of torchvision.
        head: pooling from the grid to logits: WGAP, GAP, MaxPool, LogSumExpPool or PRM.
        dense: widths of the hidden linear layers of WGAP, at most two.
        large_maps: whether the last two stages keep the grid of the second (28 x 28 at 224 px).
        adl: whether attention-based dropout is between the blocks; it acts in training alone.
        background: whether the head has an output for the background, which is left out of the logits.
        scale: factor on the input.
        drop: rate and threshold of the dropout, see ``AttentionDropout``.
    """

    def __init__(
        self,
        classes: int,
        encoder: str = "resnet50",
        head: str = "WGAP",
        dense: Sequence[int] = (),
        large_maps: bool = False,
        adl: bool = False,
        background: bool = False,
        scale: float = 1.0,
        drop: Sequence[float] = (DROP_RATE, DROP_THRESHOLD),
    ) -> None:
        super().__init__()
        from torchvision.models import get_model, list_models

        encoders = [name for name in list_models() if name.startswith(("resnet", "resnext"))]
        for kind, name, known in (("encoder", encoder, encoders), ("head", head, list(REFERENCE_HEADS))):
            if name not in known:
                raise ModelError(
                    f"interpfer:reference has no {kind} '{name}'.{nearest(name, known)} "
                    f"Known: {', '.join(known)}; for others pass the code of the reference: --arch FILE.py:callable."
                )
        network: Any = get_model(encoder, weights=None)
        channels = network.fc.in_features
        network.fc, network.avgpool = nn.Identity(), nn.Identity()
        for name in ("layer3", "layer4"):
            layer = getattr(network, name)
            if large_maps:
                _remove_stride(layer[0])
            if adl:
                blocks = list(layer)
                for index in reversed(DROPOUT_BLOCKS[name]):
                    blocks.insert(index + 1, AttentionDropout(*drop))
                setattr(network, name, nn.Sequential(*blocks))
        self.scale, self.background = scale, background
        self.encoder = network
        arguments = {"dense": tuple(dense)} if head == "WGAP" else {}
        self.classification_head = HEADS.get(REFERENCE_HEADS[head])(channels, classes + int(background), **arguments)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        encoder = self.encoder
        x = encoder.maxpool(encoder.relu(encoder.bn1(encoder.conv1(x * self.scale))))
        for layer in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
            x = layer(x)
        logits: Tensor = self.classification_head(x)
        return logits[:, 1:] if self.background else logits


def _remove_stride(block: nn.Module) -> None:
    for module in block.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (1, 1)


class AttentionDropout(nn.Module):
    """Attention-based dropout layer (ADL, Choe and Shim 2019, arXiv 1908.10028): the identity in evaluation.

    In training one draw per call and batch decides how all activations are multiplied: with probability ``rate`` by a
    mask that hides each image's most attended places, else by the sigmoid of its attention, the mean over the channels.

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

    def __init__(self, rate: float = DROP_RATE, threshold: float = DROP_THRESHOLD) -> None:
        super().__init__()
        for name, value in (("rate", rate), ("threshold", threshold)):
            if not 0 <= value <= 1:
                raise ModelError(f"interpfer:reference: {name} of the dropout must be between 0 and 1, got {value}.")
        self.rate, self.threshold = rate, threshold

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the activations, in training those that are left."""
        if not self.training:
            return x
        attention = x.mean(1, keepdim=True)
        if torch.rand(()) < self.rate:
            return x * (attention < self.threshold * attention.amax((2, 3), keepdim=True))
        return x * attention.sigmoid()
