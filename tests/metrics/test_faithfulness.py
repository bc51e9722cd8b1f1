"""Faithfulness on a model whose reasons are known: it looks at the top left quarter alone."""

import math

import numpy as np
import pytest
import torch

from interpfer.metrics import METRICS, metric_groups
from interpfer.metrics.faithfulness import STEPS, blur, ranks_from_top
from interpfer.metrics.queries import ModelProbe

SIZE = 32


def striped(n: int = 2) -> torch.Tensor:
    """Fine stripes, which blurring turns grey."""
    line = (torch.arange(SIZE) % 2).float()
    return line.expand(n, 3, SIZE, SIZE).clone()


def looks_at_top_left(images: torch.Tensor) -> torch.Tensor:
    part = images[:, 0, : SIZE // 2, : SIZE // 2]
    contrast = (part[..., 1:] - part[..., :-1]).abs().mean((1, 2))
    return torch.stack([6 * contrast - 3, torch.zeros_like(contrast)], 1).softmax(1)


def quarter(top: bool, left: bool, n: int = 2, size: int = 224) -> torch.Tensor:
    maps = torch.full((n, size, size), 0.1)
    half = size // 2
    maps[:, slice(0, half) if top else slice(half, size), slice(0, half) if left else slice(half, size)] = 1
    return maps


def probe(heat: torch.Tensor | None = None, targets: tuple[int, ...] = (0, 0)) -> ModelProbe:
    heat = quarter(True, True, len(targets)) if heat is None else heat
    rows = tuple(range(len(targets)))
    return ModelProbe(looks_at_top_left, striped(len(targets)), heat, torch.tensor(targets), rows, 0)


@pytest.mark.parametrize("name", ["deletion", "insertion", "pixel_flipping", "average_drop"])
def test_the_map_of_what_the_model_needs_beats_the_opposite(name: str) -> None:
    metric = METRICS.get(name)
    right, wrong = (metric(quarter(corner, corner), probe()) for corner in (True, False))
    assert ((right - wrong > 0.1) if metric.facts.higher_is_better else (wrong - right > 0.1)).all()
    for found in (right, wrong):
        assert ((found >= 0) & (found <= 1)).all()


def test_deletion_against_a_plain_loop() -> None:
    maps = torch.rand(2, SIZE, SIZE)
    one = probe()
    expected = []
    for face in range(2):
        order = np.argsort(-maps[face].flatten().numpy(), kind="stable")
        curve = []
        for step in range(STEPS + 1):
            picture, soft = one.images[face].clone(), blur(one.images[face : face + 1])[0]
            rows, columns = np.unravel_index(order[: round(SIZE * SIZE * step / STEPS)], (SIZE, SIZE))
            picture[:, rows, columns] = soft[:, rows, columns]
            curve.append(looks_at_top_left(picture[None])[0, 0].item())
        expected.append(np.trapezoid(curve) / STEPS)
    np.testing.assert_allclose(METRICS.get("deletion")(maps, one).numpy(), expected, atol=2e-3)


def test_increase_and_drop_of_a_map_that_keeps_everything() -> None:
    everything = torch.ones(2, 224, 224)
    assert (METRICS.get("average_drop")(everything, probe()) == 0).all()
    assert (METRICS.get("increase")(everything, probe()) == 0).all()
    for_the_other = probe(targets=(1, 1))
    assert (METRICS.get("increase")(quarter(False, False), for_the_other) == 1).all()


def test_hiding_au_regions_hurts_where_the_model_uses_them() -> None:
    maps = torch.ones(2, 224, 224)
    used = METRICS.get("au_occlusion")(maps, probe(quarter(True, True)))
    unused = METRICS.get("au_occlusion")(maps, probe(quarter(False, False)))
    assert (used > 0.3).all()
    assert (unused < 0.05).all()
    everywhere = METRICS.get("au_occlusion")(maps, probe(torch.ones(2, 224, 224)))
    assert everywhere.isnan().all()


@pytest.mark.parametrize("name", metric_groups()["faithfulness"])
def test_undefined_is_nan_and_the_batch_does_not_show(name: str) -> None:
    maps, heat = torch.rand(3, 224, 224), quarter(True, True, 3)
    together = METRICS.get(name)(maps, probe(heat, (0, -1, 0)))
    assert together[1].isnan()
    maps[2] = math.nan
    apart = ModelProbe(looks_at_top_left, striped(1), heat[:1], torch.tensor([0]), (0,), 0)
    torch.testing.assert_close(METRICS.get(name)(maps[:1], apart), together[:1])
    assert METRICS.get(name)(maps, probe(heat, (0, 0, 0)))[2].isnan()


def test_places_count_from_the_highest() -> None:
    assert ranks_from_top(torch.tensor([[[0.2, 0.9], [0.5, 0.1]]])).tolist() == [[[2, 0], [1, 3]]]
