import pytest
import torch
from torch import nn

from interpfer.errors import InterpferError
from interpfer.finetuning.guidance import Guidance
from interpfer.finetuning.guide import Guide
from interpfer.finetuning.patch_contrast import label_places, patch_contrast
from interpfer.maps.canvas import to_canvas
from interpfer.maps.capture import LayerRecorder, capture
from interpfer.maps.gradient import gradcam
from interpfer.metrics.agreement import cosine
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.truth.base import Truth
from tests.conftest import EXPRESSIONS


def small_model() -> Model:
    network = nn.Sequential()
    network.add_module("body", nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True)))
    network.add_module("top", nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.Tanh()))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("head", nn.Linear(8, 7))
    return load_model(network, classes=EXPRESSIONS, input_size=16)


def penalty_of(model: Model, guide: Guide, x: torch.Tensor, heat: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    guidance = Guidance(guide, model)
    recorder = LayerRecorder(model, guidance.recorded)
    handles = [module.register_forward_hook(hook) for module, hook in recorder.hooks.items()]
    logits = model.logits(x)
    for handle in handles:
        handle.remove()
    truth = Truth(heat, torch.ones(len(x), dtype=torch.bool))
    return guidance.penalty(recorder.collect(), logits, targets, truth).total


def test_the_terms_are_those_of_the_metric() -> None:
    model, x = small_model(), torch.randn(3, 3, 16, 16)
    heat, targets = torch.rand(3, 224, 224), torch.tensor([0, 3, 6])
    layer = capture(model, x, model.layers("last"), targets).layers[model.layers("last")[0]]
    large = to_canvas(gradcam(layer), attention=False)[0]
    defined = large[:, 0, 0].isfinite()
    wanted = float(1 - cosine(large[defined], heat[defined]).mean())
    assert float(penalty_of(model, Guide(weight=0, cam_weight=1), x, heat, targets).detach()) == pytest.approx(
        wanted, abs=1e-5
    )
    attention = to_canvas(layer.activation.mean(1), attention=True)[0]
    wanted = float(1 - cosine(attention, heat).mean())
    value = penalty_of(model, Guide(weight=2, cam_weight=0, loss_shift=True), x, heat, targets)
    assert float(value.detach()) == pytest.approx(2 * wanted, abs=1e-5)


@pytest.mark.parametrize("cam_map", ["gradcam", "hirescam", "layercam"])
def test_the_class_map_is_differentiable_down_to_the_weights(cam_map: str) -> None:
    model = small_model()
    model.module.double()
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    heat, targets = torch.rand(3, 224, 224, dtype=torch.float32), torch.tensor([0, 3, 6])
    guide = Guide(weight=1, cam_weight=1, cam_map=cam_map, align_layers="all")
    for name in ("body.0.weight", "head.weight"):
        parameter = dict(model.module.named_parameters())[name]
        (slope,) = torch.autograd.grad(penalty_of(model, guide, x, heat, targets), parameter)
        direction = torch.randn_like(parameter)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-3 * direction
            values.append(float(penalty_of(model, guide, x, heat, targets).detach()))
            with torch.no_grad():
                parameter -= sign * 1e-3 * direction
        expected = float((slope * direction).sum())
        assert (values[0] - values[1]) / 2e-3 == pytest.approx(expected, rel=5e-2, abs=2e-3)
        assert expected != 0


def test_only_faces_that_are_classified_correctly_can_be_guided() -> None:
    model, x = small_model(), torch.randn(4, 3, 16, 16)
    heat, predicted = torch.rand(4, 224, 224), model.logits(x).argmax(1)
    targets = torch.where(torch.tensor([True, False, True, False]), predicted, (predicted + 1) % 7)
    value = penalty_of(model, Guide(guide_correct=True), x, heat, targets)
    wanted = penalty_of(model, Guide(), x[::2], heat[::2], targets[::2])
    assert float(value.detach()) == pytest.approx(float(wanted.detach()), abs=1e-6)
    none_correct = penalty_of(model, Guide(guide_correct=True), x, heat, (predicted + 1) % 7)
    assert float(none_correct.detach()) == 0


def test_the_contrast_and_the_consistency_reach_the_weights() -> None:
    model = small_model()
    model.module.double()
    faces = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    x, heat, targets = torch.cat([faces, faces.flip(-1)]), torch.rand(4, 224, 224).round(), torch.tensor([1, 2, 1, 2])
    features = model.module.top(model.module.body(x)).detach().flatten(2)
    labels = label_places(heat, (4, 4))
    wanted = 2 * float(patch_contrast(features.float(), labels).mean())
    guide = Guide(weight=0, patch_contrast=2)
    assert float(penalty_of(model, guide, x, heat, targets).detach()) == pytest.approx(wanted, abs=1e-5)
    both = Guide(weight=0, patch_contrast=2, flip_consistency=1)
    parameter = model.module.top[0].weight
    (slope,) = torch.autograd.grad(penalty_of(model, both, x, heat, targets), parameter)
    direction, values = torch.randn_like(parameter), []
    for sign in (1, -1):
        with torch.no_grad():
            parameter += sign * 1e-4 * direction
        values.append(float(penalty_of(model, both, x, heat, targets).detach()))
        with torch.no_grad():
            parameter -= sign * 1e-4 * direction
    assert (values[0] - values[1]) / 2e-4 == pytest.approx(float((slope * direction).sum()), rel=5e-2, abs=2e-3)


def test_weight_0_records_nothing() -> None:
    guidance = Guidance(Guide(weight=0), small_model())
    assert guidance.recorded == guidance.layers == guidance.cam_layers == ()


def test_attention_of_fixed_filters_cannot_be_aligned() -> None:
    network = nn.Sequential()
    network.add_module("pool", nn.AvgPool2d(2))
    network.add_module("conv", nn.Conv2d(3, 8, 3, padding=1))
    network.add_module("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)))
    model = load_model(network, classes=EXPRESSIONS, input_size=16, layers=["pool", "conv"])
    with pytest.raises(InterpferError) as raised:
        Guidance(Guide(align_layers=("pool",)), model)
    assert str(raised.value) == (
        "no trainable parameter affects the attention of pool: freeze less (--freeze none), or align other layers "
        "(--align-layers)."
    )
    assert Guidance(Guide(align_layers="all"), model).layers == ("conv",)
