"""The classifier of the reference implementation (arXiv 2402.00281): a ResNet encoder and a pooling head.

Its parameters have the names in the files of the reference, once their two parts are joined.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.attention_dropout import REFERENCE_DROP, AttentionDropout
from interpfer.models.heads import HEADS

DROPOUT_BLOCKS = {"layer3": (0,), "layer4": (0, 2)}
"""Blocks followed by attention-based dropout (ADL), which shifts the names of the later blocks."""

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
        drop: Sequence[float] = REFERENCE_DROP,
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
