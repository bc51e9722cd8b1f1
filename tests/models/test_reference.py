"""The network of the reference: attention-based dropout in training, and heads whose map CAM finds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.compute import compute_maps
from interpfer.models.attention_dropout import AttentionDropout
from interpfer.models.heads.log_sum_exp import log_sum_exp
from interpfer.models.heads.peaks import mean_of_window_maxima
from interpfer.models.loading import load_model
from interpfer.models.reference import ReferenceClassifier

CLASSES = ["neutral", "happiness", "surprise", "fear"]
SIZE = 96


def dropped(x: Tensor, threshold: float) -> Tensor:
    """Hide the most attended places of each image, one place at a time (Choe and Shim 2019)."""
    expected = x.clone()
    for image in range(len(x)):
        attention = x[image].mean(0)
        for row, column in np.ndindex(*attention.shape):
            if attention[row, column] >= threshold * attention.max():
                expected[image, :, row, column] = 0
    return expected


def weighed(x: Tensor) -> Tensor:
    expected = x.clone()
    for image, channel in np.ndindex(*x.shape[:2]):
        expected[image, channel] *= 1 / (1 + torch.exp(-x[image].mean(0)))
    return expected


def test_attention_dropout_in_training_is_the_plain_restatement_with_one_draw_per_call() -> None:
    x = torch.rand(5, 7, 4, 6)
    layer = AttentionDropout(rate=0.4, threshold=0.7)
    torch.manual_seed(0)
    kinds = []
    for _ in range(400):
        left = layer(x)
        hidden, weighted = (torch.allclose(left, each, atol=1e-6) for each in (dropped(x, 0.7), weighed(x)))
        assert hidden != weighted
        kinds.append(hidden)
    assert np.mean(kinds) == pytest.approx(0.4, abs=0.07)


def test_attention_dropout_is_the_identity_in_evaluation_and_passes_gradients_in_training() -> None:
    x = torch.rand(2, 3, 4, 4, requires_grad=True)
    assert AttentionDropout(1.0).eval()(x) is x
    torch.autograd.backward(AttentionDropout(1.0, 0.5)(x).sum())
    assert torch.equal(x.grad != 0, (dropped(x.detach(), 0.5) != 0))
    with pytest.raises(ModelError, match="rate must be between 0 and 1, got 1.5"):
        AttentionDropout(1.5)


def test_the_classifier_drops_in_training_alone_and_its_file_keeps_its_names() -> None:
    torch.manual_seed(0)
    network = ReferenceClassifier(4, "resnet34", adl=True, drop=(0.9, 0.8))
    layers = {name: each for name, each in network.named_modules() if isinstance(each, AttentionDropout)}
    assert list(layers) == ["encoder.layer3.1", "encoder.layer4.1", "encoder.layer4.4"]
    assert {(each.rate, each.threshold) for each in layers.values()} == {(0.9, 0.8)}
    assert not any(name.startswith(tuple(layers)) for name in network.state_dict())
    x = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        network.eval()
        assert torch.equal(network(x), network(x))
        for each in layers.values():
            each.train()
        assert len({float(network(x)[0, 0]) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("lines", "drop"), [("", (0.4, 0.1)), ("adl_drop_rate: 0.75\nadl_drop_threshold: 0.9\n", (0.75, 0.9))]
)
def test_a_folder_with_adl_keeps_its_dropout(tmp_path: Path, lines: str, drop: tuple[float, float]) -> None:
    network = ReferenceClassifier(7, "resnet50", adl=True).eval()
    parts = {name: getattr(network, name).state_dict() for name in ("encoder", "classification_head")}
    torch.save(parts, tmp_path / "model.pt")
    (tmp_path / "config_model.yaml").write_text(
        f"method: ADL\ncrop_size: 64\nencoder_name: resnet50\nencoder_weights: imagenet\nspatial_pooling: WGAP\n{lines}"
    )
    model = load_model(tmp_path)
    found = [each for each in model.module.modules() if isinstance(each, AttentionDropout)]
    assert [(each.rate, each.threshold) for each in found] == [drop] * 3
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model.logits(x), network(x))


def slow_log_sum_exp(picture: Tensor) -> float:
    return float(np.log(np.mean(np.exp(10 * picture.double().numpy()))) / 10)


def slow_mean_of_window_maxima(picture: Tensor) -> float:
    rows, columns = picture.shape
    windows = [picture[i : i + 3, j : j + 3].max() for i in range(rows - 2) for j in range(columns - 2)]
    return float(torch.stack(windows).mean())


POOLS: dict[str, Callable[[Tensor], float]] = {
    "GAP": lambda picture: float(picture.mean()),
    "MaxPool": lambda picture: float(picture.max()),
    "LogSumExpPool": slow_log_sum_exp,
    "PRM": slow_mean_of_window_maxima,
}


def test_pools_are_their_plain_restatements() -> None:
    maps = torch.randn(2, 3, 5, 6)
    for image, k in np.ndindex(2, 3):
        assert float(log_sum_exp(maps)[image, k]) == pytest.approx(slow_log_sum_exp(maps[image, k]), abs=1e-5)
        slow = slow_mean_of_window_maxima(maps[image, k])
        assert float(mean_of_window_maxima(maps)[image, k]) == pytest.approx(slow, abs=1e-6)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("head", POOLS)
def test_cam_is_the_output_of_the_convolution_that_pools_to_the_logit(head: str, background: bool) -> None:
    torch.manual_seed(1)
    network = ReferenceClassifier(4, "resnet18", head, large_maps=True, background=background).eval()
    model = load_model(network, classes=CLASSES, input_size=SIZE)
    images = torch.rand(3, 3, SIZE, SIZE)
    logits = model.logits(model.preprocess(images)).detach()
    seen: list[Tensor] = []
    handle = network.classification_head.conv.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    for target in range(4):
        seen.clear()
        raw = compute_maps(model, images, ["cam"], targets=[target] * 3)["cam", "encoder.layer4"]
        own, bias = seen[-1][:, target + background], network.classification_head.conv.bias[target + background].item()
        scale = raw[0].numel() if head == "GAP" else 1
        shift = bias if head == "GAP" else 0
        torch.testing.assert_close(raw * scale + shift, own, atol=1e-5, rtol=1e-4)
        for image in range(3):
            assert POOLS[head](raw[image] * scale + shift) == pytest.approx(float(logits[image, target]), abs=1e-4)
    handle.remove()


def test_cam_of_a_linear_head_leaves_out_the_background() -> None:
    network = ReferenceClassifier(4, "resnet18", "WGAP", background=True).eval()
    model = load_model(network, classes=CLASSES, input_size=SIZE)
    images = torch.rand(2, 3, SIZE, SIZE)
    raw = compute_maps(model, images, ["cam"], targets=[2, 2])["cam", "encoder.layer4"]
    logits = model.logits(model.preprocess(images)).detach()[:, 2] - network.classification_head.fc.bias[3].item()
    torch.testing.assert_close(raw.sum((1, 2)), logits, atol=1e-4, rtol=1e-4)


def test_cam_of_several_linear_layers_is_refused() -> None:
    network = ReferenceClassifier(4, "resnet18", "WGAP", dense=[8]).eval()
    with pytest.raises(ModelError, match="cam needs a head of pooling and one linear layer"):
        compute_maps(load_model(network, classes=CLASSES, input_size=SIZE), torch.rand(1, 3, SIZE, SIZE), ["cam"])
