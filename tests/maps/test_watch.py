import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from interpfer.errors import ModelError
from interpfer.maps.capture import capture
from interpfer.maps.watch import Watch
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN

CLASSES = ["anger", "fear", "sadness"]


def small() -> SmallCNN:
    return SmallCNN(3, width=2)


def test_it_shows_the_activations_of_each_forward_and_takes_its_hooks_away() -> None:
    network = small().eval()
    model = load_model(network, classes=CLASSES, input_size=16)
    first, second = torch.rand(2, 3, 16, 16), torch.rand(5, 3, 16, 16)
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())
    with Watch(model, "stages.1,stages.3") as seen:
        for x in (first, second):
            network(x)
            expected = capture(model, x, ["stages.1", "stages.3"])
            assert list(seen) == ["stages.1", "stages.3"]
            network(x)
            for name in seen:
                torch.testing.assert_close(seen[name].detach(), expected.layers[name].activation)
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()) == hooks


def test_mode_and_parameters_stay_as_they_are_also_after_an_error() -> None:
    network = small().train()
    next(network.parameters()).requires_grad_(False)
    before = [p.requires_grad for p in network.parameters()]
    model = load_model(network, classes=CLASSES, input_size=16)
    with pytest.raises(RuntimeError), Watch(model) as seen:  # noqa: PT012
        network(torch.rand(2, 3, 16, 16))
        assert network.training
        assert [p.requires_grad for p in network.parameters()] == before
        assert seen["stages.3"].requires_grad
        network.head(torch.rand(2, 1))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_forward_that_fails_leaves_nothing_behind() -> None:
    network = small()
    model = load_model(network, classes=CLASSES, input_size=16)
    with Watch(model, ["stages.0"]) as seen:
        with pytest.raises(RuntimeError):
            network(torch.rand(2, 3, 16, 16).double())
        with pytest.raises(ModelError, match=r"layer stages\.0 of model SmallCNN has no output yet: run the network"):
            seen["stages.0"]
        network(torch.rand(2, 3, 16, 16))
        assert seen["stages.0"].shape[:2] == (2, 2)
    with pytest.raises(KeyError):
        seen["stages.1"]


def test_it_works_without_gradients() -> None:
    network = small().eval()
    model = load_model(network, classes=CLASSES, input_size=16)
    with torch.no_grad(), Watch(model) as seen:
        network(torch.rand(2, 3, 16, 16))
    assert not seen["stages.3"].requires_grad


class Checkpointed(nn.Module):
    """A network whose first stage runs a second time in the backward."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.two = nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(self.one, x, use_reentrant=False)
        logits: Tensor = self.head(self.two(x).mean((2, 3)))
        return logits


def test_gradient_checkpointing_does_not_count_twice() -> None:
    network = Checkpointed().train()
    model = load_model(network, classes=CLASSES, input_size=8)
    with Watch(model, ["one"]) as seen:
        for _ in range(3):
            network(torch.rand(2, 3, 8, 8)).sum().backward()
        assert seen["one"].shape == (2, 4, 8, 8)


def test_tokens_of_a_transformer_stand_on_their_grid() -> None:
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.VisionTransformer(32, 8, 1, 2, 8, 16, num_classes=3)
    nn.init.normal_(network.heads[0].weight)
    model = load_model(network, classes=CLASSES, input_size=32)
    layer = model.layers("last")[0]
    with Watch(model) as seen:
        network(torch.rand(2, 3, 32, 32))
    assert seen[layer].shape == (2, 8, 4, 4)
