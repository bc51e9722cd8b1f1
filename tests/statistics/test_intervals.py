"""Intervals by image, by subject and of pooled counts; groups of right and wrong predictions."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, norm, t

from interpfer.metrics.localisation import pxap
from interpfer.statistics.bootstrap import image_weights, interval, means_by_image, means_by_subject, subject_weights
from interpfer.statistics.pooling import Pool, pool, summarise_pooled
from interpfer.statistics.summary import Summary, summarise, summarise_halves, summarise_table

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


def test_a_class_of_one_person_has_no_interval_but_the_mean_of_the_classes_has() -> None:
    scores = np.array([0.0, 0.1, 1.0])
    macro, micro, several, single = summarise(scores, np.array([0, 0, 1]), NAMES, 0, np.array([0, 1, 2]))
    assert macro.value == pytest.approx(0.525)
    assert all(math.isfinite(one.low) and one.low < one.value for one in (macro, micro, several))
    assert math.isnan(single.low)


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

    def summarise_with(factor: float) -> dict[str, Summary]:
        factors = dict.fromkeys(("macro", "micro", *NAMES, "correct"), factor)
        rows = summarise_pooled(
            pooled, lambda g: pxap.score(torch.from_numpy(pooled.sums[g]).long()).numpy(), NAMES, factors
        )
        return {row.group: row for row in rows}

    found, wide = summarise_with(1.0), summarise_with(1.5)
    assert wide["micro"].high - wide["micro"].value == pytest.approx(1.5 * (found["micro"].high - found["micro"].value))
    assert found["micro"].value == pytest.approx(pxap(maps, heat))
    assert found["anger"].value == pytest.approx(pxap(maps[::2], heat[::2]))
    assert found["macro"].value == pytest.approx((found["anger"].value + found["fear"].value) / 2)
    assert found["correct"].value == pytest.approx(pxap(maps[:4], heat[:4]))
    assert [found[g].n for g in ("macro", "micro", "anger", "correct")] == [12, 12, 6, 4]
    assert all(s.low < s.value < s.high for s in found.values())


def test_means_by_subject_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    scores, person = rng.random((9, 2)), np.array([0, 0, 1, 1, 2, 2, 2, 3, 3])
    members = [np.array([0, 2, 4, 5]), np.array([1, 3, 6, 8])]
    found = means_by_subject(scores, members, person, 5)
    drawn = np.random.default_rng(5).integers(0, 4, (1000, 4))
    for rows, draws in zip(members, found, strict=True):
        for resample in range(0, 1000, 100):
            mean = scores[rows].mean(0)
            expected = mean + sum(
                (scores[row] - mean) * np.sum(drawn[resample] == person[row]) / len(rows) for row in rows
            )
            np.testing.assert_allclose(draws[resample], expected)


def test_a_widened_percentile_interval_is_that_of_scipy_times_the_factor() -> None:
    scores = np.random.default_rng(0).gamma(2, size=40)
    found = summarise(scores, np.zeros(40, np.intp), ("anger",), 0)[0]
    peer = bootstrap((scores,), np.mean, method="percentile", n_resamples=20000, random_state=0).confidence_interval
    factor = math.sqrt(40 / 39) * t.ppf(0.975, 39) / norm.ppf(0.975)
    assert found.low == pytest.approx(found.value + factor * (peer.low - found.value), abs=0.03)
    assert found.high == pytest.approx(found.value + factor * (peer.high - found.value), abs=0.03)


def test_a_half_is_the_mean_of_its_images() -> None:
    scores = np.array([0.2, 0.4, math.nan, 0.9])
    halves = {"wrong": np.array([True, True, True, False]), "none": np.zeros(4, bool)}
    ((found, empty),) = summarise_halves(scores[:, None], halves, 0)
    assert (found.group, found.value, found.n) == ("wrong", pytest.approx(0.3), 2)
    assert math.isnan(empty.value)
    assert empty.n == 0


def test_right_and_wrong_predictions_are_drawn_by_subject_too() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(10), 30)
    scores = (rng.normal(size=10)[person] + 0.01 * rng.normal(size=300))[:, None]
    half = {"correct": np.arange(300) % 2 == 0}
    (by_image,), (by_subject,) = summarise_halves(scores, half, 0)[0], summarise_halves(scores, half, 0, person)[0]
    assert by_subject.high - by_subject.low > 3 * (by_image.high - by_image.low)


def test_columns_together_are_columns_alone() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((40, 5))
    scores[3, 1] = scores[7, 4] = math.nan
    classes = rng.integers(-1, 2, 40)
    for subjects in (None, rng.integers(0, 9, 40)):
        together = summarise_table(scores, classes, NAMES, 3, subjects)
        for column, found in enumerate(together):
            alone = summarise(scores[:, column], classes, NAMES, 3, subjects)
            assert [summary.group for summary in found] == [summary.group for summary in alone]
            np.testing.assert_allclose([summary[1:] for summary in found], [summary[1:] for summary in alone])


def test_means_of_resamples_against_a_plain_loop_and_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, rows = np.random.default_rng(0).random((7, 2)), np.array([1, 4, 6])
    (whole,) = means_by_image(scores, [rows], 5)
    drawn = np.random.default_rng(5).integers(0, 3, (1000, 3))
    np.testing.assert_allclose(whole, scores[rows][drawn].mean(1))
    monkeypatch.setattr("interpfer.statistics.bootstrap.DRAWN_AT_ONCE", 10)
    assert means_by_image(scores, [rows], 5)[0].shape == (1000, 2)


def test_pools_of_batches_add_up_to_the_pool_of_all() -> None:
    rng = np.random.default_rng(0)
    counts, classes = rng.integers(0, 60000, (20, 9)).astype(np.uint16), rng.integers(-1, 2, 20)
    right = {"correct": rng.random(20) < 0.5, "wrong": rng.random(20) < 0.2}
    weights = image_weights(classes, 30, 0)
    whole = pool(counts, classes, NAMES, weights, right)
    parts: Pool | None = None
    for s in (slice(0, 7), slice(7, 20)):
        halves = {name: half[s] for name, half in right.items()}
        parts = pool(counts[s], classes[s], NAMES, weights[:, s], halves, parts)
    assert parts is not None
    plain = {"micro": np.ones(20, bool), "anger": classes == 0, "fear": classes == 1} | right
    for group, which in plain.items():
        np.testing.assert_array_equal(whole.sums[group], parts.sums[group])
        np.testing.assert_array_equal(whole.sums[group][0], counts[which].sum(0))
        np.testing.assert_array_equal(whole.sums[group][1:], weights[:, which].astype(float) @ counts[which])
        assert whole.sizes[group] == parts.sizes[group] == which.sum()


def test_an_interval_of_nothing_is_nan() -> None:
    assert all(math.isnan(end) for end in interval(np.full(10, np.nan)))
