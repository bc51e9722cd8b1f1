import pytest
import torch
from torch import Tensor, nn

from interpfer.models.channels_last import channels_last
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "happiness", "neutral"]


class Flat(nn.Module):
    """Flattens its activations in a way that only works with channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).view(len(x), -1))


class Order(Flat):
    """Reads its activations in the order in which they lie in memory."""

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv(x)
        return self.head(seen.as_strided((len(x), 64), (64, 1)))


class Particular(Flat):
    """Insists on its order."""

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv(x)
        assert seen.is_contiguous()
        return self.head(seen.reshape(len(x), -1))


def separable() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )


def model(module: nn.Module) -> Model:
    return load_model(module, classes=CLASSES, input_size=16)


def lying(network: nn.Module) -> list[bool]:
    return [each.is_contiguous() for each in network.parameters() if each.dim() == 4]


def test_weights_lie_channels_last_meanwhile_and_as_found_afterwards() -> None:
    subject = model(separable())
    x = torch.rand(5, 3, 16, 16)
    expected, pointers = subject.logits(x), [each.data_ptr() for each in subject.module.parameters()]
    with channels_last(subject), torch.no_grad():
        assert lying(subject.module) == [False, True]  # one weight a channel lies both ways
        torch.testing.assert_close(subject.logits(x), expected.detach())
    assert lying(subject.module) == [True, True]
    assert [each.data_ptr() for each in subject.module.parameters()] == pointers


@pytest.mark.parametrize("network", [Flat, Order, Particular])
def test_a_network_that_needs_its_order_keeps_it(network: type[nn.Module]) -> None:
    subject = model(network())
    x = torch.rand(5, 3, 16, 16)
    expected = subject.logits(x)
    with channels_last(subject):
        assert lying(subject.module) == [True]
        assert torch.equal(subject.logits(x), expected)


def test_weights_come_back_when_something_raises() -> None:
    subject = model(separable())
    subject.module.train()
    before = [(each.data_ptr(), each.requires_grad) for each in subject.module.parameters()]
    with pytest.raises(ZeroDivisionError), channels_last(subject):
        _ = 1 / 0
    assert [(each.data_ptr(), each.requires_grad) for each in subject.module.parameters()] == before
    assert all(each.training for each in subject.module.modules())


def test_a_network_without_convolutions_is_left_alone() -> None:
    subject = model(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)))
    with channels_last(subject):
        assert subject.logits(torch.rand(2, 3, 16, 16)).shape == (2, 3)
