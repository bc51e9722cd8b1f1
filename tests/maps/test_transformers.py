"""Transformers give maps without a reshape being named; attention is rolled out."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from interpfer.errors import ModelError
from interpfer.maps.compute import compute_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from tests.oracles import map_engine as oracle

CLASSES = ["anger", "fear", "sadness"]
SIZE = 64
MAPS = ["attention", "gradcam", "layercam", "hirescam", "eigencam"]
ROLLED = ["attention-rollout", "class-token-attention", "gradient-rollout", "gradient-attention"]


def timm_vit(**arguments: object) -> nn.Module:
    small = {"img_size": SIZE, "patch_size": 16, "depth": 3, "embed_dim": 32, "num_heads": 2, "num_classes": 3}
    return timm.create_model("vit_tiny_patch16_224", **small | arguments)


def deit() -> nn.Module:
    small = {"img_size": SIZE, "depth": 2, "embed_dim": 32, "num_heads": 2, "num_classes": 3}
    return timm.create_model("deit_tiny_distilled_patch16_224", **small)


def swin() -> nn.Module:
    small = {"embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4, "num_classes": 3}
    return timm.create_model("swin_tiny_patch4_window7_224", img_size=SIZE, **small)


def convnext() -> nn.Module:
    return timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 12, 16, 20), num_classes=3)


def maxvit() -> nn.Module:
    return timm.create_model("maxvit_rmlp_pico_rw_256", img_size=SIZE, num_classes=3)


def hugging_face() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import ViTConfig, ViTForImageClassification

        config = ViTConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=48,
            image_size=SIZE,
            patch_size=16,
            num_labels=3,
        )
        return ViTForImageClassification(config)


def torchvision_vit() -> nn.Module:
    return VisionTransformer(SIZE, 16, 3, 2, 32, 48, num_classes=3)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], int]] = {
    "vit": (timm_vit, (4, 4), 4),
    "vit with registers": (lambda: timm_vit(reg_tokens=4), (4, 4), 4),
    "vit, mean of the patches": (lambda: timm_vit(class_token=False, global_pool="avg"), (4, 4), 3),
    "deit": (deit, (4, 4), 3),
    "swin": (swin, (8, 8), 2),
    "convnext": (convnext, (2, 2), 4),
    "maxvit": (maxvit, (2, 2), 4),
    "hugging face": (hugging_face, (4, 4), 3),
    "torchvision": (torchvision_vit, (4, 4), 2),
}


def load(name: str) -> Model:
    torch.manual_seed(0)
    network = NETWORKS[name][0]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # some start at zero
    return load_model(network, classes=CLASSES, input_size=SIZE, name=name)


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_without_naming_a_reshape(name: str) -> None:
    model = load(name)
    _, grid, ends = NETWORKS[name]
    last = model.layers("last")[0]
    assert model.layer(last).grid == grid
    found = model.layers("all")
    assert len(found) >= min(ends, 2)
    maps = compute_maps(model, images(), MAPS, layers="all", targets=[0, 2])
    for (method, layer), raw in maps.items():
        assert raw.shape == (2, *model.layer(layer).grid)
        assert raw.isfinite().all(), (method, layer)
    assert maps["hirescam", last].any()
    assert maps["attention", last].std() > 0


@pytest.mark.parametrize("name", ["vit", "swin", "convnext", "hugging face"])
def test_a_patch_is_where_it_is_in_the_picture(name: str) -> None:
    model = load(name)
    layer = model.layers("all")[0]
    side = model.layer(layer).grid[0]
    plain, spot = torch.full((2, 1, 3, SIZE, SIZE), 0.5)
    spot = spot.clone()
    cell = SIZE // 4
    spot[:, :, : cell // 2, -cell // 2 :] = 1.0  # upper right
    found = [compute_maps(model, picture, ["attention"], [layer])["attention", layer][0] for picture in (plain, spot)]
    row, column = divmod(int((found[1] - found[0]).abs().argmax()), side)
    assert row < side / 2 <= column


@pytest.mark.parametrize("name", ["vit", "vit with registers", "hugging face", "torchvision", "deit"])
def test_attention_is_rolled_out(name: str) -> None:
    model = load(name)
    maps = compute_maps(model, images(), ROLLED, targets=[0, 2])
    other = compute_maps(model, images(), ROLLED, targets=[1, 2])
    for method in ROLLED:
        raw = maps[method, "input"]
        assert raw.shape == (2, 4, 4)
        assert (raw >= 0).all()
        assert raw[0].std() > 0, method
        assert torch.allclose(raw[1], other[method, "input"][1])
        assert torch.allclose(raw[0], other[method, "input"][0]) == (not method.startswith("gradient"))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.module.modules())
    assert getattr(getattr(model.module, "config", None), "_attn_implementation", "sdpa") == "sdpa"
    assert all(getattr(module, "fused_attn", True) for module in model.module.modules())


def by_hand(model: Model, x: Tensor) -> tuple[list[np.ndarray], Tensor]:
    """Probabilities of each block of one picture, (heads, t, t), and the last tokens, (t, c), of a ViT of timm."""
    tokens: dict[int, Tensor] = {}
    network = model.module
    handles = [
        block.attn.register_forward_pre_hook(lambda _, inputs, i=i: tokens.__setitem__(i, inputs[0].detach()))
        for i, block in enumerate(network.blocks)
    ]
    network.eval()
    with torch.no_grad():
        last = network.forward_features(x)[0]
    for handle in handles:
        handle.remove()
    blocks = []
    for index, block in enumerate(network.blocks):
        q, k, _ = block.attn.qkv(tokens[index]).reshape(1, -1, 3, 2, 16).permute(2, 0, 3, 1, 4).unbind()
        blocks.append((q @ k.mT / 16**0.5).softmax(-1)[0].detach().double().numpy())
    return blocks, last


@pytest.mark.parametrize(("name", "prefix"), [("vit", 1), ("vit with registers", 5)])
def test_rollout_is_the_plain_formula(name: str, prefix: int) -> None:
    model, x = load(name), images(1)
    blocks, _ = by_hand(model, x)
    raw = compute_maps(model, x, ["attention-rollout", "class-token-attention"])
    np.testing.assert_allclose(raw["attention-rollout", "input"][0], oracle.rollout(blocks, 4, prefix), rtol=1e-4)
    row = blocks[-1].mean(0)[0, prefix:].reshape(4, 4)
    np.testing.assert_allclose(raw["class-token-attention", "input"][0], row, rtol=1e-4)


@pytest.mark.parametrize(("name", "prefix"), [("vit", 1), ("vit with registers", 5)])
def test_ts_cam_is_the_plain_formula(name: str, prefix: int) -> None:
    model, x = load(name), images(1)
    blocks, tokens = by_hand(model, x)
    weight = model.module.head.weight[2].detach().double().numpy()
    raw = compute_maps(model, x, ["ts-cam"], targets=[2])["ts-cam", "input"][0]
    expected = oracle.ts_cam(blocks, tokens.double().numpy(), weight, 4, prefix)
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


class SemanticHead(nn.Module):
    """A ViT as TS-CAM has it: patch tokens of the last block, a convolution to the classes, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.vit, self.head = timm_vit(), nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.vit.forward_features(x)[:, 1:]
        return self.head(tokens.mT.reshape(len(x), 32, 4, 4)).mean((2, 3))


