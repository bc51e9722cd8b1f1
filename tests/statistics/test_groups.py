"""Gaps between groups: adjusted means, permutation tests, and how often groups that do not differ are told apart."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import f1_score

from interpfer.statistics.groups import (
    IMAGES,
    PEOPLE,
    WITHIN_PEOPLE,
    Grouping,
    adjusted_means,
    find_f1_gap,
    find_gaps,
    macro_f1_of_draws,
)


@pytest.mark.parametrize("is_balanced", [True, False])
def test_adjusted_means_are_those_of_a_linear_model(is_balanced: bool) -> None:
    rng = np.random.default_rng(0)
    classes, groups = np.tile([0, 1, 2], 20), np.repeat([0, 1, 2, 3], 15)
    if not is_balanced:
        classes = np.where(rng.random(60) < 0.2 * groups, 2, rng.integers(0, 3, 60))
    scores = rng.normal(size=60) + classes + 0.5 * groups
    design = np.stack([*(classes == index for index in range(3)), *(groups == index for index in (1, 2, 3))], 1)
    fit = np.linalg.lstsq(design.astype(float), scores, rcond=None)[0]
    expected = fit[:3].mean() + np.array([0, *fit[3:]])
    np.testing.assert_allclose(adjusted_means(scores[:, None], classes, Grouping(groups, 4)).ravel(), expected)


def test_another_mix_of_classes_is_no_gap() -> None:
    classes = np.repeat([0, 1, 0, 1], [30, 10, 10, 30])
    groups = np.repeat([0, 1], 40)
    scores = np.where(classes == 0, 0.9, 0.2)[:, None]
    assert np.ptp([scores[groups == index].mean() for index in (0, 1)]) == pytest.approx(0.35)
    (gap,) = find_gaps(scores, classes, Grouping(groups, 2), seed=0, permutations=99)
    assert gap.high - gap.low == pytest.approx(0, abs=1e-12)
    assert gap.p == 1


def test_the_p_value_is_that_of_all_permutations() -> None:
    rng = np.random.default_rng(1)
    scores, groups = rng.normal(size=8), np.repeat([0, 1], 4)
    observed = abs(scores[:4].mean() - scores[4:].mean())
    gaps = []
    for chosen in itertools.combinations(range(8), 4):
        others = [place for place in range(8) if place not in chosen]
        gaps.append(abs(scores[list(chosen)].mean() - scores[others].mean()))
    exact = np.mean(np.array(gaps) >= observed - 1e-12)
    (gap,) = find_gaps(scores[:, None], np.zeros(8, int), Grouping(groups, 2), seed=0, permutations=20_000)
    assert gap.p == pytest.approx(exact, abs=0.01)
    assert gap.n == 8


def test_people_are_permuted_with_all_their_images() -> None:
    subjects, own = np.repeat([0, 1, 2, 3], 3), np.array([0, 0, 1, 1])
    grouping = Grouping(own[subjects], 2, subjects)
    assert grouping.units == PEOPLE
    drawn = np.concatenate(list(grouping.permute(200, seed=0)))
    assert drawn.shape == (200, 12)
    per_person = drawn.reshape(200, 4, 3)
    assert (per_person == per_person[:, :, :1]).all()
    assert (per_person[:, :, 0].sum(1) == 2).all()
    assert len(np.unique(per_person[:, :, 0], axis=0)) == 6


def test_people_of_several_groups_keep_their_images() -> None:
    subjects = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    groups = np.array([0, 1, 0, 1, 1, 0, -1, 1])
    grouping = Grouping(groups, 2, subjects)
    assert grouping.units == WITHIN_PEOPLE
    drawn = np.concatenate(list(grouping.permute(200, seed=0)))
    assert (drawn[:, 6] == -1).all()
    assert (drawn[:, :3].sum(1) == 1).all()
    assert (drawn[:, 3:5] == 1).all()
    assert (drawn[:, [5, 7]].sum(1) == 1).all()
    assert Grouping(groups, 2).units == IMAGES


def test_undefined_scores_and_groups_do_not_count() -> None:
    scores = np.array([[0.1, np.nan], [0.2, 0.5], [np.nan, 0.7], [0.4, 0.1], [0.9, 0.3]])
    grouping = Grouping(np.array([0, 0, 1, 1, -1]), 2)
    first, second = find_gaps(scores, np.zeros(5, int), grouping, seed=0, permutations=50)
    assert (first.low, first.high, first.n) == (pytest.approx(0.15), pytest.approx(0.4), 3)
    assert (second.low, second.high, second.n) == (pytest.approx(0.4), pytest.approx(0.5), 3)
    (alone,) = find_gaps(scores[:, :1], np.zeros(5, int), Grouping(np.zeros(5, int), 1), seed=0, permutations=9)
    assert (alone.lowest, np.isnan(alone.p)) == (-1, True)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    true, guess, groups = rng.integers(0, 4, 200), rng.integers(-1, 4, 200), rng.integers(0, 3, 200)
    values, gap = find_f1_gap(true, guess, Grouping(groups, 3), seed=0, permutations=99)
    expected = [
        f1_score(true[groups == index], guess[groups == index], labels=range(4), average="macro", zero_division=0)
        for index in range(3)
    ]
    np.testing.assert_allclose(values, expected)
    assert (gap.low, gap.high) == (min(expected), max(expected))
    assert 0 < gap.p <= 1
    weights = rng.multinomial(200, np.full(200, 1 / 200), 3).astype(np.uint8)
    drawn = [np.repeat(np.arange(200), row) for row in weights]
    expected = [f1_score(true[rows], guess[rows], labels=range(4), average="macro") for rows in drawn]
    np.testing.assert_allclose(macro_f1_of_draws(true, guess, weights), expected)


def draw_images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Grouping]:
    classes = rng.integers(0, 4, 100)
    return rng.normal(size=100) + classes, classes, Grouping(rng.integers(0, 2, 100), 2)


def draw_people(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Grouping]:
    subjects = np.repeat(np.arange(24), rng.integers(1, 16, 24))
    classes = rng.integers(0, 4, len(subjects))
    scores = rng.normal(size=24)[subjects] + 0.5 * rng.normal(size=len(subjects)) + classes
    return scores, classes, Grouping(rng.integers(0, 2, 24)[subjects], 2, subjects)


@pytest.mark.parametrize("draw", [draw_images, draw_people])
def test_groups_without_a_difference_are_told_apart_in_one_of_twenty_seeds(draw: Callable[..., tuple]) -> None:
    found = 0
    for seed in range(400):
        scores, classes, grouping = draw(np.random.default_rng(seed))
        found += find_gaps(scores[:, None], classes, grouping, seed, permutations=99)[0].p <= 0.05
    assert 0.03 <= found / 400 <= 0.07


def test_a_difference_of_people_is_found() -> None:
    found = 0
    for seed in range(20):
        scores, classes, grouping = draw_people(np.random.default_rng(seed))
        changed = scores + 3 * grouping.groups
        found += find_gaps(changed[:, None], classes, grouping, seed, permutations=99)[0].p <= 0.05
    assert found == 20
