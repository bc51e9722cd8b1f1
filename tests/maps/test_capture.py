from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.capture import capture, forward
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "sadness"]
N, SIZE = 4, 12


class Net(nn.Module):
    """Convolutions with batch norm, dropout, and ReLUs that work in place on what the hooked layers return."""

    def __init__(self, broken: bool = False) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.relu = nn.ReLU(inplace=True)
        self.two = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 3)
        self.broken = broken

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.one(x)))
        x = self.two(x).relu_()
        if self.broken:
            raise RuntimeError("no cheese")
        return self.fc(self.drop(x).mean((2, 3)))


def model(network: nn.Module | None = None) -> Model:
    network = Net() if network is None else network
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return load_model(network, classes=CLASSES, input_size=SIZE)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(N, 3, SIZE, SIZE)


def by_hand(network: Net, x: Tensor, targets: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The same network written out, one image at a time, with the usual backward."""
    shown: dict[str, list[tuple[Tensor, Tensor]]] = {"one": [], "norm": [], "two": []}
    for image, target in zip(x, targets.tolist(), strict=True):
        one = network.one(image[None])
        norm = F.batch_norm(
            one, network.norm.running_mean, network.norm.running_var, network.norm.weight, network.norm.bias
        )
        two = network.two(norm.relu())
        logits = network.fc(two.relu().mean((2, 3)))
        kept = {"one": one, "norm": norm, "two": two}
        slopes = torch.autograd.grad(logits[0, target], list(kept.values()))
        for (name, value), slope in zip(kept.items(), slopes, strict=True):
            shown[name].append((value.detach()[0], slope[0]))
    for name, pairs in shown.items():
        yield name, *(torch.stack(column) for column in zip(*pairs, strict=True))


def test_a_plain_backward_by_hand(x: Tensor) -> None:
    chosen = model(Net().train())
    targets = torch.tensor([0, 1, 2, 0])
    shown = capture(chosen, x, ["one", "norm", "two"], targets)
    for name, activation, gradient in by_hand(chosen.module, x, targets):
        torch.testing.assert_close(shown.layers[name].activation, activation)
        torch.testing.assert_close(shown.layers[name].gradient, gradient)
    with torch.no_grad():
        torch.testing.assert_close(shown.logits, chosen.module.eval()(x))
    assert torch.equal(shown.targets, targets)


def test_the_predicted_class_is_the_default_target(x: Tensor) -> None:
    chosen = model()
    shown = capture(chosen, x, ["two"])
    assert torch.equal(shown.targets, shown.logits.argmax(1))
    said = capture(chosen, x, ["two"], shown.logits.argmax(1))
    assert torch.equal(shown.layers["two"].gradient, said.layers["two"].gradient)


def test_a_face_without_a_target_has_no_slope_and_touches_no_other(x: Tensor) -> None:
    chosen = model()
    shown = capture(chosen, x, ["two"], torch.tensor([0, -1, 2, -1]))
    whole = capture(chosen, x, ["two"], torch.tensor([0, 1, 2, 1]))
    assert (shown.layers["two"].gradient[[1, 3]] == 0).all()
    assert torch.equal(shown.layers["two"].gradient[[0, 2]], whole.layers["two"].gradient[[0, 2]])


def test_an_image_does_not_depend_on_its_batch(x: Tensor) -> None:
    chosen = model()
    targets = torch.tensor([0, 1, 2, 0])
    together = capture(chosen, x, ["one", "two"], targets)
    for row in range(N):
        alone = capture(chosen, x[row : row + 1], ["one", "two"], targets[row : row + 1])
        for name in ("one", "two"):
            torch.testing.assert_close(alone.layers[name].activation[0], together.layers[name].activation[row])
            torch.testing.assert_close(alone.layers[name].gradient[0], together.layers[name].gradient[row])


def test_without_gradients_there_is_no_graph(x: Tensor) -> None:
    shown = capture(model(), x, ["two"], gradients=False)
    assert shown.layers["two"].gradient is None
    assert not shown.layers["two"].activation.requires_grad
    assert not shown.logits.requires_grad


@pytest.mark.parametrize("grad_mode", [torch.enable_grad, torch.no_grad])
def test_the_mode_of_the_caller_does_not_matter(x: Tensor, grad_mode: Callable[[], Any]) -> None:
    chosen = model()
    expected = capture(chosen, x, ["two"]).layers["two"].gradient
    with grad_mode():
        before = torch.is_grad_enabled()
        assert torch.equal(capture(chosen, x, ["two"]).layers["two"].gradient, expected)
        assert torch.is_grad_enabled() == before


def test_frozen_networks_have_gradients_too(x: Tensor) -> None:
    chosen = model()
    expected = capture(chosen, x, ["one"]).layers["one"].gradient
    chosen.module.requires_grad_(False)
    assert torch.equal(capture(chosen, x, ["one"]).layers["one"].gradient, expected)


def found(network: nn.Module) -> list[Any]:
    """All that an onlooker could change."""
    return [
        [(module.training, len(module._forward_hooks), len(module._backward_hooks)) for module in network.modules()],
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in network.parameters()],
        {name: value.clone() for name, value in network.state_dict().items()},
    ]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and same(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


@pytest.mark.parametrize("raises", [False, True])
def test_the_network_is_left_as_it_was_found(x: Tensor, raises: bool) -> None:
    network = Net().train()
    chosen = model(network)
    assert chosen.spatial_layers
    network.norm.eval()
    network.two.weight.requires_grad_(False)
    network.fc.weight.grad = torch.full_like(network.fc.weight, 7)
    network.two.register_forward_hook(lambda *_: None)
    network.broken = raises
    before = found(network)
    if raises:
        with pytest.raises(ModelError, match="its forward raised RuntimeError: no cheese"):
            capture(chosen, x, ["one", "two"])
    else:
        capture(chosen, x, ["one", "two"])
    assert same(found(network), before)


def test_the_input_is_left_alone(x: Tensor) -> None:
    before = x.clone()
    capture(model(), x, ["one"])
    assert torch.equal(x, before)
    assert not x.requires_grad


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Conv2d(3, 3, SIZE)
        self.spare = nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(self.conv(x))).flatten(1)


def test_a_layer_that_runs_twice_or_never_is_refused(x: Tensor) -> None:
    chosen = load_model(Twice(), classes=CLASSES, input_size=SIZE)
    with pytest.raises(ModelError, match=r"layer conv of model Twice ran 2 times in one forward; choose one that runs"):
        capture(chosen, x, ["conv"])
    with pytest.raises(ModelError, match="layer spare of model Twice ran 0 times"):
        capture(chosen, x, ["spare"])


class Watched(torch.autograd.Function):
    """Counts how often a backward comes by."""

    passed = 0

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # noqa: ARG004
        Watched.passed += 1
        return slope


class Guarded(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = Watched.apply(self.norm(self.one(x)))
        return self.fc(self.drop(self.two(self.relu(x)).relu()).mean((2, 3)))


def test_the_backward_ends_at_the_shallowest_layer_and_spares_the_parameters(x: Tensor) -> None:
    # trap: other libraries go back to every parameter, which takes three times as long
    chosen = model(Guarded())
    assert {layer.name for layer in chosen.spatial_layers} >= {"one", "two"}  # which looks at the whole network
    Watched.passed = 0
    with forward(chosen, x, ["two"]) as seen:
        reached: set[str] = set()
        waiting = [seen.logits.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and id(node) not in reached:
                reached.add(id(node))
                assert node.name() != "WatchedBackward"
                if node.name() == "struct torch::autograd::AccumulateGrad":
                    assert not isinstance(node.variable, nn.Parameter)
                waiting += [following for following, _ in node.next_functions]
        seen.backward(seen.logits.argmax(1))
    assert Watched.passed == 0
    capture(chosen, x, ["one", "two"])
    assert Watched.passed == 1
    assert all(parameter.grad is None for parameter in chosen.module.parameters())


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_wrapped_networks(x: Tensor, wrap: Callable[[nn.Module], Any]) -> None:
    network = Net()
    expected = capture(model(network), x, ["one"]).layers["one"].gradient
    wrapped = load_model(wrap(network), classes=CLASSES, input_size=SIZE)
    assert torch.equal(capture(wrapped, x, ["one"]).layers["one"].gradient, expected)
