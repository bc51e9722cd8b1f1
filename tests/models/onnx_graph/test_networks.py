"""Networks of every kind, exported at every opset: outputs and gradients are those of torch's own network."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import interpfer
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.onnx_graph import OnnxNetwork, convert_graph

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = 16
CLASSES = ["anger", "fear", "sadness"]
OPSETS = (7, 9, 11, 12, 13, 15, 17, 18, 20, 21)
EXPORTED = 20
"""Newest opset of torch's older exporter; onnx converts its files to newer ones."""


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1))
        self.down = nn.AvgPool2d(2, count_include_pad=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        x = torch.relu(x + self.body(x))
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(self.down(x), 1), 1))


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze and excitation, hard swish."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.Hardswish())
        self.squeeze = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU6(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid())
        self.head = nn.Sequential(nn.Linear(8, 12), nn.PReLU(), nn.Dropout(0.2), nn.Linear(12, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x))
        x = x * self.squeeze(x.mean((2, 3), keepdim=True))
        return self.head(x.mean((2, 3))).log_softmax(1)


class Transformer(nn.Module):
    """Patches, a class token, attention that is written out, GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 17, 12))
        self.norms = nn.ModuleList(nn.LayerNorm(12) for _ in range(3))
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        qkv = self.qkv(self.norms[0](x)).reshape(x.shape[0], 17, 3, 2, 6).permute(2, 0, 3, 1, 4)
        attention = (qkv[0] @ qkv[1].transpose(-2, -1) * 6**-0.5).softmax(-1)
        x = x + self.proj((attention @ qkv[2]).transpose(1, 2).reshape(x.shape[0], 17, 12))
        x = x + self.mlp(self.norms[1](x))
        return self.head(self.norms[2](x)[:, 0])


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ELU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(6 * 36, 3), nn.Softmax(1),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": plain, "residual": Residual, "mobile": Mobile, "transformer": Transformer,
}  # fmt: skip


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    module = NETWORKS[request.param]()
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.running_var, 0.5, 2)
            nn.init.normal_(each.running_mean)
    return module.eval()


def export(network: nn.Module, path: Path, opset: int, is_free: bool = True, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(2 if is_free else 1, 3, SIZE, SIZE),), str(path), opset_version=min(opset, EXPORTED),
            input_names=["x"], dynamic_axes={"x": {0: "n"}} if is_free else None, **({"dynamo": False} | options),
        )  # fmt: skip
        if opset > EXPORTED:
            onnx.save(onnx.version_converter.convert_version(onnx.load(path), opset), path)
    return path


def gradient(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    output = network(x)
    return output, torch.autograd.grad(output[:, 1].sum(), x)[0]


@pytest.mark.parametrize("opset", OPSETS)
def test_outputs_and_gradients_are_those_of_torch(network: nn.Module, opset: int, tmp_path: Path) -> None:
    if isinstance(network, Transformer) and opset == 7:
        pytest.skip("the exporter needs Expand of opset 8")
    converted = convert_graph(onnx.load(export(network, tmp_path / "net.onnx", opset)))
    for count in (1, 2, 5):
        x = torch.randn(count, 3, SIZE, SIZE)
        for actual, expected in zip(gradient(converted, x), gradient(network, x), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("opset", [9, 18])
def test_maps_are_those_of_torch(network: nn.Module, opset: int, tmp_path: Path) -> None:
    path = export(network, tmp_path / "net.onnx", opset)
    model = interpfer.load_model(path, classes=CLASSES, input_size=SIZE)
    own = interpfer.load_model(network, classes=CLASSES, input_size=SIZE)
    assert model.program is None
    assert isinstance(model.module, OnnxNetwork)
    assert any("same outputs as onnxruntime" in note for note in model.notes)
    x, target = torch.rand(3, 3, SIZE, SIZE), torch.tensor([0, 1, 2])
    layers = ("last", "last")
    if isinstance(network, Transformer):
        layers = tuple(_last_norm(each) for each in (model, own))
    for name in ("gradcam", "layercam", "saliency"):
        actual, expected = (
            next(iter(interpfer.compute_maps(each, x, [name], layer, target).values()))
            for each, layer in zip((model, own), layers, strict=True)
        )
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def _last_norm(model: Any) -> str:
    return model.layers("last")[-1]


@pytest.mark.parametrize("opset", [11, 17])
def test_a_file_for_one_image_takes_batches(network: nn.Module, opset: int, tmp_path: Path) -> None:
    data = read_checkpoint(export(network, tmp_path / "net.onnx", opset, is_free=False))
    assert isinstance(data.module, OnnxNetwork)
    x = torch.randn(5, 3, SIZE, SIZE)
    for actual, expected in zip(gradient(data.module, x), gradient(network, x), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_attention_of_torch_for_one_image_takes_batches(tmp_path: Path) -> None:
    """nn.MultiheadAttention merges batch and heads, so the shapes in the file do not tell which axis holds images."""
    attention = nn.MultiheadAttention(8, 2)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.attention, self.head = nn.Conv2d(3, 8, 4, 4), attention, nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patches(x).flatten(2).permute(2, 0, 1)
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(0))

    network = Network().eval()
    data = read_checkpoint(export(network, tmp_path / "net.onnx", 17, is_free=False))
    assert isinstance(data.module, OnnxNetwork)
    x = torch.randn(5, 3, SIZE, SIZE)
    torch.testing.assert_close(data.module(x), network(x), rtol=1e-4, atol=1e-4)
