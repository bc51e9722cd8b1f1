"""A small convolutional classifier for the demo and for tests."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError, nearest
from interpfer.models.apvit import APViT
from interpfer.models.heads.action_units import build_au_network
from interpfer.models.heads.attach import build_headed
from interpfer.models.reference import ReferenceClassifier


class SmallCNN(nn.Module):
    """Four stages of two 3 x 3 convolutions, global average pooling and a linear layer; 64 px give a grid of 8 x 8.

    Args:
        classes: number of outputs.
        width: number of channels of the first stage.
    """

    def __init__(self, classes: int, width: int = 24) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 4 * width)
        strides = (2, 2, 2, 1)
        self.stages = nn.ModuleList(
            nn.Sequential(*_unit(widths[i], widths[i + 1], strides[i]), *_unit(widths[i + 1], widths[i + 1], 1))
            for i in range(4)
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.head(self.dropout(x.mean((2, 3))))
        return logits


def _unit(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


APVIT_SMALL: dict[str, Any] = {"widths": (24, 24, 48, 96), "blocks": (1, 2, 3), "dim": 96, "depth": 8, "heads": 4}
"""Arguments of an APViT that trains on two cores."""

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small": SmallCNN,
    "apvit": APViT,
    "apvit-small": lambda classes, **arguments: APViT(classes, **APVIT_SMALL | arguments),
    "reference": ReferenceClassifier,
    "headed": build_headed,
    "au-head": build_au_network,
}


def from_interpfer(name: str, classes: int, **arguments: Any) -> nn.Module:
    """Return a network of interpfer.

    Args:
        name: "small", "reference", "headed", "au-head", "apvit" or "apvit-small".
        classes: number of outputs.
        arguments: further keyword arguments of the network.

    Raises:
        ModelError: there is no such network.
    """
    if name not in NETWORKS:
        raise ModelError(f"interpfer has no network '{name}'.{nearest(name, NETWORKS)} Known: {', '.join(NETWORKS)}.")
    return NETWORKS[name](classes, **arguments)
