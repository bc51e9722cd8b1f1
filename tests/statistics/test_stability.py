import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from interpfer.statistics.stability import kendall_tau, resample_order


@given(st.lists(st.integers(0, 4), min_size=2, max_size=7), st.integers(0, 2**32 - 1))
def test_tau_is_that_of_scipy(values: list[int], seed: int) -> None:
    """With ties (tau-b), and NaN where all of one side are tied."""
    others = np.random.default_rng(seed).integers(0, 4, (5, len(values))).astype(float)
    expected = [kendalltau(values, other).statistic for other in others]
    np.testing.assert_allclose(kendall_tau(np.array(values, float), others), expected, atol=1e-12)


def test_items_far_apart_keep_their_order_and_equal_ones_share_the_first_place() -> None:
    random = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 20)
    base = random.normal(size=60)
    scores = np.stack([base, base + 5, base + 5], 1)
    order = resample_order(scores, classes, 3, seed=0)
    np.testing.assert_allclose(order.first, [0, 0.5, 0.5])
    assert order.tau == 1
    lower = resample_order(scores, classes, 3, seed=0, higher_is_better=False)
    np.testing.assert_allclose(lower.first, [1, 0, 0])


def test_the_share_of_first_places_is_that_of_a_plain_bootstrap() -> None:
    """A restatement: images of each class are drawn again, class means averaged, the largest mean counted."""
    random = np.random.default_rng(1)
    classes = np.repeat([0, 1], [8, 12])
    scores = random.normal(size=(20, 3)) + [0, 0.1, 0.2]
    counts = np.zeros(3)
    for _ in range(4000):
        drawn = [random.choice(np.flatnonzero(classes == index), size=(classes == index).sum()) for index in (0, 1)]
        counts[np.mean([scores[rows].mean(0) for rows in drawn], 0).argmax()] += 1
    order = resample_order(scores, classes, 2, seed=0)
    np.testing.assert_allclose(order.first, counts / 4000, atol=0.04)
    np.testing.assert_allclose(order.values, [scores[classes == index].mean(0) for index in (0, 1)][0] / 2
                               + scores[classes == 1].mean(0) / 2)  # fmt: skip


def test_people_are_drawn_with_all_their_images() -> None:
    """One person decides the order: over images it is certain, over people it changes where that person is missing."""
    subjects = np.repeat(np.arange(10), 10)
    scores = np.zeros((100, 2))
    scores[:, 1] = np.where(subjects == 0, 1.0, -0.05)
    by_image = resample_order(scores, np.zeros(100, np.intp), 1, seed=0)
    by_person = resample_order(scores, np.zeros(100, np.intp), 1, seed=0, subjects=subjects)
    assert by_image.first[1] > 0.9
    assert by_person.first[1] == pytest.approx(1 - 0.9**10, abs=0.05)


def test_images_without_a_score_of_every_item_are_left_out() -> None:
    scores = np.array([[1.0, 2.0], [np.nan, 9.0], [3.0, 1.0], [5.0, 0.0]])
    order = resample_order(scores, np.array([0, 0, 1, -1]), 2, seed=0)
    assert order.n == 2
    np.testing.assert_allclose(order.values, [2, 1.5])
    nothing = resample_order(np.full((3, 2), np.nan), np.zeros(3, np.intp), 1, seed=0)
    assert nothing.n == 0
    assert np.isnan(nothing.first).all()
