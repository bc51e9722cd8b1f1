"""Relevance adds up to the logit, follows the rules of AttnLRP, and depends on the weights."""

import copy
import warnings
from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from interpfer.errors import ModelError
from interpfer.maps.base import MapContext
from interpfer.maps.relevance import propagate, relevance
from interpfer.maps.relevance_layers import RULES
from interpfer.maps.relevance_rules import RelevanceRules
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from tests.maps.test_transformers import convnext, hugging_face, maxvit, swin, timm_vit

SIZE = 64
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cnn": lambda: SmallCNN(3, 8),
    "efficientnet": lambda: timm.create_model("efficientnet_b0", num_classes=3),
    "vit": timm_vit,
    "torchvision vit": lambda: VisionTransformer(SIZE, 16, 2, 2, 32, 64, num_classes=3),
    "hugging face": hugging_face,
    "swin": swin,
    "torchvision swin": lambda: SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=3),
    "convnext": convnext,
    "convnext v2": lambda: timm.create_model("convnextv2_atto", depths=(1,) * 4, dims=(8, 12, 16, 20), num_classes=3),
    "maxvit": maxvit,
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.running_mean) / 5
        if type(module).__name__ == "GlobalResponseNorm":  # which starts as the identity
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def plain(network: nn.Module) -> Model:
    """Return as much of a model as propagation needs."""
    model = object.__new__(Model)
    vars(model).update(module=network, logits=network)
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_relevance_and_the_shares_of_constants_add_up_to_the_logit(name: str, images: Tensor) -> None:
    network = load_model(build(name), classes=["a", "b", "c"], input_size=SIZE)
    found = propagate(network, images, torch.tensor([1]))
    with torch.no_grad():
        logits = network.logits(images)
    torch.testing.assert_close(found.logits, logits[:, 1], rtol=1e-3, atol=1e-4)  # the rules keep the values
    assert abs(found.gap) <= 1e-3 * abs(float(found.logits))
    assert found.pixels.abs().sum() > 0


def test_relevance_of_attention_is_that_of_its_rules_one_by_one() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 1, batch_first=True).eval().requires_grad_(False)
    nn.init.normal_(attention.in_proj_bias)
    x = torch.randn(1, 5, 4, requires_grad=True)
    with RelevanceRules(RULES) as rules:
        y = attention(x, x, x, need_weights=False)[0]
    (slope,) = torch.autograd.grad(y[0, 2].sum(), x)
    # each relevance by its rule: R of the inputs = inputs * (weights^T (R of the outputs / outputs))
    with torch.no_grad():
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        q, k, v = (F.linear(x[0], *each) for each in zip(weights, biases, strict=True))
        scores = q @ k.T / 2
        a = scores.softmax(1)
        mixed = a @ v
        of_output = torch.zeros(5, 4)
        of_output[2] = 1  # R / y
        per_mixed = of_output @ attention.out_proj.weight
        r_mixed = per_mixed * mixed
        r_a, r_v = torch.zeros(5, 5), torch.zeros(5, 4)
        for i in range(5):
            for j in range(5):
                for d in range(4):
                    part = a[i, j] * v[j, d] / mixed[i, d] * r_mixed[i, d] / 2
                    r_a[i, j] += part
                    r_v[j, d] += part
        r_scores = scores * (r_a - a * r_a.sum(1, keepdim=True))
        r_q, r_k = torch.zeros(5, 4), torch.zeros(5, 4)
        for i in range(5):
            for j in range(5):
                for d in range(4):
                    part = q[i, d] * k[j, d] / 2 / scores[i, j] * r_scores[i, j] / 2
                    r_q[i, d] += part
                    r_k[j, d] += part
        parts = zip((r_q, r_k, r_v), (q, k, v), weights, strict=True)
        expected = sum(x[0] * ((r / z) @ weight) for r, z, weight in parts)
    torch.testing.assert_close((slope * x)[0].detach(), expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close((slope * x).sum().double() + rules.share, y[0, 2].sum().double(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [F.gelu, F.silu, F.hardswish, F.relu6, torch.tanh, F.leaky_relu, lambda x: x * x.sigmoid(), lambda x: x / x.norm()],
    ids=["gelu", "silu", "hardswish", "relu6", "tanh", "leaky_relu", "gate", "divide"],
)
def test_what_keeps_zero_hands_down_all_relevance(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-2, 7, 10, requires_grad=True)
    with RelevanceRules(RULES):
        y = function(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope * x, y.detach())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.layer_norm(x, (4,), torch.arange(4.0), torch.ones(4)),
        lambda x: F.group_norm(x[..., None], 2, torch.arange(4.0), torch.ones(4)),
        lambda x: F.rms_norm(x, (4,), torch.arange(4.0)) + 1,
        lambda x: F.batch_norm(x, torch.ones(4), torch.full((4,), 2.0), torch.arange(4.0), torch.ones(4)),
        lambda x: F.normalize(x, dim=1) - 3,
        lambda x: 2 - x @ x.T,
        lambda x: torch.einsum("nc,mc->nm", x, x),
        lambda x: torch.cat([x, torch.ones(3, 1)], 1),
        lambda x: torch.addcmul(torch.ones(4), x, x),
        lambda x: x.masked_fill(x > 0, 2.0),
        lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(3) > 0),
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
        lambda x: (x + 1).softmax(1) * 3,
    ],
)
def test_shares_of_constants_are_counted(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    with RelevanceRules(RULES) as rules:
        y = function(x)
    torch.testing.assert_close(y.detach(), function(x).detach())
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(
        (slope * x).sum().double() + rules.share, y.detach().sum().double(), rtol=1e-4, atol=1e-4
    )


def test_a_function_without_a_rule_is_refused(images: Tensor) -> None:
    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.pow(2).mean((1, 2, 3)), x.mean((1, 2, 3))], 1)

    model = load_model(Squares(), classes=["a", "b"], input_size=SIZE)
    context = MapContext(model, images, torch.tensor([0]), "input", (0,), 0)
    with pytest.raises(ModelError, match="relevance does not add up to the logits .* one of its functions has no rule"):
        relevance.compute(context)
    linear = relevance.compute(MapContext(model, images, torch.tensor([1]), "input", (0,), 0))
    torch.testing.assert_close(linear, images.sum(1) / 3 / SIZE**2)


def test_relevance_of_a_plain_network_is_that_of_captum(images: Tensor) -> None:
    from captum.attr import LRP

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    network.append(nn.Linear(8, 3)).eval()
    network[6].rule = None
    from captum.attr._utils.lrp_rules import EpsilonRule

    other = copy.deepcopy(network)
    for each in other:
        each.rule = EpsilonRule(1e-9)
    expected = LRP(other).attribute(images.clone().requires_grad_(), target=1).sum(1).detach()
    ours = propagate(plain(network), images, torch.tensor([1])).pixels.sum(1)
    assert F.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("name", ["cnn", "vit", "swin"])
def test_relevance_of_shuffled_weights_is_another(name: str, images: Tensor) -> None:
    network = build(name)
    before = propagate(plain(network), images, torch.tensor([0])).pixels.sum(1).flatten()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = parameter.data.flatten()[torch.randperm(parameter.numel(), generator=generator)].view_as(
            parameter
        )
    after = propagate(plain(network), images, torch.tensor([0])).pixels.sum(1).flatten()
    assert abs(float(F.cosine_similarity(before, after, dim=0))) < 0.3
