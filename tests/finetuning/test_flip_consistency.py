import pytest
import torch

from interpfer.finetuning.augment import Mixture
from interpfer.finetuning.flip_consistency import add_mirrored, flip_distance
from interpfer.truth.base import Truth


def test_a_batch_is_followed_by_its_mirror_images() -> None:
    truth = Truth(torch.rand(2, 4, 4), torch.tensor([True, False]), torch.rand(2, 4, 4) > 0.5)
    mixture = Mixture(torch.rand(2, 3, 5, 5), torch.tensor([1, 2]), torch.tensor([2, 1]), 0.7, truth, truth)
    both = add_mirrored(mixture)
    assert torch.equal(both.images[2:], mixture.images[..., [4, 3, 2, 1, 0]])
    assert both.targets.tolist() == [1, 2, 1, 2]
    assert both.others.tolist() == [2, 1, 2, 1]
    for own in (both.truth, both.cam_truth):
        assert torch.equal(own.maps[2:], truth.maps[..., [3, 2, 1, 0]])
        assert own.valid.tolist() == [True, False] * 2
        assert own.ignore is not None
        assert truth.ignore is not None
        assert torch.equal(own.ignore[2:], truth.ignore[..., [3, 2, 1, 0]])


def test_maps_are_compared_in_their_own_range_and_undefined_ones_are_left_out() -> None:
    first, second = torch.tensor([[0.0, 2.0], [1.0, 1.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    constant = torch.ones(2, 2)
    maps = torch.stack([first, second, first, 5 * first.flip(-1), second, constant])
    assert float(flip_distance(maps)) == pytest.approx((0 + 0.5) / 2)
    assert float(flip_distance(torch.stack([constant, first]))) == 0


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    maps = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(flip_distance, maps)
