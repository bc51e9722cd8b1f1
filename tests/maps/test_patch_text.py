"""Similarity maps of patches and texts: known answers, and the library's own modules on one patch alone."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps import MAPS as ALL_MAPS
from interpfer.maps.compute import compute_maps
from interpfer.models.image_text.architecture import from_image_text
from interpfer.models.image_text.patches import embed_patches_by_surgery, feature_surgery
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.testing import check_map

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = ["anger", "fear", "sadness"]
MAPS = ["patch-text", "patch-text-surgery"]


def make(kind: str, aus: int = 0) -> Model:
    """Return a random image tower with random texts."""
    torch.manual_seed(1)
    vision: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "patch_size": 8}
    vision |= {"num_attention_heads": 2} | ({"num_patches": 16} if kind == "siglip2" else {"image_size": 32})
    own = {"projection_dim": 12} if kind == "clip" else {}
    network: Any = from_image_text(kind, 3 + aus, vision_config=vision, au_count=aus, **own)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
        for texts in (network.text, network.au_text):
            texts.copy_(F.normalize(torch.randn_like(texts), dim=1))
        network.scale.fill_(5)
        network.bias.fill_(-1)
        network.au_bias.fill_(0.5)
    fields: dict[str, Any] = {"aus": list(range(1, aus + 1)), "aus_output": "aus"} if aus else {}
    return load_model(network.eval(), classes=CLASSES, input_size=32, output="logits", **fields)


@pytest.fixture(scope="module", params=["clip", "siglip", "siglip2"])
def model(request: pytest.FixtureRequest) -> Model:
    return make(request.param)


def test_a_patch_alone_has_the_logits_of_the_library(model: Model) -> None:
    """With A = I in the last attention each patch is compared as if the class token, or the probe, saw it alone."""
    network: Any = model.module
    images, targets = torch.rand(2, 3, 32, 32), [2, 0]
    maps = compute_maps(model, images, ["patch-text"], targets=targets)["patch-text", "input"]
    vision = getattr(network.tower, "vision_model", network.tower)
    given: list[Tensor] = []
    module = vision.encoder.layers[-1] if network.kind == "clip" else vision.head
    handle = module.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    with torch.no_grad():
        model.logits(model.preprocess(images))
    handle.remove()
    for row, target in enumerate(targets):
        for cell in range(16):
            with torch.no_grad():
                if network.kind == "clip":  # the block, the norm and the projection of one token
                    token = given[0][row : row + 1, cell + 1 : cell + 2]
                    feature = network.projection(vision.post_layernorm(module(token, None)[:, 0]))
                else:  # the pooling head, with all other patches masked
                    mask = torch.full((16,), -torch.inf).index_fill(0, torch.tensor([cell]), 0.0).view(1, 16)
                    probe = vision.head.probe
                    tokens = given[0][row : row + 1]
                    pooled = vision.head.attention(probe, tokens, tokens, attn_mask=mask)[0]
                    feature = (pooled + vision.head.mlp(vision.head.layernorm(pooled)))[:, 0]
            similarity = 5 * F.cosine_similarity(feature[0], network.text[target], dim=0)  # without the bias
            torch.testing.assert_close(maps[row, cell // 4, cell % 4], similarity, atol=1e-5, rtol=1e-4)


def test_surgery_restated_head_by_head() -> None:
    model = make("clip")
    network: Any = model.module
    images = torch.rand(1, 3, 32, 32)
    x = model.preprocess(images)
    maps = compute_maps(model, images, ["patch-text-surgery"], targets=[1])["patch-text-surgery", "input"]
    with torch.no_grad():
        tokens = network.tower.pre_layrnorm(network.tower.embeddings(x))
        path = tokens  # all of its 3 blocks are among the last 6
        for block in network.tower.encoder.layers:
            values = block.self_attn.v_proj(block.layer_norm1(tokens))[0]
            heads = []
            for part in values.split(8, dim=1):
                weights = torch.softmax(part @ part.T / 8**0.5, 1)
                heads.append(weights @ part)
            path = path + block.self_attn.out_proj(torch.cat(heads, 1))[None]
            tokens = block(tokens, None)
        rows = network.projection(network.tower.post_layernorm(path[0, 1:]))
        rows = rows / rows.norm(dim=1, keepdim=True)
        whole = network.embed(x)[0]
        prob = torch.softmax(2 * whole @ network.text.T, 0)
        factor = prob / prob.mean()
        products = rows[:, None] * network.text[None] * factor[:, None]  # cells, classes, channels
        expected = (products - products.mean(1, keepdim=True)).sum(2)
    torch.testing.assert_close(maps[0].flatten(), expected[:, 1], atol=1e-6, rtol=1e-4)


def test_surgery_maps_sum_to_zero() -> None:
    maps, whole = torch.randn(2, 4, 9), torch.randn(2, 4)
    torch.testing.assert_close(feature_surgery(maps, whole).sum(1), torch.zeros(2, 9), atol=1e-6, rtol=0)
    model = make("clip")
    images = torch.rand(2, 3, 32, 32)
    total = sum(compute_maps(model, images, MAPS[1:], targets=[k, k])[MAPS[1], "input"] for k in range(3))
    torch.testing.assert_close(total, torch.zeros(2, 4, 4), atol=1e-6, rtol=0)


def test_maps_of_any_transformer_read_the_class_token_of_clip() -> None:
    """value-cam is patch-text with the bias; LeGrad of the last two blocks, restated."""
    model = make("clip", aus=2)
    images = torch.rand(2, 3, 32, 32)
    maps = compute_maps(model, images, ["value-cam", "patch-text", "legrad", "grad-eclip"], targets=[2, 0])
    torch.testing.assert_close(maps["value-cam", "input"], maps["patch-text", "input"] - 1)
    of_aus = compute_maps(model.for_aus(), images, ["value-cam", "patch-text", "legrad"], targets=[1, 0])
    torch.testing.assert_close(of_aus["value-cam", "input"], of_aus["patch-text", "input"] + 0.5)
    assert not torch.allclose(of_aus["legrad", "input"], maps["legrad", "input"])
    network: Any = model.module
    network.tower.config._attn_implementation = "eager"
    weights: list[Tensor] = []
    tokens: list[Tensor] = []
    for block in network.tower.encoder.layers:
        block.self_attn.register_forward_hook(lambda _, __, output: weights.append(output[1]))
        block.register_forward_hook(lambda _, __, output: tokens.append(output))
    model.logits(model.preprocess(images).requires_grad_())
    total = torch.zeros(2, 17)
    for attention, after in zip(weights[-2:], tokens[-2:], strict=True):
        feature = network.projection(network.tower.post_layernorm(after.mean(1)))
        scores = 5 * F.normalize(feature, dim=1) @ network.text.T
        (slope,) = torch.autograd.grad(scores[0, 2] + scores[1, 0], attention, retain_graph=True)
        total += slope.relu().mean((1, 2))
    torch.testing.assert_close(maps["legrad", "input"].flatten(1), total[:, 1:], atol=1e-7, rtol=1e-3)


def test_texts_of_action_units_have_maps() -> None:
    model = make("clip", aus=2).for_aus()
    images = torch.rand(2, 3, 32, 32)
    a, b = (compute_maps(model, images, MAPS, targets=[k, k]) for k in (0, 1))
    assert not torch.allclose(a["patch-text", "input"], b["patch-text", "input"])
    torch.testing.assert_close(a[MAPS[1], "input"], -b[MAPS[1], "input"])  # of two that sum to 0


@pytest.mark.parametrize("name", MAPS)
def test_they_pass_the_checks_of_a_map(name: str) -> None:
    check_map(ALL_MAPS.get(name), make("clip"))


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_rollouts_end_in_the_probe_that_pools(kind: str) -> None:
    """SigLIP has no class token: what its pooling head attends to is the last row, without a residual path."""
    model = make(kind)
    network: Any = model.module
    vision = getattr(network.tower, "vision_model", network.tower)
    images = torch.rand(1, 3, 32, 32)
    names = ["class-token-attention", "attention-rollout", "gradient-attention", "gradient-rollout", "grad-eclip"]
    maps = compute_maps(model, images, names, targets=[2])
    refined = compute_maps(model, images, ["patch-text.affinity", "patch-text.affinity-qkv"], targets=[2])
    assert all(value.isfinite().all() for value in refined.values())  # the probe's row is no affinity of patches
    vision.config._attn_implementation = "eager"
    stack: list[Tensor] = []
    for block in vision.encoder.layers:
        block.self_attn.register_forward_hook(lambda _, __, output: stack.append(output[1]))
    probe: list[Tensor] = []
    own = vision.head.attention.forward
    vision.head.attention.forward = lambda q, k, v, **_: own(q, k, v, need_weights=True, average_attn_weights=False)
    vision.head.attention.register_forward_hook(lambda _, __, output: probe.append(output[1]._base))  # the graph's
    seen: list[Tensor] = []
    vision.post_layernorm.register_forward_hook(lambda _, __, output: seen.append(output))
    chosen = model.logits(model.preprocess(images).requires_grad_())[0, 2]
    slopes = torch.autograd.grad(chosen, [*stack, probe[0]])
    rolled, relevance = torch.eye(16), torch.eye(16)
    for weights, slope in zip(stack, slopes, strict=False):
        mixed = weights[0].mean(0) + torch.eye(16)
        rolled = mixed / mixed.sum(1, keepdim=True) @ rolled
        relevance = relevance + (weights * slope)[0].relu().mean(0) @ relevance
    last, pulled = probe[0].mean(0), (probe[0] * slopes[-1]).relu().mean(0)
    head, tokens = vision.head, seen[0]
    weights, biases = head.attention.in_proj_weight.chunk(3), head.attention.in_proj_bias.chunk(3)
    eclip = torch.zeros(1, 16)
    for part, slope in zip((slice(0, 8), slice(8, 16)), slopes[-1], strict=True):
        query = head.probe[0] @ weights[0][part].T + biases[0][part]
        likeness = F.cosine_similarity(query, tokens[0] @ weights[1][part].T + biases[1][part], dim=1)
        eclip += slope * (likeness - likeness.min()) / (likeness.max() - likeness.min())
    for name, row in zip(names, (last, last @ rolled, pulled, pulled @ relevance, eclip.relu()), strict=True):
        torch.testing.assert_close(maps[name, "input"][0].flatten(), row[0].detach(), atol=1e-6, rtol=1e-3)


def test_other_networks_are_refused() -> None:
    small = load_model(SmallCNN(3), classes=CLASSES, input_size=32)
    with pytest.raises(ModelError, match=r"patches are compared with texts only in an image-text model"):
        compute_maps(small, torch.rand(1, 3, 32, 32), ["patch-text"])
    siglip = make("siglip")
    for name in ("legrad", "value-cam"):
        with pytest.raises(ModelError, match=r"the head tower\S*head pools the tokens of this network by attention"):
            compute_maps(siglip, torch.rand(1, 3, 32, 32), [name])
    with pytest.raises(ModelError, match="CLIP Surgery is known for CLIP's image tower"):
        compute_maps(siglip, torch.rand(1, 3, 32, 32), ["patch-text-surgery"])
    network: Any = siglip.module
    with pytest.raises(ModelError, match="CLIP Surgery is known"):
        embed_patches_by_surgery(network, lambda: None)
    network.tower = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(48, 16))
    with pytest.raises(ModelError, match="the patches of a Sequential cannot be compared with texts"):
        compute_maps(siglip, torch.rand(1, 3, 32, 32), ["patch-text"])
