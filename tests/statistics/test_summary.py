import math

import numpy as np
import pytest

from interpfer.statistics.summary import Summary, macro_mean, mean_of_known, summarise

NAMES = ("anger", "fear", "neutral")


def summary(scores: list[float], classes: list[int], seed: int = 0) -> dict[str, Summary]:
    rows = summarise(np.array(scores), np.array(classes), NAMES, seed)
    return {row.group: row for row in rows}


def test_macro_is_the_mean_of_class_means_and_micro_that_of_images() -> None:
    groups = summary([0.2, 0.4, 0.9, math.nan], [0, 0, 1, 2])
    assert list(groups) == ["macro", "micro", *NAMES]
    assert groups["anger"].value == pytest.approx(0.3)
    assert groups["fear"].value == pytest.approx(0.9)
    assert groups["macro"].value == pytest.approx(0.6)
    assert groups["micro"].value == pytest.approx(0.5)
    assert [groups[name].n for name in groups] == [3, 3, 2, 1, 0]


def test_undefined_scores_are_left_out_and_an_empty_class_is_nan() -> None:
    groups = summary([0.2, math.nan, 0.9, math.nan], [0, 0, 1, 2])
    assert groups["anger"].value == pytest.approx(0.2)
    assert math.isnan(groups["neutral"].value)
    assert groups["neutral"].n == 0
    assert groups["macro"].value == pytest.approx(0.55)


def test_nothing_defined_is_nan_everywhere() -> None:
    for row in summary([math.nan, math.nan], [0, 1]).values():
        assert math.isnan(row.value)
        assert math.isnan(row.low)
        assert row.n == 0


def test_an_image_without_a_label_belongs_to_no_class() -> None:
    groups = summary([0.2, 0.4, math.nan], [0, 1, -1])
    assert groups["micro"].n == 2


def test_intervals_hold_the_value_narrow_with_images_and_follow_the_seed() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.normal(0.5, 0.1, 20), rng.normal(0.5, 0.1, 2000)
    wide = summary(few.tolist(), [0] * 10 + [1] * 10)["macro"]
    narrow = summary(many.tolist(), [0] * 1000 + [1] * 1000)["macro"]
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    # the mean of 2000 draws of spread 0.1 has a 95 % interval about 4 * 0.1 / sqrt(2000) wide
    assert narrow.high - narrow.low == pytest.approx(0.00877, rel=0.15)
    again, other = (summary(few.tolist(), [0] * 10 + [1] * 10, seed)["macro"] for seed in (0, 1))
    assert again == wide
    assert other.low != wide.low
    assert other.value == wide.value


def test_a_single_image_has_no_interval() -> None:
    row = summary([0.4], [1])["fear"]
    assert row.value == pytest.approx(0.4)
    assert math.isnan(row.low)
    assert math.isnan(row.high)


def test_macro_mean_is_the_mean_of_the_class_means() -> None:
    values, classes = [0.2, 0.4, math.nan, 0.9], ["anger", "anger", "fear", "sadness"]
    assert macro_mean(values, classes) == pytest.approx((0.3 + 0.9) / 2)
    assert math.isnan(macro_mean([math.nan], ["anger"]))
    assert math.isnan(macro_mean([], []))


def test_macro_mean_is_that_of_a_summary_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 7, 300):
        scores, classes = rng.random(count), np.sort(rng.integers(0, 3, count))
        assert macro_mean(scores.tolist(), classes.tolist()) == summarise(scores, classes, NAMES, 0)[0].value


def test_the_mean_of_resamples_leaves_out_what_they_lack() -> None:
    draws = np.array([[0.2, math.nan, math.nan], [0.4, 0.6, math.nan]])
    assert mean_of_known(draws)[:2] == pytest.approx([0.3, 0.6])
    assert mean_of_known(draws, np.array([3.0, 1.0]))[0] == pytest.approx(0.25)
    assert math.isnan(mean_of_known(draws)[2])
