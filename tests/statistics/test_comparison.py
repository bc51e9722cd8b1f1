"""Paired differences of scores and of accuracies."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from interpfer.statistics.bootstrap import Array, Rows
from interpfer.statistics.comparison import Difference, compare_accuracy, compare_scores, holm

NAMES = ("anger", "fear")


def compare_one(a: Array, b: Array, classes: Rows, subjects: Rows | None = None) -> Difference:
    return compare_scores(a[:, None], b[:, None], classes, NAMES, 0, subjects)[0]


def test_a_shift_is_found_with_its_size() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=80)
    b = a + 0.5 + 0.1 * rng.normal(size=80)
    found = compare_one(a, b, np.arange(80) % 2)
    assert found.difference == pytest.approx(found.b - found.a)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.1
    assert found.p == 1 / 10001
    assert (found.n, found.test, found.n_subjects) == (80, "sign flip", 0)


def test_equals_do_not_differ() -> None:
    a = np.linspace(0, 1, 9)
    found = compare_one(a, a, np.zeros(9, np.intp))
    assert found[2:6] == (0, 0, 0, 1)


def test_what_either_side_lacks_is_left_out_on_both() -> None:
    a, b = np.array([math.nan, 1.0, 2.0, 3.0]), np.array([5.0, math.nan, 2.5, 3.5])
    found = compare_one(a, b, np.zeros(4, np.intp))
    assert (found.a, found.b, found.n) == (2.5, 3.0, 2)
    nothing = compare_one(a[:2], b[:2], np.zeros(2, np.intp))
    assert nothing.n == 0
    assert math.isnan(nothing.p)


@pytest.mark.parametrize("people", [8, 60])
def test_the_test_is_that_of_scipy_on_the_parts_of_people_in_the_macro_mean(people: int) -> None:
    rng = np.random.default_rng(3)
    n = 4 * people
    person, classes = rng.permutation(np.repeat(np.arange(people), 4)), rng.integers(0, 2, n)
    a, b = rng.random(n), rng.random(n) + 0.02 * rng.random(people)[person]
    found = compare_one(a, b, classes, person)
    parts = np.zeros(people)
    for row in range(n):
        parts[person[row]] += (b - a)[row] / np.sum(classes == classes[row]) / 2
    assert found.difference == pytest.approx(parts.sum())
    peer = permutation_test((parts,), np.sum, permutation_type="samples", n_resamples=20000, random_state=0)
    assert found.p == pytest.approx(peer.pvalue, abs=1e-9 if people == 8 else 0.015)
    assert found.n_subjects == people


def test_columns_of_scores_are_compared_as_each_alone_would_be() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((12, 3)), rng.random((12, 3))
    a[2, 1] = math.nan
    classes, people = rng.integers(-1, 2, 12), rng.integers(0, 6, 12)
    for column, found in enumerate(compare_scores(a, b, classes, NAMES, 0, people)):
        alone = compare_one(a[:, column], b[:, column], classes, people)
        assert found[:7] == pytest.approx(alone[:7])
        assert found[7:] == alone[7:]


def test_accuracy_by_the_exact_test_of_mcnemar() -> None:
    a = np.array([True] * 5 + [False] * 10)
    b = np.array([True] * 4 + [False] + [True] * 8 + [False] * 2)
    found = compare_accuracy(a, b, 0)
    assert found.difference == pytest.approx(7 / 15)
    tail = sum(math.comb(9, k) for k in (0, 1, 8, 9)) / 2**9
    assert found.p == pytest.approx(tail)
    assert (found.test, found.n_subjects) == ("McNemar", 0)
    assert compare_accuracy(a, a, 0).p == 1


def test_people_of_one_image_each_get_the_p_value_of_mcnemar() -> None:
    a = np.array([True] * 5 + [False] * 10)
    b = np.array([True] * 4 + [False] + [True] * 8 + [False] * 2)
    found = compare_accuracy(a, b, 0, np.arange(15))
    assert found.p == pytest.approx(compare_accuracy(a, b, 0).p)
    assert (found.test, found.n_subjects) == ("sign flip", 15)


def test_images_that_repeat_a_person_count_once() -> None:
    a, b = np.zeros(30, bool), np.repeat([True, True, True], 10)
    assert compare_accuracy(a, b, 0).p < 1e-8
    assert compare_accuracy(a, b, 0, np.repeat(np.arange(3), 10)).p == 0.25


def test_holm_keeps_order_and_gaps() -> None:
    found = holm([0.2, 0.001, math.nan, 0.02, 0.9])
    assert found[:2] == pytest.approx([0.4, 0.004])
    assert math.isnan(found[2])
    assert found[3:] == pytest.approx([0.06, 0.9])


def test_sides_are_means_of_class_means_and_images_without_a_label_do_not_count() -> None:
    a, b = np.array([0.1, 0.3, 0.8, 0.9]), np.array([0.2, 0.4, 0.6, 0.1])
    found = compare_one(a, b, np.array([1, 1, 0, -1]))
    assert found.a == pytest.approx((0.2 + 0.8) / 2)
    assert found.b == pytest.approx((0.3 + 0.6) / 2)
