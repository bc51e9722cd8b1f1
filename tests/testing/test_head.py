"""`check_head`: every head of interpfer passes, and each fault of a plugin's is named."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from interpfer.models.heads import HEADS
from interpfer.models.heads.base import ConvolutionHead, Head
from interpfer.testing import check_head


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_of_interpfer_passes(name: str) -> None:
    check_head(HEADS.get(name), **({"width": 6} if name == "acol" else {}))


def test_a_head_without_class_maps_passes() -> None:
    check_head(HEADS.get("wgap"), dense=(4,))


class Mean(ConvolutionHead):
    """A head of a plugin that is right."""

    summary: ClassVar[str] = "mean"
    source: ClassVar[str] = "plug"

    def pool(self, scores: Tensor) -> Tensor:
        return scores.mean((2, 3))


class Unlike(Mean):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * 2


class FirstClass(Mean):
    def class_map(self, features: Tensor, classes: Tensor) -> Tensor:
        return self.scores(features)[:, classes[0]]


class Noisy(Mean):
    def pool(self, scores: Tensor) -> Tensor:
        return scores.mean((2, 3)) + torch.rand(()) * 0.1


class OverTheBatch(Mean):
    def scores(self, features: Tensor) -> Tensor:
        return super().scores(features - features.mean(0))


class Detached(Mean):
    def scores(self, features: Tensor) -> Tensor:
        return super().scores(features).detach()


class WrongGradient(Mean):
    def scores(self, features: Tensor) -> Tensor:
        return super().scores(features + (features * features).detach())


class Unsaved(Mean):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.scale = torch.rand(())

    def pool(self, scores: Tensor) -> Tensor:
        return scores.mean((2, 3)) * self.scale


class LossOfNobody(Mean):
    def training_loss(self, features: Tensor, targets: Tensor) -> Tensor | None:
        return nn.functional.cross_entropy(self(features), targets.clamp(min=0))


class Unsourced(Mean):
    source: ClassVar[str] = ""


def test_a_head_that_is_right_passes() -> None:
    check_head(Mean)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (Unlike, "Its maps, bias included, pool to its logits: pool(scores(x)) differs from the logits by"),
        (FirstClass, "is the class taken row by row?"),
        (Noisy, "dropout that eval does not switch off?"),
        (OverTheBatch, "alone and in a batch: the logits differ by"),
        (Detached, "the logits have no gradient towards the features (detach, no_grad?)"),
        (WrongGradient, "it differs from finite differences by"),
        (Unsaved, "keep what decides them in parameters and buffers"),
        (LossOfNobody, "without any class it must be None or 0, got"),
        (Unsourced, "source must be one line, got ''"),
    ],
)
def test_a_fault_is_named(head: type[Head], message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_head(head)
    assert message in str(caught.value)
