"""Paired differences of scores and of accuracies."""

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from interpfer.statistics.comparison import compare_accuracy, compare_scores, holm

NAMES = ("anger", "fear")


def test_a_shift_is_found_with_its_size() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=80)
    b = a + 0.5 + 0.1 * rng.normal(size=80)
    found = compare_scores(a, b, np.arange(80) % 2, NAMES, 0)
    assert found.difference == pytest.approx(found.b - found.a)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.1
    assert found.p == pytest.approx(wilcoxon(b - a, method="asymptotic").pvalue)
    assert found.n == 80


def test_equals_do_not_differ() -> None:
    a = np.linspace(0, 1, 9)
    found = compare_scores(a, a, np.zeros(9, np.intp), NAMES, 0)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_what_either_side_lacks_is_left_out_on_both() -> None:
    a, b = np.array([math.nan, 1.0, 2.0, 3.0]), np.array([5.0, math.nan, 2.5, 3.5])
    found = compare_scores(a, b, np.zeros(4, np.intp), NAMES, 0)
    assert (found.a, found.b, found.n) == (2.5, 3.0, 2)
    nothing = compare_scores(a[:2], b[:2], np.zeros(2, np.intp), NAMES, 0)
    assert nothing.n == 0
    assert math.isnan(nothing.p)


def test_accuracy_by_the_exact_test_of_mcnemar() -> None:
    a = np.array([True] * 5 + [False] * 10)
    b = np.array([True] * 4 + [False] + [True] * 8 + [False] * 2)
    found = compare_accuracy(a, b, 0)
    assert found.difference == pytest.approx(7 / 15)
    tail = sum(math.comb(9, k) for k in (0, 1, 8, 9)) / 2**9
    assert found.p == pytest.approx(tail)
    assert compare_accuracy(a, a, 0).p == 1


def test_holm_keeps_order_and_gaps() -> None:
    found = holm([0.2, 0.001, math.nan, 0.02, 0.9])
    assert found[:2] == pytest.approx([0.4, 0.004])
    assert math.isnan(found[2])
    assert found[3:] == pytest.approx([0.06, 0.9])


def test_sides_are_means_of_class_means_and_images_without_a_label_do_not_count() -> None:
    a, b = np.array([0.1, 0.3, 0.8, 0.9]), np.array([0.2, 0.4, 0.6, 0.1])
    found = compare_scores(a, b, np.array([1, 1, 0, -1]), NAMES, 0)
    assert found.a == pytest.approx((0.2 + 0.8) / 2)
    assert found.b == pytest.approx((0.3 + 0.6) / 2)
