from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from interpfer.maps.canvas import to_canvas
from interpfer.metrics.agreement import cosine, cosine_skill
from tests.oracles import metrics as oracle


def pictures(seed: int, n: int = 3, side: int = 8) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((n, side, side), np.float32))


SEEDS = st.integers(0, 2**32 - 1)


def test_four_pixels() -> None:
    heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert cosine(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), heat).item() == 1
    assert cosine(torch.tensor([[[0.0, 1.0], [1.0, 1.0]]]), heat).item() == 0
    assert cosine(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), heat).item() == pytest.approx(0.6)
    assert cosine(torch.tensor([[[1.0, 1.0], [1.0, 1.0]]]), heat).item() == pytest.approx(0.5)


def test_skill_of_four_pixels() -> None:
    heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert cosine_skill(torch.ones(1, 2, 2), heat).item() == pytest.approx(0, abs=1e-6)
    assert cosine_skill(heat, heat).item() == pytest.approx(1)
    assert cosine_skill(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), heat).item() == pytest.approx(0.1 / 0.5)
    assert cosine_skill(torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]), heat).item() == pytest.approx(-1)


@given(seed=SEEDS)
def test_cosine_is_the_plain_loop(seed: int) -> None:
    maps, heat = pictures(seed), pictures(seed + 1)
    expected = [oracle.cosine(a, b) for a, b in zip(maps.numpy(), heat.numpy(), strict=True)]
    assert cosine(maps, heat).tolist() == pytest.approx(expected, abs=1e-6)


@given(seed=SEEDS, factor=st.floats(1e-4, 1e4), axis=st.sampled_from([1, 2]))
def test_cosine_does_not_change_with_scale_or_mirror(seed: int, factor: float, axis: int) -> None:
    maps, heat = pictures(seed), pictures(seed + 1)
    score = cosine(maps, heat)
    torch.testing.assert_close(cosine(maps * factor, heat), score)
    torch.testing.assert_close(cosine(maps, heat * factor), score)
    torch.testing.assert_close(cosine(maps.flip(axis), heat.flip(axis)), score)
    torch.testing.assert_close(cosine(heat, maps), score)


@given(seed=SEEDS)
def test_bounds(seed: int) -> None:
    maps, heat = pictures(seed) - 0.5, pictures(seed + 1)
    for metric in (cosine, cosine_skill):
        low, high = metric.facts.bounds
        scores = metric(maps, heat)
        assert ((scores >= low - 1e-6) & (scores <= high + 1e-6)).all()
    assert (cosine(maps, maps) <= 1 + 1e-6).all()


@pytest.mark.parametrize("metric", [cosine, cosine_skill])
def test_undefined_is_nan_and_touches_no_other_image(metric: Callable) -> None:
    maps, heat = pictures(1, n=5), pictures(2, n=5)
    whole = metric(maps, heat)
    maps[0] = torch.nan
    heat[2] = torch.nan
    maps[4] = 0
    scores = metric(maps, heat)
    assert scores.isnan().tolist() == [True, False, True, False, True]
    assert torch.equal(scores[[1, 3]], whole[[1, 3]])


def test_an_undefined_first_heatmap_does_not_spoil_the_skill_of_the_others() -> None:
    maps, heat = pictures(1, n=2), pictures(2, n=2)
    heat[0] = torch.nan
    assert cosine_skill(maps, heat)[1].isfinite()


def test_arguments_are_left_alone() -> None:
    maps, heat = pictures(1), pictures(2)
    before = maps.clone(), heat.clone()
    cosine_skill(maps, heat)
    assert torch.equal(maps, before[0])
    assert torch.equal(heat, before[1])


def test_golden_scores_of_the_reference(golden: Callable) -> None:
    """Attention of four layers and a CAM per face, through the canvas as protocol `paper` does."""
    arrays = golden("cosine")
    faces = [name[3:] for name in arrays if name.startswith("hm_")]
    for face in faces:
        heat = torch.from_numpy(arrays[f"hm_{face}"].astype(np.float32))[None]
        features = [torch.from_numpy(arrays[f"feat_{face}_{layer}"]) for layer in range(4)]
        maps = [to_canvas(feature.mean(1), attention=True, protocol="paper")[0] for feature in features]
        maps.append(torch.from_numpy(arrays[f"cam_{face}"])[None])
        scores = [cosine(picture, heat).item() for picture in maps]
        assert scores == pytest.approx(arrays[f"cos_{face}"].ravel().tolist(), abs=1e-4)
