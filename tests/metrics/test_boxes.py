"""MaxBoxAcc on boxes that are counted by hand, and against a loop over pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpfer.metrics import METRICS
from interpfer.metrics.base import DatasetMetric
from interpfer.metrics.localisation import TONES, box_counts, boxes, maxboxacc
from tests.oracles import metrics_more as oracles

SEEDS = st.integers(0, 2**32 - 1)


def block(left: int, top: int, right: int, bottom: int, value: float = 1.0, size: int = 10) -> torch.Tensor:
    picture = torch.zeros(1, size, size)
    picture[:, top:bottom, left:right] = value
    return picture


@pytest.mark.parametrize(
    ("found", "wanted", "right"),
    [
        (block(2, 2, 6, 6), block(2, 2, 6, 6), 1),
        (block(2, 2, 6, 6), block(2, 4, 6, 6), 1),  # IoU 8 / 16
        (block(2, 2, 6, 6), block(3, 4, 6, 6), 0),  # IoU 6 / 16
        (block(0, 0, 2, 2) + block(8, 8, 10, 10), block(0, 0, 10, 10), 1),  # one box around both
        (block(0, 0, 10, 10, 0.3) + block(2, 2, 6, 6, 0.7), block(2, 2, 6, 6), 1),  # at a threshold above 0.3
        (torch.zeros(1, 10, 10), block(2, 2, 6, 6), 0),
    ],
)
def test_known_boxes(found: torch.Tensor, wanted: torch.Tensor, right: int) -> None:
    assert maxboxacc(found, wanted) == right


def test_one_threshold_has_to_do_for_all_images() -> None:
    bright = block(0, 0, 10, 10, 0.6) + block(2, 2, 6, 6, 0.4)
    dim = block(0, 0, 10, 10, 0.1) + block(2, 2, 6, 6, 0.3)
    wanted = block(2, 2, 6, 6)
    assert maxboxacc(bright, wanted) == maxboxacc(dim, wanted) == 1
    assert maxboxacc(torch.cat([bright, dim]), wanted.repeat(2, 1, 1)) == 0.5


@given(seed=SEEDS, height=st.integers(1, 9), width=st.integers(1, 9))
def test_boxes_against_a_loop(seed: int, height: int, width: int) -> None:
    maps = torch.from_numpy(np.random.default_rng(seed).random((2, height, width), np.float32)) ** 2
    thresholds = torch.tensor([0.1, 0.5, 0.9, 1.0])
    found = boxes(maps, thresholds)
    for i in range(2):
        for k, threshold in enumerate(thresholds):
            expected = oracles.box(maps[i].numpy(), float(threshold))
            assert tuple(int(end[i, k]) for end in found) == expected


@given(seed=SEEDS)
def test_against_its_oracle_and_its_mirror(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps, heat = (torch.from_numpy(rng.random((4, 6, 6), np.float32)) ** 3 for _ in range(2))
    score = maxboxacc(maps, heat)
    assert score == pytest.approx(oracles.maxboxacc(list(maps.numpy()), list(heat.numpy())), nan_ok=True)
    assert maxboxacc(maps.flip(2), heat.flip(2)) == pytest.approx(score, nan_ok=True)
    assert maxboxacc(maps.transpose(1, 2), heat.transpose(1, 2)) == pytest.approx(score, nan_ok=True)


def test_undefined_counts_nothing() -> None:
    maps, heat = torch.rand(3, 8, 8), torch.ones(3, 8, 8)
    maps[0], heat[1] = math.nan, math.nan
    counts = box_counts(maps, heat)
    assert counts.shape == (3, TONES + 1)
    assert counts[:, -1].tolist() == [0, 0, 1]
    assert counts[:2].sum() == 0
    assert maxboxacc.score(counts).isnan().tolist() == [True, True, False]
    assert math.isnan(maxboxacc(maps[:2], heat[:2]))
    assert math.isnan(maxboxacc(maps[2:], torch.zeros(1, 8, 8)))  # no pixel of a mask, no box


def test_facts() -> None:
    metric = METRICS.get("maxboxacc")
    assert isinstance(metric, DatasetMetric)
    assert metric.facts.higher_is_better
    assert metric.facts.bounds == (0, 1)
