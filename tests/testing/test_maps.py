"""check_map passes every built-in map, and says what is wrong with a broken one."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from interpfer.maps import MAPS
from interpfer.maps.base import AnyMap, baseline, layer_map, model_map
from interpfer.maps.gradient import gradcam
from interpfer.maps.transformers import attention_rollout
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.testing import check_map
from interpfer.testing.maps import CHECKS

CLASSES = ["anger", "fear", "sadness"]
TRANSFORMERS = {
    "attention-rollout",
    "class-token-attention",
    "gradient-rollout",
    "gradient-attention",
    "ts-cam",
    "legrad",
    "grad-eclip",
    "value-cam",
}


def transformer() -> Model:
    small = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2, "num_classes": 3}
    network = timm.create_model("vit_tiny_patch16_224", **small)
    return load_model(network, classes=CLASSES, input_size=32, name="vit")


def plain() -> Model:
    """A network of the layers that LRP has rules for."""
    network = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(294, 3))
    return load_model(network, classes=CLASSES, input_size=32, name="plain")


def windowed() -> Model:
    small = {"embed_dim": 8, "depths": (2,), "num_heads": (2,), "window_size": 4, "num_classes": 3}
    network = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, **small)
    return load_model(network, classes=CLASSES, input_size=32, name="swin")


MODELS = dict.fromkeys(TRANSFORMERS, transformer) | {"lrp": plain, "window-rollout": windowed}
"""Map -> the model on which it is checked, where it is not that of ``check_map``."""

IMAGE_TEXT = ("patch-text", "patch-text-surgery")
"""Maps of image-text models, checked in tests/maps/test_patch_text.py, where transformers is at hand."""


@pytest.mark.parametrize("name", [name for name in MAPS.builtin if name not in IMAGE_TEXT])
def test_every_map_passes(name: str) -> None:
    check_map(MAPS.get(name), MODELS[name]() if name in MODELS else None)


def failures(method: AnyMap, model: Model | None = None) -> str:
    with pytest.raises(AssertionError) as error:
        check_map(method, model)
    return str(error.value)


def layer(compute: Callable[..., Tensor], source: str = "test", **facts: Any) -> AnyMap:
    """A map of a layer with a docstring."""
    compute.__doc__ = "Something."
    return layer_map(source=source, **facts)(compute)


def test_a_map_without_facts() -> None:
    method = layer_map(source=" ")(lambda layer: layer.activation.mean(1))
    assert failures(method) == (
        f"map <lambda> fails 1 of {len(CHECKS)} checks:\n"
        "  - Its facts are filled: source is empty; pass source= to the decorator"
    )
    without_summary = layer_map(source="test")(lambda layer: layer.activation.mean(1))
    assert "summary is empty; write a docstring, whose first line it is" in failures(without_summary)
    slow = layer(lambda layer: layer.activation.mean(1), cost="slow")
    assert "cost must be one of one pass, many passes, got 'slow'" in failures(slow)


def test_a_shape_that_is_not_the_grid() -> None:
    text = failures(layer(lambda layer: layer.activation.mean(1)[:, 1:]))
    assert "on the grid of the layer: (15, 16) at stages.0, whose grid is (16, 16)" in text
    text = failures(layer(lambda layer: layer.activation.mean(1).argmax(2, keepdim=True).expand(-1, -1, 16).int()))
    assert "torch.int32 at stages.0; return floats" in text or "TypeCheckError" in text


def test_single_pixels_that_are_undefined() -> None:
    def compute(layer: Any) -> Tensor:
        raw = layer.activation.mean(1).clone()
        raw[:, 0, 0] = torch.inf
        return raw

    assert "a map at stages.0 has single pixels that are NaN or infinite" in failures(layer(compute))
    text = failures(layer(lambda layer: layer.activation.mean(1) * torch.nan))
    assert "NaN all over where it is undefined: all maps of all images are NaN" in text


def test_dependence_on_the_batch() -> None:
    text = failures(layer(lambda layer: layer.activation.mean(1) - layer.activation.mean((0, 1))))
    assert text.startswith(f"map <lambda> fails 1 of {len(CHECKS)} checks:\n  - The map of an image does not depend")
    assert "in batches of 1 it differs by" in text
    assert "at stages.0 (statistics, random numbers or normalisation over the batch?)" in text


def test_random_numbers_without_a_seed() -> None:
    text = failures(layer(lambda layer: layer.activation.mean(1) * torch.rand(())))
    assert "The same images and seed give the same map: two runs differ by" in text
    assert "draw random numbers with a torch.Generator seeded by context.seeds or layer.seeds()" in text


def test_a_target_that_is_declared_wrongly() -> None:
    text = failures(layer(lambda layer: layer.activation.mean(1), class_specific=True))
    assert text.endswith("declared class-specific: all classes have the same map; declare class_specific=False")
    text = failures(layer(gradcam.compute, gradient=True, class_specific=False))
    assert "maps of two classes differ by" in text
    assert text.endswith("declare class_specific=True")


def test_a_gradient_that_is_declared_wrongly() -> None:
    text = failures(layer(lambda layer: layer.activation.mean(1), gradient=True, class_specific=False))
    assert text.endswith("it does not use the gradient; declare gradient=False, which saves the backward")
    text = failures(layer(lambda layer: layer.gradient.mean(1).relu()))
    assert "it uses the gradient; declare gradient=True" in text

    @model_map(source="test", layer=False, cost="one pass")
    def slope(context: Any) -> Tensor:
        """Gradient of the input."""
        x = context.x.detach().requires_grad_()
        logits = context.model.logits(x).gather(1, context.targets[:, None])
        return torch.autograd.grad(logits.sum(), x)[0].abs().sum(1)

    assert "it uses the gradient; declare gradient=True" in failures(slope)
    check_map(model_map(source="test", layer=False, gradient=True, cost="one pass")(slope.compute))

    @model_map(source="test", layer=False, gradient=True, cost="one pass")
    def brightness(context: Any) -> Tensor:
        """Brightness times logit."""
        logits = context.model.logits(context.x).detach().gather(1, context.targets[:, None])
        return context.x.mean(1) * logits[:, :, None]

    assert "it does not use the gradient; declare gradient=False" in failures(brightness)


def test_inputs_that_are_written_to() -> None:
    def compute(layer: Any) -> Tensor:
        return layer.activation.relu_().sub_(0.1).mean(1)

    text = failures(layer(compute))
    assert "It writes into none of its inputs: it changes the activation of stages.0, which other maps share" in text

    @model_map(source="test", layer=False, class_specific=False, cost="one pass")
    def shifted(context: Any) -> Tensor:
        """Brightness."""
        return context.x.add_(1).mean(1)

    assert "it changes the images; clone before writing in place" in failures(shifted)


def test_a_network_that_is_left_changed() -> None:
    @model_map(source="test", layer=False, class_specific=False, cost="one pass")
    def heavier(context: Any) -> Tensor:
        """Brightness."""
        context.model.module.head.weight.data += 1
        return context.x.mean(1)

    assert "also after an error: head.weight changed; restore it in a finally block" in failures(heavier)

    @model_map(source="test", layer=False, class_specific=False, cost="one pass")
    def marked(context: Any) -> Tensor:
        """Brightness."""
        context.model.module.head.bias.grad = torch.ones_like(context.model.module.head.bias)
        context.model.logits(context.x)
        context.model.module.head.bias.grad = None
        return context.x.mean(1)

    assert ".grad of a parameter changed; restore it in a finally block" in failures(marked)


def test_a_map_that_the_model_does_not_support() -> None:
    text = failures(attention_rollout)
    assert "not for small CNN: attention cannot be rolled out: no attention was found in it." in text
    assert text.endswith("Pass a model= that it supports.")
    assert text.count("Pass a model=") == 1


def test_a_baseline_with_everything_wrong() -> None:
    @baseline()
    def wrong(context: Any) -> Tensor:
        context.images.mul_(2)
        return context.heat[:, 1:] * 3 + torch.rand(()) + context.images.mean()

    text = failures(wrong)
    for line in (
        "Its facts are filled: summary is empty; write a docstring",
        "of the shape of the heatmaps: (3, 63, 64) where the heatmaps are (3, 64, 64)",
        "Values are in [0, 1], or NaN all over where it is undefined: they are",
        "The map of an image does not depend on the other images of the batch: alone it differs by",
        "The same images and seed give the same map: two runs differ by",
        "It writes into none of its inputs: it changes context.images; clone before writing in place",
    ):
        assert line in text


def test_heatmaps_that_a_baseline_declares_wrongly() -> None:
    @baseline(heatmaps=True)
    def blank(context: Any) -> Tensor:
        """One everywhere."""
        return torch.ones_like(context.heat)

    assert failures(blank).endswith("declare heatmaps=False, which saves a pass over the data set")

    @baseline()
    def means(context: Any) -> Tensor:
        """Mean of the others."""
        return context.mean_of_others.clone()

    assert "AttributeError: 'NoneType' object has no attribute 'clone'" in failures(means)


def test_a_baseline_gets_only_the_means_that_it_declares() -> None:
    @baseline(heatmaps="class")
    def of_class(context: Any) -> Tensor:
        """Mean of the others of the class."""
        return context.class_mean_of_others.clone()

    @baseline(heatmaps="all")
    def wrong(context: Any) -> Tensor:
        """The same, declared wrongly."""
        return context.class_mean_of_others.clone()

    check_map(of_class)
    assert "AttributeError: 'NoneType' object has no attribute 'clone'" in failures(wrong)
