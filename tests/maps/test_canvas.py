import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.maps.canvas import normalise, resize, shorten, to_canvas
from tests.oracles import maps as oracle

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 9)


def raw(seed: int, h: int = 4, w: int = 5, n: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, h, w)).astype(np.float32))


@given(seed=SEEDS, h=SIDES, w=SIDES, size=st.integers(10, 20))
@settings(max_examples=12)
def test_resize_is_the_sampling_formula(seed: int, h: int, w: int, size: int) -> None:
    maps = raw(seed, h, w, n=1)
    np.testing.assert_allclose(resize(maps, size)[0], oracle.bilinear(maps[0].double().numpy(), size), atol=1e-5)


@given(seed=SEEDS, h=SIDES, w=SIDES, size=st.integers(10, 40), reference=st.booleans())
def test_resize_is_that_of_torch(seed: int, h: int, w: int, size: int, reference: bool) -> None:
    maps = raw(seed, h, w)
    theirs = F.interpolate(
        maps[:, None], size=(size, size), mode="bilinear", align_corners=reference, antialias=reference
    )[:, 0]
    torch.testing.assert_close(resize(maps, size, reference), theirs, atol=1e-5, rtol=1e-5)


@given(seed=SEEDS, h=SIDES, w=SIDES, size=st.integers(10, 40), reference=st.booleans())
def test_short_vectors_have_the_lengths_and_products_of_the_resized_maps(
    seed: int, h: int, w: int, size: int, reference: bool
) -> None:
    maps, heat = raw(seed, h, w), raw(seed + 1, size, size).abs()
    large = resize(maps, size, reference).flatten(1)
    short, seen = shorten(maps, heat, reference)
    assert short.shape == seen.shape == (3, h * w + 1)
    for found, wanted in (
        (short @ short.T, large @ large.T),
        (short @ seen.T, large @ heat.flatten(1).T),
        (seen.norm(dim=1), heat.flatten(1).norm(dim=1)),
    ):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@given(seed=SEEDS, lift=st.sampled_from([-5.0, 0.0, 5.0]))
def test_attention_on_the_canvas(protocol: str, seed: int, lift: float) -> None:
    maps = raw(seed) + lift
    before = maps.clone()
    ours, defined = to_canvas(maps, attention=True, protocol=protocol, size=32)
    align = protocol == "paper"
    large = F.interpolate(maps[:, None], size=(32, 32), mode="bilinear", align_corners=align, antialias=align)[:, 0]
    for picture, small, theirs in zip(ours, maps, large, strict=True):
        low, high = small.min(), small.max()
        theirs = theirs.clamp(low, high)
        torch.testing.assert_close(picture, theirs - low if low < 0 else theirs, atol=1e-5, rtol=1e-5)
        assert picture.min() >= 0
    assert defined.all()
    assert torch.equal(maps, before)


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@given(seed=SEEDS, factor=st.sampled_from([1e-12, 1e-3, 1.0, 1e6]))
def test_a_cam_on_the_canvas(protocol: str, seed: int, factor: float) -> None:
    maps = raw(seed)
    ours, defined = to_canvas(maps * factor, attention=False, protocol=protocol, size=32)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    unit = (maps - low) / (high - low)
    theirs = F.interpolate(unit[:, None], size=(32, 32), mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert defined.all()


def test_protocol_paper_shifts_attention_and_corrected_does_not() -> None:
    """METHOD 8: 18 px at 7 -> 224, and the last row and column are dimmed."""

    def centre(protocol: str, place: int) -> float:
        bump = torch.zeros(1, 7, 7)
        bump[0, place, place] = 1
        picture = to_canvas(bump, attention=True, protocol=protocol)[0][0]
        return float((picture.sum(0) * torch.arange(224)).sum() / picture.sum())

    assert centre("corrected", 3) == pytest.approx(111.5, abs=0.01)
    assert centre("paper", 3) - 111.5 == pytest.approx(18, abs=0.2)
    corner = torch.zeros(1, 7, 7)
    corner[0, 6, 6] = 1
    assert to_canvas(corner, attention=True, protocol="corrected")[0].max() == 1
    assert to_canvas(corner, attention=True, protocol="paper")[0].max() < 0.3


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_undefined_maps_are_nan_and_touch_no_other(attention: bool, protocol: str) -> None:
    maps = raw(1, n=5)
    alone, _ = to_canvas(maps[[0, 4]], attention, protocol)
    maps[1] = 0
    maps[2, 0, 0] = torch.nan
    maps[3, 1, 1] = torch.inf
    large, defined = to_canvas(maps, attention, protocol)
    assert defined.tolist() == [True, False, False, False, True]
    assert large[1:4].isnan().all()
    torch.testing.assert_close(large[[0, 4]], alone)


def test_a_constant_map_is_undefined() -> None:
    flat = torch.full((1, 4, 4), 3.0)
    for attention in (True, False):
        picture, defined = to_canvas(flat, attention=attention)
        assert not defined.any()
        assert picture.isnan().all()


@given(seed=SEEDS, factor=st.sampled_from([1e-20, 1e-3, 1e3, 1e20]), lift=st.floats(-10, 10))
def test_normalise_spans_zero_to_one_at_any_scale(seed: int, factor: float, lift: float) -> None:
    maps, defined = normalise((raw(seed) + lift) * factor)
    assert defined.all()
    torch.testing.assert_close(maps.amin((1, 2)), torch.zeros(3))
    torch.testing.assert_close(maps.amax((1, 2)), torch.ones(3))
    torch.testing.assert_close(maps, normalise(raw(seed))[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [0.0, 5.0, -1e30, torch.nan, torch.inf, -torch.inf])
def test_a_constant_or_non_finite_map_has_no_range(value: float) -> None:
    maps, defined = normalise(torch.full((2, 3, 3), value))
    assert not defined.any()
    assert maps.isnan().all()


def test_rounding_noise_is_no_map() -> None:
    noise = 1 + torch.finfo(torch.float32).eps * torch.randint(0, 4, (1, 5, 5))
    assert not normalise(noise)[1].any()
