"""The deformable head: what it is at first, offsets that maximise the loss, and gradients."""

import pytest
import torch
import torch.nn.functional as F

from interpfer.errors import ModelError
from interpfer.models.heads.deformable import DeformableHead


def moved(reversal: float = 1.0) -> DeformableHead:
    """A head in double precision with offsets between cells."""
    torch.manual_seed(0)
    head = DeformableHead(3, 2, width=4, reversal=reversal).double()
    for offsets in (head.expand_offsets, head.shrink_offsets):
        torch.nn.init.normal_(offsets.weight, std=0.05)
        torch.nn.init.uniform_(offsets.bias, 0.2, 0.4)
    for layer in (head.reduce, head.expand, head.shrink):
        torch.nn.init.constant_(layer.bias, 1.0)  # above the ReLU
    return head


def test_without_offsets_it_is_two_plain_convolutions() -> None:
    torch.manual_seed(0)
    head, features = DeformableHead(5, 3, width=4, clip=0.3), torch.rand(2, 5, 6, 7)
    x = head.reduce(features).relu()
    x = F.conv2d(x, head.expand.weight, head.expand.bias, padding=1).clamp(0, 0.3)
    x = F.conv2d(x, head.shrink.weight, head.shrink.bias, padding=1).relu()
    torch.testing.assert_close(head.scores(features), head.conv(x))
    assert x.max() > 0


def test_an_offset_of_one_cell_moves_what_is_seen() -> None:
    """Every tap looks one row further down, so rows are those of the plain convolution one row below."""
    torch.manual_seed(0)
    head, features = DeformableHead(3, 2, width=4, clip=1e6), torch.rand(1, 3, 8, 8)
    plain = head.scores(features)
    with torch.no_grad():
        head.expand_offsets.bias[0::2] = 1.0  # pairs of rows and columns
    torch.testing.assert_close(head.scores(features)[:, :, 1:5, 1:7], plain[:, :, 2:6, 1:7])


def test_the_gradient_of_the_offsets_of_the_expansion_is_reversed_and_no_other() -> None:
    features, targets = torch.rand(2, 3, 5, 5).double(), torch.tensor([0, 1])
    slopes = []
    for reversal in (1.0, -1.0):  # -1 changes the sign back
        head = moved(reversal)
        F.cross_entropy(head(features), targets).backward()
        slopes.append({name: value.grad for name, value in head.named_parameters()})
    for name, slope in slopes[0].items():
        sign = -1 if name.startswith("expand_offsets") else 1
        assert slope is not None
        assert slope.any()
        torch.testing.assert_close(slope, sign * slopes[1][name])


def test_gradients_are_finite_differences() -> None:
    features = torch.rand(1, 3, 4, 4).double()
    head = moved(-1.0)
    names = ("expand.weight", "shrink_offsets.bias", "shrink.weight", "conv.weight")
    values = [dict(head.named_parameters())[name].detach().clone().requires_grad_() for name in names]

    def run(*weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(head, dict(zip(names, weights, strict=True)), features)

    assert torch.autograd.gradcheck(run, tuple(values), fast_mode=True)
    bias = head.expand_offsets.bias.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: torch.func.functional_call(head, {"expand_offsets.bias": x}, features), bias, fast_mode=True
    )


def test_training_adds_the_area_of_the_map_of_the_true_class() -> None:
    torch.manual_seed(0)
    head, features = DeformableHead(3, 2, width=4, area=0.5), torch.rand(3, 3, 5, 5)
    maps = head.scores(features)
    wanted = 0.5 * torch.stack([maps[0, 1], maps[2, 0]]).sigmoid().mean()
    loss = head.training_loss(features, torch.tensor([1, -1, 0]))
    assert loss is not None
    torch.testing.assert_close(loss, wanted)
    assert head.training_loss(features, torch.tensor([-1, -1, -1])) is None
    assert DeformableHead(3, 2, area=0.0).training_loss(features, torch.tensor([0, 1, 0])) is None


def test_mixed_precision_and_arguments() -> None:
    head, features = DeformableHead(3, 2, width=4), torch.rand(1, 3, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        half = head(features)
    torch.testing.assert_close(half.float(), head(features), atol=2e-2, rtol=5e-2)
    with pytest.raises(ModelError) as caught:
        DeformableHead(3, 2, width=0)
    assert str(caught.value) == "head expand-shrink: width must be at least 1, got 0."
