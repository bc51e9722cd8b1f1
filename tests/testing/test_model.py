from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.models.loading import load_model
from interpfer.testing import check_model
from interpfer.testing.model import CHECKS

CLASSES = ["anger", "fear", "sadness"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.deep(self.stem(x)).mean((2, 3)))


def failures(network: nn.Module, **card: Any) -> str:
    with pytest.raises(AssertionError) as error:
        check_model(load_model(network, **{"classes": CLASSES, "input_size": 32, "name": "net"} | card))
    return str(error.value)


def test_a_sound_model_passes() -> None:
    check_model(load_model(Net(), classes=CLASSES, input_size=32))
    check_model(load_model(Net().train(), classes=CLASSES, input_size=32, layers=["stem", "deep"]))


def test_dropout_that_never_ends() -> None:
    class Noisy(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.rand(len(x), 3)

    text = failures(Noisy())
    assert "The same images give the same logits: two runs differ by" in text


def test_statistics_over_the_batch() -> None:
    class Batched(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x - x.mean(0, keepdim=True) / 2)

    text = failures(Batched())
    assert text.startswith(f"model net fails 2 of {len(CHECKS)} checks:\n  - ")
    assert "An image gives the same logits alone and in a batch: they differ by" in text
    assert "Each logit has a gradient towards its own image alone: it reaches another image of the batch" in text


def test_logits_without_a_gradient() -> None:
    class Cut(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    text = failures(Cut())
    assert "the logits have no gradient towards the input (detach, no_grad, numpy?)" in text


def test_outputs_that_are_no_logits() -> None:
    class Wide(Net):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([super().forward(x)] * 2, 1)

    assert "must return 1 x 3 logits, got a tensor (1, 6)" in failures(Wide())

    class Infinite(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / 0

    assert "Logits are (n, classes) and finite, for any n: some are not finite for n = 1" in failures(Infinite())


def test_layers_that_the_logits_do_not_need() -> None:
    class Side(Net):
        def __init__(self) -> None:
            super().__init__()
            self.side = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.side(x)
            return super().forward(x)

    assert "the logits do not depend on the grid of side: name other layers" in failures(
        Side(), layers=["stem", "side"]
    )
    assert "no layer has a spatial output of at least 2 x 2" in failures(
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    )


def test_a_network_that_changes_itself() -> None:
    class Counting(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            return super().forward(x)

    assert "The network is restored afterwards, also after an error: seen changed" in failures(Counting())
