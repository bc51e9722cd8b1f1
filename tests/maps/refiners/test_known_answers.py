"""Refiners on maps whose refined values are known, by hand or from a slow plain restatement."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.refiners.affinity import boxes, mean_attention, spread, transition
from interpfer.maps.refiners.base import unit
from interpfer.maps.refiners.blur import blur
from interpfer.maps.refiners.contrast import less_projection, surgery
from interpfer.maps.refiners.layers import medoid, product_of_layers
from interpfer.maps.refiners.pixel_adaptive import DILATIONS, OFFSETS, pixel_weights
from interpfer.maps.refiners.pixel_adaptive import spread as spread_by_colour
from interpfer.maps.refiners.rank_gaussian import rank_filter
from interpfer.testing.refiners import random_seen


def test_rank_gaussian_spreads_a_spike_to_its_neighbours() -> None:
    spike = torch.zeros(1, 5, 5)
    spike[0, 2, 2] = 9
    expected = torch.zeros(5, 5)
    expected[1:4, 1:4] = 0.5246
    assert torch.allclose(rank_filter(spike)[0], expected, atol=5e-5)


def test_rank_gaussian_of_one_to_nine() -> None:
    expected = [[4.0443, 4.0453, 5], [4.8705, 5, 5.0846], [5, 5.9988, 5.9999]]
    assert torch.allclose(rank_filter(torch.arange(1.0, 10).reshape(1, 3, 3))[0], torch.tensor(expected), atol=5e-5)


def test_rank_gaussian_keeps_a_constant_map() -> None:
    assert torch.equal(rank_filter(torch.full((1, 4, 4), 3.0)), torch.full((1, 4, 4), 3.0))
    assert torch.equal(rank_filter(torch.zeros(1, 4, 4)), torch.zeros(1, 4, 4))


def test_rank_gaussian_is_its_plain_restatement() -> None:
    maps = torch.rand(1, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    padded = np.pad(maps[0].numpy(), 1, mode="reflect")
    expected = np.zeros((6, 7))
    for i in range(6):
        for j in range(7):
            window = np.sort(padded[i : i + 3, j : j + 3].ravel())
            width = window.std() / window.mean()
            weights = np.exp(-((np.arange(9) - 4) ** 2) / (2 * width**2))
            expected[i, j] = (window * weights).sum() / weights.sum()
    assert np.allclose(rank_filter(maps)[0], expected)


def test_contrast_takes_away_the_projection() -> None:
    maps, others = torch.tensor([[[2.0, 1, 0, 1]]]), torch.tensor([[[1.0, 1, 0, 0]]])
    assert less_projection(maps, others).flatten().tolist() == [0.5, 0, 0, 1]


def test_contrast_with_its_own_multiple_leaves_nothing() -> None:
    maps = torch.rand(1, 7, 7, generator=torch.Generator().manual_seed(0))
    assert not less_projection(maps, 0.3 * maps).any()


def test_contrast_with_nothing_leaves_the_map() -> None:
    maps = torch.rand(1, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(less_projection(maps, torch.zeros(1, 7, 7)), maps)


def test_surgery_maps_sum_to_zero() -> None:
    seen = random_seen(0)
    assert seen.class_maps is not None
    contrasted = surgery(seen.class_maps, seen.logits)
    assert contrasted.sum(1).abs().max() < 1e-5
    uniform = surgery(seen.class_maps, torch.zeros_like(seen.logits))
    assert torch.allclose(uniform, seen.class_maps - seen.class_maps.mean(1, keepdim=True), atol=1e-6)


def test_affinity_of_two_patches() -> None:
    attention = torch.tensor([[[0.8, 0.2], [0.4, 0.6]]])
    expected = torch.tensor([[0.58906, 0.41171], [0.41171, 0.58751]])
    assert torch.allclose(transition(attention)[0], expected, atol=1e-5)
    assert torch.allclose(spread(torch.tensor([[[1.0, 0.0]]]), attention)[0, 0], expected[0], atol=1e-5)


def test_affinity_of_attention_to_oneself_changes_nothing_inside_the_boxes() -> None:
    maps = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(spread(maps, torch.eye(9).expand(2, -1, -1)), maps * boxes(maps))


def test_affinity_keeps_the_sum_where_all_patches_give() -> None:
    attention = torch.full((1, 4, 4), 0.1) + 0.6 * torch.eye(4)  # rows and columns sum to 1
    maps = torch.tensor([[[1.0, 0.9], [0.8, 1.0]]])
    maps[0, 1, 0] = 0.0  # in the box of the others
    assert spread(maps, attention).sum() == pytest.approx(float(maps.sum()), rel=1e-5)


def test_boxes_are_those_of_connected_groups() -> None:
    maps = torch.rand(6, 9, 11, generator=torch.Generator().manual_seed(2)) ** 3
    found = boxes(maps).numpy()
    for own, mask in zip(unit(maps).numpy(), found, strict=True):
        labels, _ = ndimage.label(own > 0.4, structure=np.ones((3, 3)))
        expected = np.zeros_like(mask)
        for part in ndimage.find_objects(labels):
            expected[part] = True
        assert np.array_equal(mask, expected)


def test_affinity_needs_the_tokens_of_the_map() -> None:
    with pytest.raises(ModelError, match="affinity needs attention between the 49 patches of the map"):
        mean_attention([torch.ones(1, 2, 17, 17)], 49)


@pytest.mark.parametrize(("rounds", "growth"), [(10, 1.1046), (20, 1.2202)])
def test_par_grows_a_constant_as_published(rounds: int, growth: float) -> None:
    grown = spread_by_colour(torch.ones(1, 6, 6), torch.rand(1, 3, 6, 6), rounds)
    assert torch.allclose(grown, torch.full((1, 6, 6), growth), atol=5e-5)


def test_par_of_one_colour_is_the_mean_of_the_neighbours() -> None:
    weights = pixel_weights(torch.full((1, 3, 5, 5), 0.4))
    distance = torch.tensor([d * math.hypot(*offset) for d in DILATIONS for offset in OFFSETS])
    near = (-((distance / distance.std() / 0.3) ** 2)).softmax(0)
    assert torch.allclose(weights[0, :, 2, 2], 1 / 48 + 0.01 * near, atol=1e-6)
    shares = [float(near[8 * place : 8 * place + 8].sum()) for place in range(3)]
    assert shares == pytest.approx([0.579, 0.356, 0.065], abs=1e-3)


def test_par_keeps_to_the_colour_of_a_pixel() -> None:
    images = torch.zeros(1, 3, 16, 16)
    images[..., 8:] = 1
    maps = torch.zeros(1, 16, 16)
    maps[0, 8, 10] = 1
    spread_out = spread_by_colour(maps, images)
    assert spread_out[..., 8:].sum() > 50 * spread_out[..., :8].sum()


def test_layers_are_multiplied_at_the_largest_grid() -> None:
    small, large = torch.tensor([[[0.0, 1.0], [2.0, 4.0]]]), torch.rand(1, 4, 4)
    expected = unit(F.interpolate(unit(small)[None], size=(4, 4), mode="bilinear")[0] * unit(large))
    assert torch.allclose(product_of_layers([small, large]), expected)


def test_one_layer_is_only_stretched_and_a_zero_stays() -> None:
    one = torch.tensor([[[1.0, 2.0, 5.0]]])
    assert product_of_layers([one]).flatten().tolist() == [0, 0.25, 1]
    assert product_of_layers([one, torch.tensor([[[1.0, 0.0, 0.5]]])])[0, 0, 1] == 0


def test_the_best_layer_resembles_the_others() -> None:
    base = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    other = torch.zeros(2, 4, 4)
    other[:, 0, 0] = 1
    near = base + 0.05 * torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(medoid([other, base, near]), unit(near)) or torch.allclose(
        medoid([other, base, near]), unit(base)
    )
    assert torch.allclose(medoid([other, base, base]), unit(base))


def test_of_two_layers_the_deeper_is_the_best() -> None:
    first, second = (torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert torch.allclose(medoid([first, second]), unit(second))


def test_blur_is_a_gaussian() -> None:
    maps = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = ndimage.gaussian_filter(maps[0].double().numpy(), 1.0, mode="nearest", radius=3)
    assert np.allclose(blur(maps, random_seen(0))[0], expected, atol=1e-6)


def test_unit_keeps_what_is_constant() -> None:
    maps: Tensor = torch.tensor([[[2.0, 4.0]], [[3.0, 3.0]], [[0.0, 0.0]], [[-1.0, -1.0]]])
    assert unit(maps).flatten(1).tolist() == [[0, 1], [1, 1], [0, 0], [0, 0]]
