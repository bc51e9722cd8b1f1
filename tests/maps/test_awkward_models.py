"""Models that trip engines up: each works, or is refused with a reason."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.compute import compute_maps
from interpfer.models.loading import load_model

CLASSES = ["anger", "fear", "sadness"]
SIZE = 32
MAPS = ["attention", "gradcam", "gradcam++", "layercam", "xgradcam", "hirescam", "eigencam", "cam"]


class Net(nn.Module):
    def __init__(self, inplace: bool = False, wrap: Callable[[Tensor], Any] = lambda logits: logits) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6))
        self.relu1 = nn.ReLU(inplace=inplace)
        self.two = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8))
        self.relu2 = nn.ReLU(inplace=inplace)
        self.drop, self.fc, self.wrap = nn.Dropout(), nn.Linear(8, 3), wrap

    def forward(self, x: Tensor) -> Any:
        x = self.relu2(self.two(self.relu1(self.one(x))))
        return self.wrap(self.fc(self.drop(x.mean((2, 3)))))


def net(**arguments: Any) -> Net:
    torch.manual_seed(0)
    made = Net(**arguments)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(1))
    return made


def maps_of(network: nn.Module, layers: list[str] | None = None, **card: Any) -> dict[tuple[str, str], Tensor]:
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    model = load_model(network, classes=CLASSES, input_size=SIZE, **card)
    return compute_maps(model, images, MAPS, layers=layers or ["one", "relu1", "two", "relu2"], targets=[0, 1, 2])


@pytest.fixture
def plain() -> dict[tuple[str, str], Tensor]:
    return maps_of(net().eval())


def assert_same(found: dict[Any, Tensor], plain: dict[Any, Tensor], tolerance: float = 1e-4) -> None:
    assert found.keys() == plain.keys()
    for key, raw in found.items():
        scale = float(plain[key].nan_to_num().abs().max())
        torch.testing.assert_close(raw, plain[key], rtol=tolerance, atol=tolerance * scale + 1e-7, equal_nan=True)


def test_relu_that_works_in_place_after_the_layer(plain: dict[Any, Tensor]) -> None:
    assert_same(maps_of(net(inplace=True)), plain)
    assert float(plain["attention", "one"].min()) < 0  # the layer's own output, not what the ReLU made of it


def test_frozen_parameters_and_gradients_left_alone(plain: dict[Any, Tensor]) -> None:
    network = net()
    network.requires_grad_(False)
    network.fc.weight.requires_grad_(True)
    network.fc.weight.grad = torch.ones(3, 8)
    assert_same(maps_of(network), plain)
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["fc.weight"]
    assert torch.equal(network.fc.weight.grad, torch.ones(3, 8))
    assert network.two[0].weight.grad is None


def test_train_mode_is_evaluated_and_put_back(plain: dict[Any, Tensor]) -> None:
    network = net().train()
    network.drop.eval()
    before = copy.deepcopy(network.state_dict())
    assert_same(maps_of(network), plain)
    assert [module.training for module in (network, network.drop, network.two)] == [True, False, True]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(plain: dict[Any, Tensor], dtype: torch.dtype) -> None:
    found = maps_of(net().to(dtype))
    for key, raw in found.items():
        assert raw.dtype == torch.float32
        if not plain[key].isnan().any():
            assert torch.cosine_similarity(raw.flatten(1), plain[key].flatten(1)).min() > 0.99, key
    assert found["cam", "relu2"].isfinite().all()


@pytest.mark.parametrize("kind", ["bf16", "fp16"])
def test_autocast_is_an_option_and_off_by_default(plain: dict[Any, Tensor], kind: str) -> None:
    model = load_model(net(), classes=CLASSES, input_size=SIZE)
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    layers = ["one", "relu1", "two", "relu2"]
    found = compute_maps(model, images, MAPS, layers=layers, targets=[0, 1, 2], autocast=kind)
    assert found.keys() == plain.keys()  # cam too: its head is recognised in half precision
    for key, raw in found.items():
        assert raw.dtype == torch.float32
        if not plain[key].isnan().any():
            assert torch.cosine_similarity(raw.flatten(1), plain[key].flatten(1)).min() > 0.97, key
    assert not torch.equal(found["gradcam", "relu2"], plain["gradcam", "relu2"])
    again = compute_maps(model, images, MAPS, layers=layers, targets=[0, 1, 2])
    assert_same(again, plain)  # the model is as it was
    with pytest.raises(InterpferError, match=r"autocast must be one of off, bf16, fp16, got 'bf61'. Did you mean bf16"):
        compute_maps(model, images, autocast="bf61")


@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_small_gradients_survive_float16(how: str) -> None:
    network = net()
    network.fc.weight.data *= 1e-3
    expected = maps_of(copy.deepcopy(network))["layercam", "one"]
    model = load_model(network.half() if how == "weights" else network, classes=CLASSES, input_size=SIZE)
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    kind = "off" if how == "weights" else "fp16"
    found = compute_maps(model, images, ["layercam"], layers=["one"], targets=[0, 1, 2], autocast=kind)
    assert torch.cosine_similarity(found["layercam", "one"].flatten(1), expected.flatten(1)).min() > 0.98


def test_channels_last(plain: dict[Any, Tensor]) -> None:
    assert_same(maps_of(net().to(memory_format=torch.channels_last)), plain)


def test_data_parallel_is_unwrapped(plain: dict[Any, Tensor]) -> None:
    assert_same(maps_of(nn.DataParallel(net())), plain)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["whole", "part", "in place"])
def test_compiled(plain: dict[Any, Tensor], how: str) -> None:
    network: Any = net()
    layers = ["one", "relu1", "two", "relu2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "whole":
            network = torch.compile(network, backend="eager")
        elif how == "part":
            network.two = torch.compile(network.two, backend="eager")
        else:
            network.compile(backend="eager")
        network.eval()(torch.rand(1, 3, SIZE, SIZE))  # compiled before it is looked into
        assert_same(maps_of(network, layers), plain)
        if how == "part":
            inner = maps_of(network, ["two._orig_mod.1", "relu2"])
            torch.testing.assert_close(inner["gradcam", "two._orig_mod.1"], plain["gradcam", "two"])


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda y: (y, y.new_zeros(len(y), 9)), None),
        (lambda y: (y + 1, y), 1),
        (lambda y: {"logits": y, "features": y.new_zeros(len(y), 9)}, None),
        (lambda y: y[:, :, None, None], None),
    ],
)
def test_outputs_that_are_more_than_logits(plain: dict[Any, Tensor], wrap: Any, output: int | None) -> None:
    assert_same(maps_of(net(wrap=wrap), output=output), plain)


class Pair(nn.Module):
    """A layer that returns its grid and something else."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.inner(x), None