def test_ts_cam_of_a_network_that_was_built_for_it() -> None:
    torch.manual_seed(0)
    network = SemanticHead().eval()
    model, x = load_model(network, classes=CLASSES, input_size=SIZE), images()
    raw = compute_maps(model, x, ["ts-cam"], targets=[0, 2])["ts-cam", "input"]
    vit = load_model(network.vit, classes=CLASSES, input_size=SIZE)
    for picture, target, found in zip(x, (0, 2), raw, strict=True):
        blocks, tokens = by_hand(vit, picture[None])
        looked = torch.from_numpy(np.mean([block.mean(0)[0, 1:] for block in blocks], 0)).float().reshape(4, 4)
        grid = tokens[1:].T.reshape(1, 32, 4, 4)
        classes = nn.functional.conv2d(grid, network.head.weight.detach(), padding=1)[0]
        expected = looked * classes[target] / 16
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["hugging face", "torchvision"])
def test_ts_cam_knows_the_class_wherever_the_network_comes_from(name: str) -> None:
    model = load(name)
    one, other = (compute_maps(model, images(), ["ts-cam"], targets=[0, k])["ts-cam", "input"] for k in (1, 2))
    assert torch.equal(one[0], other[0])
    assert not torch.allclose(one[1], other[1])
    assert one.shape == (2, 4, 4)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vit, mean of the patches", "needs a transformer with a class token"),
        ("convnext", "needs a transformer with a class token"),
        ("swin", "needs a transformer with a class token"),
        ("deit", "needs a head of pooling and one linear layer"),
    ],
)
def test_ts_cam_is_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=f"map 'ts-cam' cannot be computed for model {name} at input: .*{reason}"):
        compute_maps(load(name), images(), ["ts-cam"])


def test_attention_in_windows_is_refused() -> None:
    with pytest.raises(
        ModelError, match="map 'attention-rollout' cannot be computed .* not of all tokens to all tokens"
    ):
        compute_maps(load("swin"), images(), ["attention-rollout"])
    with pytest.raises(ModelError, match="no attention was found"):
        compute_maps(load("convnext"), images(), ["gradient-rollout"])


def test_last_layer_of_a_vit_reaches_the_logits() -> None:
    # trap: after class-token pooling the last block's patch tokens get no gradient; the norm before it does
    model = load("vit")
    assert model.layers("last") == ("blocks.2.norm1",)
    maps = compute_maps(model, images(), ["hirescam"], ["blocks.2", "blocks.2.norm1"])
    assert not maps["hirescam", "blocks.2"].any()
    assert maps["hirescam", "blocks.2.norm1"].any()
