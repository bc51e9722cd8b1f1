"""Boxes around the largest part of a map, and around all of its parts."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from interpfer.metrics.boxes import TONES, box_counts, box_counts_all, boxes, maxboxacc, maxboxacc_all
from interpfer.metrics.components import largest_boxes
from tests.oracles import metrics_more as oracles

SEEDS = st.integers(0, 2**32 - 1)


def block(left: int, top: int, right: int, bottom: int, value: float = 1.0, size: int = 10) -> torch.Tensor:
    picture = torch.zeros(1, size, size)
    picture[:, top:bottom, left:right] = value
    return picture


@pytest.mark.parametrize(
    ("maps", "heat", "score"),
    [
        (block(2, 2, 6, 6), block(2, 2, 6, 6), 1),
        (block(2, 2, 6, 6), block(2, 4, 6, 6), 1),  # IoU 8 / 16
        (block(2, 2, 6, 6), block(3, 4, 6, 6), 0),  # IoU 6 / 16
        (block(0, 0, 2, 2) + block(8, 8, 10, 10), block(0, 0, 10, 10), 1),  # one box around both
        (block(0, 0, 10, 10, 0.3) + block(2, 2, 6, 6, 0.7), block(2, 2, 6, 6), 1),  # at a threshold above 0.3
        (torch.zeros(1, 10, 10), block(2, 2, 6, 6), 0),
    ],
)
def test_known_boxes(maps: torch.Tensor, heat: torch.Tensor, score: int) -> None:
    assert maxboxacc_all(maps, heat) == score


def test_one_threshold_has_to_do_for_all_images() -> None:
    bright = block(0, 0, 10, 10, 0.6) + block(2, 2, 6, 6, 0.4)
    dim = block(0, 0, 10, 10, 0.1) + block(2, 2, 6, 6, 0.3)
    wanted = block(2, 2, 6, 6)
    assert maxboxacc_all(bright, wanted) == maxboxacc_all(dim, wanted) == 1
    assert maxboxacc_all(torch.cat([bright, dim]), wanted.repeat(2, 1, 1)) == 0.5


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
def test_maxboxacc_all_against_its_oracle_and_its_mirror(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps, heat = (torch.from_numpy(rng.random((4, 6, 6), np.float32)) ** 3 for _ in range(2))
    score = maxboxacc_all(maps, heat)
    assert score == pytest.approx(oracles.maxboxacc_all(list(maps.numpy()), list(heat.numpy())), nan_ok=True)
    assert maxboxacc_all(maps.flip(2), heat.flip(2)) == pytest.approx(score, nan_ok=True)
    assert maxboxacc_all(maps.transpose(1, 2), heat.transpose(1, 2)) == pytest.approx(score, nan_ok=True)


def test_an_undefined_box_counts_all_nothing() -> None:
    maps, heat = torch.rand(3, 8, 8), torch.ones(3, 8, 8)
    maps[0], heat[1] = math.nan, math.nan
    counts = box_counts_all(maps, heat)
    assert counts.shape == (3, TONES + 1)
    assert counts[:, -1].tolist() == [0, 0, 1]
    assert counts[:2].sum() == 0
    assert maxboxacc_all.score(counts).isnan().tolist() == [True, True, False]
    assert math.isnan(maxboxacc_all(maps[:2], heat[:2]))
    assert math.isnan(maxboxacc_all(maps[2:], torch.zeros(1, 8, 8)))  # no pixel of a mask, no box


def drawn(seed: int, grid: int, decimals: int = 9, size: tuple[int, int] = (33, 40)) -> NDArray[np.float32]:
    """A map as a layer gives it, with plateaus where it is rounded to few decimals."""
    raw = torch.rand(1, 1, grid, grid, generator=torch.Generator().manual_seed(seed))
    large = F.interpolate(raw, size=size, mode="bilinear")[0, 0].double().numpy()
    scaled = (large - large.min()) / (large.max() - large.min())
    picture: NDArray[np.float32] = (scaled - 0.2).clip(0).round(decimals).astype(np.float32) / np.float32(0.8)
    return picture.clip(0, 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), grid=st.sampled_from([3, 7, 33]), decimals=st.sampled_from([1, 2, 9]))
def test_the_largest_part_at_every_threshold_is_that_of_labelling_each(seed: int, grid: int, decimals: int) -> None:
    picture = drawn(seed, grid, decimals)
    found = largest_boxes(picture, TONES)
    for tone in range(1, TONES + 1):
        candidates = oracles.largest_part_boxes(picture, tone)
        assert tuple(found[:, tone - 1].tolist()) in candidates, tone


def test_a_flat_and_an_empty_map() -> None:
    assert (largest_boxes(np.zeros((4, 6), np.float32), 5) == 0).all()
    full = largest_boxes(np.ones((4, 6), np.float32), 5)
    assert (full.T == [0, 0, 6, 4]).all()
    assert largest_boxes(np.full((1, 1), 0.5, np.float32), 2).T.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


def by_contours(maps: Tensor, heat: Tensor) -> float:
    """The share of correct boxes with OpenCV's contours, written after the description of Choe et al."""
    right = np.zeros((len(maps), TONES), bool)
    for i, (one, other) in enumerate(zip(maps.numpy(), heat.numpy(), strict=True)):
        levels = (one * 255).astype(np.uint8)
        wanted = oracles.box(other, 0.5)
        for tone in range(TONES):
            above = cv2.threshold(levels, tone, 255, cv2.THRESH_BINARY)[1]
            contours = cv2.findContours(above, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
            if contours:
                x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
                overlap = oracles.box_overlap((x, y, x + width, y + height), wanted)
                right[i, tone] = overlap >= 0.5
    return float(right.mean(0).max())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_maxboxacc_agrees_with_contours_of_opencv(seed: int) -> None:
    maps, heat = (
        torch.from_numpy(np.stack([drawn(1000 * seed + 100 * k + i, 5, size=(56, 56)) for i in range(24)]))
        for k in range(2)
    )
    assert maxboxacc(maps, heat) == pytest.approx(by_contours(maps, heat), abs=1 / 24)


def test_the_largest_part_and_all_parts_differ() -> None:
    maps = block(0, 0, 2, 2) + block(8, 8, 10, 10)
    assert maxboxacc_all(maps, block(0, 0, 10, 10)) == 1
    assert maxboxacc(maps, block(0, 0, 10, 10)) == 0
    assert maxboxacc(maps + block(3, 0, 9, 6), block(3, 0, 9, 6)) == 1


def test_undefined_maps_count_nothing_for_the_largest_part() -> None:
    maps, heat = torch.rand(3, 8, 8), torch.ones(3, 8, 8)
    maps[0], heat[1] = math.nan, math.nan
    assert box_counts(maps, heat)[:, -1].tolist() == [0, 0, 1]
    assert box_counts(maps[:0], heat[:0]).shape == (0, TONES + 1)
