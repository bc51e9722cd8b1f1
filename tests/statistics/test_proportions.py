import math

import numpy as np
import pytest
from scipy.stats import binomtest

from interpfer.statistics.proportions import clustered_interval, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 7), (552, 600), (9, 9)])
def test_the_formula_of_wilson(successes: int, n: int) -> None:
    peer = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((peer.low, peer.high), abs=1e-9)
    share, z = successes / n, 1.959963984540054
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert wilson_interval(successes, n) == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_without_trials_there_is_no_interval() -> None:
    assert all(math.isnan(end) for end in wilson_interval(0, 0))


def test_without_subjects_the_interval_is_that_of_wilson() -> None:
    correct = np.arange(30) < 21
    assert clustered_interval(correct, None) == wilson_interval(21, 30)


def test_people_with_equal_images_are_one_image_each() -> None:
    correct = np.arange(30) < 21
    people = np.repeat(np.arange(30), 8)
    alone, repeated = clustered_interval(correct, np.arange(30)), clustered_interval(np.repeat(correct, 8), people)
    assert repeated == pytest.approx(alone, abs=0.003)


def test_an_accuracy_of_one_counts_people_not_images() -> None:
    low, high = clustered_interval(np.ones(60, bool), np.repeat(np.arange(10), 6))
    assert high == 1
    assert low == pytest.approx(1 / (1 + 2.2621571628**2 / 10))  # t of 9 degrees of freedom


def test_a_single_person_has_no_interval() -> None:
    assert all(math.isnan(end) for end in clustered_interval(np.array([True, False]), np.array([3, 3])))


def test_the_interval_covers_the_accuracy_of_people_who_differ() -> None:
    rng = np.random.default_rng(0)
    person, hits, naive = np.repeat(np.arange(40), 6), 0, 0
    for _ in range(600):
        correct = rng.random(240) < rng.beta(1.4, 0.6, 40)[person]
        for covers, subjects in ((True, person), (False, None)):
            low, high = clustered_interval(correct, subjects)
            hits, naive = hits + (covers and low <= 0.7 <= high), naive + (not covers and low <= 0.7 <= high)
    assert 0.93 <= hits / 600 <= 0.97
    assert naive / 600 < 0.85
