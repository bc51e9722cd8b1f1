"""Metrics of a whole data set: pixels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interpfer.metrics.localisation import BINS, pxap, pxap_counts
from tests.oracles import metrics as oracle

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 4, side: int = 12) -> tuple[Tensor, Tensor]:
    """Maps with many equal values, and heatmaps whose masks hold at least one pixel."""
    rng = np.random.default_rng(seed)
    maps = rng.random((n, side, side), np.float32).round(rng.integers(1, 5))
    heat = rng.random((n, side, side), np.float32)
    heat[:, 0, 0] = 1
    return torch.from_numpy(maps), torch.from_numpy(heat)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 0.8, 0.2, 0.0), 100.0),  # the two pixels of the mask come first
        ((0.0, 0.2, 0.8, 1.0), 100 * (0.5 / 3 + 0.5 / 2)),  # they come last: precision 1/3, then 2/4
        ((1.0, 0.2, 0.8, 0.0), 100 * (0.5 + 0.5 * 2 / 3)),
        ((0.3, 0.3, 0.3, 0.3), 50.0),  # a constant map scores the share of the mask
        ((0.5004, 0.5001, 0.5009, 0.0), 100 * 2 / 3),  # one bin of a thousandth
    ],
)
def test_four_pixels(values: tuple[float, ...], expected: float) -> None:
    mask = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    assert pxap(torch.tensor(values).view(1, 2, 2), mask) == pytest.approx(expected)


@given(seed=SEEDS)
def test_counting_follows_the_histograms(seed: int) -> None:
    maps, heat = drawn(seed)
    maps = ((maps * 999).floor() + 0.5) / 1000  # the middle of a bin, so that rounding decides nothing
    maps[:, 1, 1] = 1
    expected = oracle.pxap(list(maps.double().numpy()), list((heat >= 0.5).numpy()))
    assert pxap(maps, heat) == pytest.approx(expected, abs=1e-6)


@given(seed=SEEDS, cuts=st.sets(st.integers(1, 7)), reverse=st.booleans())
def test_counts_add_up_over_any_split(seed: int, cuts: set[int], reverse: bool) -> None:
    maps, heat = drawn(seed, n=8)
    order = torch.arange(8).flip(0) if reverse else torch.arange(8)
    parts = zip([0, *sorted(cuts)], [*sorted(cuts), 8], strict=True)
    total = torch.zeros(2 * BINS, dtype=torch.long)
    for start, end in parts:
        rows = order[start:end]
        total += pxap_counts(maps[rows], heat[rows]).sum(0)
    assert float(pxap.score(total)) == pxap(maps, heat)


@given(seed=SEEDS, axis=st.sampled_from([1, 2]))
def test_bounds_and_mirror(seed: int, axis: int) -> None:
    maps, heat = drawn(seed)
    score = pxap(maps, heat)
    assert 0 <= score <= 100
    assert pxap(maps.flip(axis), heat.flip(axis)) == score


@given(seed=SEEDS, level=st.floats(0, 1))
def test_a_constant_map_scores_the_share_of_the_mask(seed: int, level: float) -> None:
    _, heat = drawn(seed)
    share = 100 * (heat >= 0.5).double().mean().item()
    assert pxap(torch.full_like(heat, level), heat) == pytest.approx(share)


def test_every_pixel_is_counted_once() -> None:
    maps, heat = drawn(3)
    counts = pxap_counts(maps, heat)
    assert counts.shape == (4, 2 * BINS)
    assert (counts.sum(1) == 12 * 12).all()
    assert torch.equal(counts[:, BINS:].sum(1), (heat >= 0.5).sum((1, 2)))


def test_masks_are_as_good_as_heatmaps() -> None:
    maps, heat = drawn(4)
    assert pxap(maps, heat >= 0.5) == pxap(maps, heat)


def test_undefined_maps_and_heatmaps_count_nothing() -> None:
    maps, heat = drawn(5, n=4)
    kept = pxap(maps[[1, 3]], heat[[1, 3]])
    maps[0] = torch.nan
    heat[2] = torch.nan
    counts = pxap_counts(maps, heat)
    assert counts.sum(1).tolist() == [0, 144, 0, 144]
    assert pxap.score(counts).isnan().tolist() == [True, False, True, False]
    assert pxap(maps, heat) == kept
    assert np.isnan(pxap(maps[:1], heat[:1]))


def test_no_pixel_in_any_mask_is_undefined() -> None:
    assert np.isnan(pxap(torch.rand(2, 4, 4), torch.zeros(2, 4, 4)))


def test_golden_scores_of_the_reference(golden: Callable) -> None:
    arrays = golden("pxap")
    sets = [name[3:] for name in arrays if name.startswith("ap_")]
    for name in sets:
        images = [key[len(f"cam_{name}_") :] for key in arrays if key.startswith(f"cam_{name}_")]
        maps = torch.from_numpy(np.stack([arrays[f"cam_{name}_{k}"] for k in images]))
        masks = torch.from_numpy(np.stack([arrays[f"mask_{name}_{k}"] for k in images]))
        assert pxap(maps, masks) == pytest.approx(float(arrays[f"ap_{name}"]), abs=0.05)
        assert oracle.pxap(list(maps.double().numpy()), list(masks.numpy())) == pytest.approx(
            float(arrays[f"ap_{name}"]), abs=0.05
        )
