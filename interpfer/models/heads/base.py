"""What a head is: maps of the classes, and their pooling to logits.

A new head defines

1. ``scores``: the map of each class out of the features of the last layer, bias included;
2. ``pool``: how a map becomes the logit of its class;
3. if its map of a class is another one than that, ``class_map``;
4. if training has a loss of its own beside that of the logits, ``training_loss``.

It is added by one file, a line in ``interpfer.models.heads.HEADS`` or an entry point of the group ``interpfer.heads``.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interpfer.errors import ModelError


class Head(nn.Module, ABC):
    """From features on a grid to logits.

    Args:
        channels: of the features.
        classes: number of logits.

    Attributes:
        summary: one line for ``interpfer ls heads``.
        source: where it is published.
        needs_class_token: whether it is for transformers with a class token alone.
        is_twice_differentiable: whether its gradients have gradients, which a class map in the loss needs.
    """

    summary: ClassVar[str]
    source: ClassVar[str]
    needs_class_token: ClassVar[bool] = False
    is_twice_differentiable: ClassVar[bool] = True

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.channels, self.classes = channels, classes

    @abstractmethod
    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the map of each class, whose pooled value is its logit."""

    @abstractmethod
    def pool(self, scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k"]:
        """Return the logit of each map."""

    @classmethod
    def listing(cls) -> dict[str, str]:
        """Return the facts for ``interpfer ls heads``."""
        return {"what": cls.summary, "source": cls.source}

    @property
    def has_class_maps(self) -> bool:
        """Whether the logits are pooled maps of the classes."""
        return True

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return logits."""
        return self.pool(self.scores(features))

    def class_map(self, features: Float[Tensor, "n c h w"], classes: Int[Tensor, " n"]) -> Float[Tensor, "n h w"]:
        """Return the map of one class per image, that the head was made for."""
        return self.scores(features)[torch.arange(len(features)), classes]

    def training_loss(
        self,
        features: Float[Tensor, "n c h w"],  # noqa: ARG002
        targets: Int[Tensor, " n"],  # noqa: ARG002
    ) -> Float[Tensor, ""] | None:
        """Return a loss that training adds to the cross-entropy of the logits; None for none.

        Args:
            features: what the head was given.
            targets: true class; -1 for none.
        """
        return None


class ConvolutionHead(Head):
    """Base of heads whose maps are the output of one 1 x 1 convolution."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.conv = nn.Conv2d(channels, classes, 1)

    def scores(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the output of the convolution."""
        maps: Tensor = self.conv(features)
        return maps


def require_number(head: str, name: str, value: float, low: float, high: float) -> None:
    """Check an argument of a head.

    Raises:
        ModelError: it is out of range.
    """
    if not low <= value <= high:
        limit = f"between {low:g} and {high:g}" if high != float("inf") else f"at least {low:g}"
        raise ModelError(f"head {head}: {name} must be {limit}, got {value:g}.")
