"""Groups of runs, and sets of images: against scipy, a plain restatement, and simulated data without a difference."""

import numpy as np
import pytest
from scipy import stats

from interpfer.statistics.contrasts import compare_groups, compare_sets, mean_over_seeds


def test_single_runs_of_one_class_have_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1, 12))
    line, peer = compare_groups(a, b, np.zeros(12, int)), stats.ttest_rel(b[0], a[0])
    low, high = peer.confidence_interval()
    assert (line.p, line.low, line.high) == pytest.approx((peer.pvalue, low, high))
    assert np.isnan(line.std_a)


def test_runs_without_differences_between_images_have_welchs_test() -> None:
    a, b = np.array([0.1, 0.2, 0.4]), np.array([0.5, 0.45, 0.7, 0.6])
    images = np.linspace(0, 1, 10)
    line = compare_groups(a[:, None] + images, b[:, None] + images, np.repeat([0, 1], 5))
    peer = stats.ttest_ind(b, a, equal_var=False)
    low, high = peer.confidence_interval()
    assert (line.p, line.low, line.high) == pytest.approx((peer.pvalue, low, high))
    assert (line.std_a, line.std_b) == pytest.approx((a.std(ddof=1), b.std(ddof=1)))
    assert line.difference == pytest.approx(b.mean() - a.mean())


def test_a_single_run_beside_several_adds_no_variance_over_seeds() -> None:
    b = np.array([0.5, 0.6, 0.8])
    line = compare_groups(np.zeros((1, 4)), b[:, None] + np.zeros(4), np.zeros(4, int))
    assert line.p == pytest.approx(stats.ttest_1samp(b, 0).pvalue)


def test_interval_is_as_wide_as_resampling_of_both_people_and_runs() -> None:
    """Many runs and people: the bootstrap of both (Owen 2007), drawn plainly, has the same standard error."""
    rng = np.random.default_rng(1)
    people, classes = np.repeat(np.arange(40), 4), np.tile([0, 1], 80)
    own = rng.normal(size=(2, 40))[:, people]
    a, b = (rng.normal(0, 0.3, (20, 1)) + own[side] + rng.normal(0, 0.2, (20, 160)) for side in (0, 1))
    line = compare_groups(a, b, classes, people)
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(people == person) for person in rng.integers(0, 40, 40)])
        sides = [side[rng.integers(0, 20, 20)].mean(0)[rows] for side in (a, b)]
        drawn.append(np.mean([(sides[1] - sides[0])[classes[rows] == index].mean() for index in (0, 1)]))
    assert (line.high - line.low) / 2 / 2.0 == pytest.approx(np.std(drawn), rel=0.08)
    assert line.n_subjects == 40


def test_two_sets_of_one_class_have_welchs_test() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=9), rng.normal(1, 2, size=14)
    line, peer = compare_sets(a, b, (np.zeros(9, int), np.zeros(14, int))), stats.ttest_ind(b, a, equal_var=False)
    low, high = peer.confidence_interval()
    assert (line.p, line.low, line.high) == pytest.approx((peer.pvalue, low, high))


def test_sets_are_compared_by_the_classes_that_both_have() -> None:
    a, b = np.array([0.1, 0.3, 0.9, 0.5]), np.array([0.6, 0.8, 0.7, np.nan])
    line = compare_sets(a, b, (np.array([0, 0, 1, 2]), np.array([0, 1, 3, 2])))
    assert (line.a, line.b, line.n) == (pytest.approx((0.2 + 0.9) / 2), pytest.approx((0.6 + 0.8) / 2), 5)
    nothing = compare_sets(a, b, (np.zeros(4, int), np.ones(4, int)))
    assert nothing.n == 0
    assert np.isnan(nothing.p)


def test_seeds_have_students_test() -> None:
    values = np.array([0.02, 0.05, 0.04])
    peer = stats.ttest_1samp(values, 0)
    assert mean_over_seeds(values) == pytest.approx(
        (values.mean(), values.std(ddof=1), *peer.confidence_interval(), peer.pvalue)
    )
    assert np.isnan(mean_over_seeds(values[:1])[1:]).all()


@pytest.mark.parametrize(("seed_std", "runs"), [(0.0, 3), (0.05, 3), (0.3, 3), (0.3, 5), (0.05, 2)])
def test_equal_groups_are_rejected_in_at_most_one_case_of_twenty(seed_std: float, runs: int) -> None:
    rng = np.random.default_rng(runs)
    people, classes = np.repeat(np.arange(30), 3), np.tile([0, 1, 2], 30)
    rejected = []
    for _ in range(800):
        shared = rng.normal(size=(30,))[people]
        sides = [shared + rng.normal(0, 0.3, 30)[people] + rng.normal(0, seed_std, (runs, 1))
                 + rng.normal(0, 0.5, (runs, 90)) for _ in range(2)]  # fmt: skip
        rejected.append(compare_groups(sides[0], sides[1], classes, people).p < 0.05)
    assert 0.001 <= np.mean(rejected) <= 0.07


def test_equal_sets_of_other_people_are_rejected_in_one_case_of_twenty() -> None:
    rng, rejected = np.random.default_rng(3), []
    people = np.repeat(np.arange(20), 3), np.repeat(np.arange(20, 50), 3)
    for _ in range(800):
        classes = rng.integers(0, 3, 60), rng.integers(0, 3, 90)
        effects = rng.normal(size=50)
        a, b = (effects[who] + rng.normal(size=len(who)) for who in people)
        rejected.append(compare_sets(a, b, classes, people).p < 0.05)
    assert 0.03 <= np.mean(rejected) <= 0.07
