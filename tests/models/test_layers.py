import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.layer import Layer
from interpfer.models.loading import load_model
from interpfer.models.model import Model

CLASSES = ["anger", "fear", "sadness"]
SIZE = 64


@cache
def built(source: str, name: str, size: int = SIZE) -> Model:
    if source == "timm":
        import timm

        network = timm.create_model(
            name, num_classes=3, **({"img_size": size} if "vit" in name or "swin" in name else {})
        )
    else:
        from torchvision.models import get_model

        network = get_model(name, num_classes=3, **({"image_size": size} if "vit" in name else {}))
        if "vit" in name:
            nn.init.normal_(network.heads.head.weight)  # torchvision begins with zeros, by which nothing is of use
    return load_model(network, classes=CLASSES, input_size=size)


EXPECTED: dict[tuple[str, str], dict[str, tuple[int, int]]] = {
    ("torchvision", "resnet18"): {"layer1": (16, 64), "layer2": (8, 128), "layer3": (4, 256), "layer4": (2, 512)},
    ("torchvision", "mobilenet_v3_small"): {
        "features.0": (32, 16),
        "features.1": (16, 16), "features.3": (8, 24), "features.8": (4, 48), "features.12": (2, 576),
    },
    ("torchvision", "convnext_tiny"): {
        "features.1": (16, 96), "features.3": (8, 192), "features.5": (4, 384), "features.7": (2, 768),
    },
    ("timm", "resnet10t"): {
        "conv1": (32, 64), "layer1": (16, 64), "layer2": (8, 128), "layer3": (4, 256), "layer4": (2, 512),
    },
    ("timm", "swin_tiny_patch4_window7_224"): {
        "layers.0": (16, 96), "layers.1": (8, 192), "layers.2": (4, 384), "layers.3": (2, 768),
    },
}  # fmt: skip


@pytest.mark.parametrize(("source", "name"), EXPECTED)
def test_ends_of_stages(source: str, name: str) -> None:
    chosen = built(source, name)
    shapes = {layer.name: (layer.grid[0], layer.channels) for layer in chosen.spatial_layers}
    expected = EXPECTED[source, name]
    assert {layer: shapes[layer] for layer in chosen.layers("all")} == expected
    assert chosen.layers("last") == (list(expected)[-1],)


@pytest.mark.parametrize(("source", "name"), [("timm", "vit_tiny_patch16_224"), ("torchvision", "vit_b_32")])
def test_a_vit_stops_where_its_patches_still_reach_the_logits(source: str, name: str) -> None:
    chosen = built(source, name)
    layers = chosen.layers("all")
    used = {layer.name: layer.is_used for layer in chosen.spatial_layers}
    assert all(used[layer] for layer in layers)
    assert [layer.rpartition(".")[2].rpartition("_")[2] for layer in layers[:-1]] == [str(i) for i in range(11)]
    assert layers[-1].endswith((".11.norm1", "_11.ln_1"))
    assert chosen.layers("last") == layers[-1:]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.deep = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.act(self.deep(self.act(self.stem(x))))).flatten(1))


def test_a_network_without_stages_offers_its_layers() -> None:
    chosen = load_model(Small(), classes=CLASSES, input_size=16)
    names = {layer.name: layer.grid for layer in chosen.spatial_layers}
    assert names["stem"] == (8, 8)
    assert names["deep"] == (4, 4)
    assert "pool" not in names
    assert "fc" not in names
    assert chosen.layers("last")[0] in ("act", "deep")


def test_the_layers_of_the_card_come_first() -> None:
    chosen = load_model(Small(), classes=CLASSES, input_size=16, layers=["stem", "deep"])
    assert chosen.layers("all") == ("stem", "deep")
    assert chosen.layers("last") == ("deep",)
    assert chosen.layers(["deep", "stem", "deep"]) == ("deep", "stem")
    assert chosen.layers("stem") == ("stem",)


def test_an_unknown_layer_suggests_and_lists() -> None:
    chosen = built("torchvision", "resnet18")
    with pytest.raises(ModelError) as error:
        chosen.layers(["layer5"])
    text = str(error.value)
    assert text.startswith("model ResNet has no spatial layer 'layer5'. Did you mean layer")
    assert (
        "Its stages end in layer1 (64 x 16 x 16), layer2 (128 x 8 x 8), layer3 (256 x 4 x 4), layer4 (512 x 2 x 2)"
        in text
    )
    assert re.search(r"`interpfer inspect` lists all \d+ layers\.$", text)
    with pytest.raises(ModelError, match="no spatial layer 'fc'"):
        chosen.layers("fc")


def test_no_grid_at_all() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    with pytest.raises(ModelError, match="no layer has a spatial output of at least 2 x 2, so no layer can be mapped"):
        load_model(network, classes=CLASSES, input_size=8).layers("last")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Layer("a", 5, (3, 3), "nchw"), (2, 5, 3, 3)),
        (Layer("a", 5, (3, 3), "nhwc"), (2, 3, 3, 5)),
        (Layer("a", 5, (3, 3), "tokens", 0), (2, 9, 5)),
        (Layer("a", 5, (3, 3), "tokens", 2), (2, 11, 5)),
    ],
)
def test_any_layout_becomes_channels_on_a_grid(layer: Layer, shape: tuple[int, ...]) -> None:
    output = torch.rand(shape)
    grid = layer.to_grid(output)
    assert grid.shape == (2, 5, 3, 3)
    for row in range(3):
        for column in range(3):
            expected: Any = {
                "nchw": lambda r, c: output[:, :, r, c],
                "nhwc": lambda r, c: output[:, r, c, :],
                "tokens": lambda r, c: output[:, layer.prefix + 3 * r + c],
            }[layer.layout](row, column)
            assert torch.equal(grid[:, :, row, column], expected)


def test_looking_for_layers_leaves_no_trace() -> None:
    network = Small().train()
    network.act.eval()
    network.fc.weight.requires_grad_(False)
    chosen = load_model(network, classes=CLASSES, input_size=16)
    state = torch.get_rng_state()
    assert chosen.spatial_layers
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in (network, network.stem, network.act)] == [True, True, False]
    assert [p.requires_grad for p in network.parameters()] == [True] * 4 + [False, True]
    assert all(not m._forward_hooks for m in network.modules())
    assert all(p.grad is None for p in network.parameters())
