"""Peak response maps and softmax Grad-CAM: hand-made cases and plain restatements."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps import MAPS
from interpfer.maps.base import MapContext
from interpfer.maps.capture import capture
from interpfer.maps.peak_response import ExcitationRules, peak_response
from interpfer.maps.softmax_gradcam import contrast_logits, softmax_gradcam
from interpfer.models.hooks import hooked
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from tests.maps.test_transformers import timm_vit

SIZE = 32


class Peaked(nn.Module):
    """Convolutions whose last grid is 8 x 8; what a cell sees is 7 pixels wide."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 5, 3, 2, 1)
        self.last = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(self.second(F.relu(self.norm(self.first(x)))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return load_model(Peaked().eval(), classes=["a", "b"], input_size=SIZE)


def context_of(model: Model, x: Tensor, *targets: int, layer: str = "input") -> MapContext:
    return MapContext(model, x, torch.tensor(targets), layer, (0,) * len(x), 0)


def test_peaks_sum_to_one_and_see_their_receptive_field_alone(model: Model) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, SIZE, SIZE)
    raw = peak_response.compute(context_of(model, x, 0, 1))
    torch.testing.assert_close(raw.sum((1, 2)), torch.ones(2))
    from interpfer.maps.head import class_map
    from interpfer.models.heads.peaks import find_peaks

    with hooked(model.module, {}), torch.no_grad():
        activation = model.module.second(F.relu(model.module.norm(model.module.first(x)))).relu()
        drawn = class_map(model.module, activation, model.logits(x), torch.tensor([0, 1]))
    peaks = find_peaks(drawn[:, None])[:, 0]
    assert 0 < peaks.sum() < peaks.numel() / 4
    seen = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    for n, row, column in peaks.nonzero().tolist():
        seen[n, max(0, 4 * row - 3) : 4 * row + 4, max(0, 4 * column - 3) : 4 * column + 4] = True
    assert not raw[~seen].any()
    assert raw[seen].any()
    torch.testing.assert_close(peak_response.compute(context_of(model, x[1:], 1)), raw[1:], rtol=1e-4, atol=1e-7)


def test_a_convolution_hands_down_by_positive_weights() -> None:
    x = torch.tensor([[[[1.0, 3.0, 2.0]]]], requires_grad=True)
    weight = torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[1.0, 0.5]]]])
    with ExcitationRules():
        one, other = (F.conv2d(x, each) for each in weight)
    (slope,) = torch.autograd.grad(one, x, torch.tensor([[[[1.0, 1.0]]]]), retain_graph=True)
    assert slope.flatten().tolist() == [0.0, 1.0, 0.0]  # less 1: (0, 2, 1); the first place of one window has all of it
    (slope,) = torch.autograd.grad(other, x, torch.tensor([[[[0.0, 1.0]]]]))
    torch.testing.assert_close(slope.flatten(), torch.tensor([0.0, 0.8, 0.2]))


def test_sums_hand_down_by_their_positive_summands_and_gates_have_none() -> None:
    a, b = (torch.tensor(values, requires_grad=True) for values in ([3.0, -1.0, -1.0], [1.0, 2.0, -2.0]))
    with ExcitationRules():
        y = (a + b) * torch.sigmoid(a)
        z = F.silu(a) + 5
    torch.testing.assert_close(y, (a + b) * torch.sigmoid(a))
    parts = torch.autograd.grad((y / torch.sigmoid(a).detach()).sum(), [a, b])
    assert [each.tolist() for each in parts] == [[0.75, 0.0, 0.5], [0.25, 1.0, 0.5]]
    torch.testing.assert_close(z, F.silu(a) + 5)
    assert torch.autograd.grad(z.sum(), a)[0].tolist() == [1.0, 1.0, 1.0]


def test_peak_response_is_of_convolutions() -> None:
    model = load_model(timm_vit(), classes=["a", "b", "c"], input_size=64)
    with pytest.raises(ModelError, match="peak-response needs a convolutional network"):
        peak_response.compute(context_of(model, torch.randn(1, 3, 64, 64), 0))


def test_peaks_of_a_network_with_branches() -> None:
    torch.manual_seed(0)
    model = load_model(SmallCNN(3, 8), classes=["a", "b", "c"], input_size=64)
    raw = MAPS.get("peak-response").compute(context_of(model, torch.rand(2, 3, 64, 64), 0, 2))
    finite = raw[raw.isfinite().all(2).all(1)]
    torch.testing.assert_close(finite.sum((1, 2)), torch.ones(len(finite)))


def test_softmax_gradcam_of_two_classes_is_that_of_their_difference(model: Model) -> None:
    x = torch.randn(2, 3, SIZE, SIZE)
    raw = softmax_gradcam.compute(context_of(model, x, 0, 0, layer="second"))
    first, second = (capture(model, x, ["second"], torch.tensor([target] * 2)).layers["second"] for target in (0, 1))
    weights = (first.gradient - second.gradient).mean((2, 3), keepdim=True)
    torch.testing.assert_close(raw, (weights * first.activation).sum(1).relu())


def test_the_contrast_has_the_gradient_of_the_probability() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, -1.0]], requires_grad=True)
    targets = torch.tensor([0, 1])
    (slope,) = torch.autograd.grad(logits.softmax(1)[[0, 1], targets].sum(), logits, retain_graph=True)
    (ours,) = torch.autograd.grad(contrast_logits(logits, targets).sum(), logits)
    torch.testing.assert_close(slope, 0.10499359 * ours)  # p (1 - p) of logits that are 2 apart
    three = torch.randn(4, 3, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 0])
    p = three.softmax(1)[torch.arange(4), targets]
    (slope,) = torch.autograd.grad(p.sum(), three, retain_graph=True)
    (ours,) = torch.autograd.grad(contrast_logits(three, targets).sum(), three)
    torch.testing.assert_close(slope, (p * (1 - p)).detach()[:, None] * ours)
    (sure,) = torch.autograd.grad(contrast_logits(three * 1000, targets).sum(), three)
    assert sure.isfinite().all()
    assert (sure.abs().sum(1) > 0.5).all()
    with pytest.raises(ModelError, match="softmax-gradcam needs at least two classes"):
        contrast_logits(three[:, :1], targets)