def test_a_layer_that_returns_a_tuple(plain: dict[Any, Tensor]) -> None:
    network = net()
    pair = Pair(network.two)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair, self.rest = pair, network

        def forward(self, x: Tensor) -> Tensor:
            x, _ = self.pair(self.rest.relu1(self.rest.one(x)))
            return self.rest.fc(self.rest.relu2(x).mean((2, 3)))

    found = maps_of(Outer(), ["pair", "rest.relu2"])
    torch.testing.assert_close(found["gradcam", "pair"], plain["gradcam", "two"])


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.conv, self.fc = nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(5, 5, 3, padding=1), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.stem(x)).relu()
        return self.fc(self.conv(x).relu().mean((2, 3)))


def test_a_layer_that_runs_twice_needs_the_number_of_its_call() -> None:
    with pytest.raises(ModelError, match=r"layer conv of model Twice ran 2 times .* name the call: conv@1, conv@2"):
        maps_of(Twice(), ["conv"])
    with pytest.raises(ModelError, match=r"layer conv@3 of model Twice ran 2 times .* choose another"):
        maps_of(Twice(), ["conv@3"])
    with pytest.raises(ModelError, match="no spatial layer 'cinv@2'"):
        maps_of(Twice(), ["cinv@2"])
    network = Twice()
    images = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    model = load_model(network, classes=CLASSES, input_size=SIZE)
    found = compute_maps(model, images, ["attention", "ablationcam"], layers=["conv@1", "conv@2"])
    first = network.conv(network.stem(images))
    torch.testing.assert_close(found["attention", "conv@1"], first.mean(1).detach())
    torch.testing.assert_close(found["attention", "conv@2"], network.conv(first.relu()).mean(1).detach())
    assert not torch.equal(found["ablationcam", "conv@1"], found["ablationcam", "conv@2"])


def test_nothing_spatial_lists_what_the_layers_return() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 7), nn.Linear(7, 3))
    with pytest.raises(ModelError, match=r"no layer can be mapped. Its layers return 0 \(3072\), 1 \(7\), 2 \(3\)"):
        maps_of(network, "last")


def test_the_model_is_left_as_found_when_a_map_raises() -> None:
    network = net().train()
    model = load_model(network, classes=CLASSES, input_size=SIZE)
    with pytest.raises(ModelError, match="map 'attention-rollout' cannot be computed for model Net at input"):
        compute_maps(model, torch.rand(1, 3, SIZE, SIZE), ["attention-rollout"])
    network.fc = nn.Linear(9, 3)  # the forward breaks
    with pytest.raises(ModelError, match="shapes cannot be multiplied"):
        compute_maps(model, torch.rand(1, 3, SIZE, SIZE), ["gradcam"], layers=["two"])
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
