"""Intervals by image, by subject and of pooled counts; groups of right and wrong predictions."""

import math

import numpy as np
import pytest
import torch

from interpfer.metrics.localisation import pxap
from interpfer.metrics.statistics import (
    image_weights,
    interval,
    pool,
    subject_weights,
    summarise,
    summarise_half,
    summarise_pooled,
)

NAMES = ("anger", "fear")


def test_subjects_who_repeat_themselves_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(10), 30)
    scores = rng.normal(size=10)[person] + 0.01 * rng.normal(size=300)
    classes = np.zeros(300, np.intp)
    by_image = summarise(scores, classes, ("anger",), 0)[0]
    by_subject = summarise(scores, classes, ("anger",), 0, person)[0]
    assert by_subject.value == pytest.approx(by_image.value)
    assert by_subject.high - by_subject.low > 3 * (by_image.high - by_image.low)


def test_one_image_per_subject_is_nearly_the_bootstrap_over_images() -> None:
    scores = np.random.default_rng(1).normal(size=400)
    classes = np.zeros(400, np.intp)
    a = summarise(scores, classes, ("anger",), 0)[0]
    b = summarise(scores, classes, ("anger",), 0, np.arange(400))[0]
    assert b.low == pytest.approx(a.low, abs=0.02)
    assert b.high == pytest.approx(a.high, abs=0.02)


def test_a_class_that_a_resample_misses_does_not_spoil_the_mean_of_the_classes() -> None:
    scores = np.array([0.0, 0.0, 1.0])
    found = summarise(scores, np.array([0, 0, 1]), NAMES, 0, np.array([0, 1, 2]))
    assert found[0].value == 0.5
    assert all(math.isfinite(summary.low) for summary in found)


def test_weights_draw_as_many_images_as_there_are() -> None:
    classes = np.array([0, 1, 1, 1, -1])
    weights = image_weights(classes, 50, 0)
    assert (weights[:, 0] == 1).all()
    assert (weights[:, 1:4].sum(1) == 3).all()
    people = subject_weights(np.array([7, 7, 9]), 50, 0)
    assert (people[:, 0] == people[:, 1]).all()
    assert (people[:, 1] + people[:, 2] == 2).all()


def test_pooled_scores_are_those_of_all_pixels_together_with_intervals_around_them() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, heat = (torch.rand(12, 9, 9, generator=generator) for _ in range(2))
    counts = pxap.count(maps, heat).numpy().astype(np.uint16)
    classes = np.array([0, 1] * 6)
    right = np.arange(12) < 4
    pooled = pool(counts, classes, NAMES, image_weights(classes, 100, 0), {"correct": right})
    found = {
        s.group: s for s in summarise_pooled(pooled, lambda c: pxap.score(torch.from_numpy(c).long()).numpy(), NAMES)
    }
    assert found["micro"].value == pytest.approx(pxap(maps, heat))
    assert found["anger"].value == pytest.approx(pxap(maps[::2], heat[::2]))
    assert found["macro"].value == pytest.approx((found["anger"].value + found["fear"].value) / 2)
    assert found["correct"].value == pytest.approx(pxap(maps[:4], heat[:4]))
    assert [found[g].n for g in ("macro", "micro", "anger", "correct")] == [12, 12, 6, 4]
    assert all(s.low < s.value < s.high for s in found.values())


def test_a_half_is_the_mean_of_its_images() -> None:
    scores = np.array([0.2, 0.4, math.nan, 0.9])
    found = summarise_half("wrong", scores, np.array([True, True, True, False]), 0)
    assert (found.group, found.value, found.n) == ("wrong", pytest.approx(0.3), 2)
    empty = summarise_half("wrong", scores, np.zeros(4, bool), 0)
    assert math.isnan(empty.value)
    assert empty.n == 0


def test_an_interval_of_nothing_is_nan() -> None:
    assert all(math.isnan(end) for end in interval(np.full(10, np.nan)))
