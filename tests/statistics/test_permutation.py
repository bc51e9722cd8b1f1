import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from interpfer.statistics.permutation import sign_flip_test


def test_few_parts_are_enumerated() -> None:
    parts = np.array([0.3, -0.1, 0.2, 0.05, 0.0])
    sums = [abs(np.dot(signs, parts)) for signs in itertools.product((1, -1), repeat=5)]
    expected = np.mean(np.array(sums) >= abs(parts.sum()) - 1e-12)
    assert sign_flip_test(parts[:, None], 0) == pytest.approx([expected])


def test_no_difference_has_p_one() -> None:
    assert sign_flip_test(np.zeros((3, 2)), 0).tolist() == [1, 1]
    assert sign_flip_test(np.tile([[1.0], [-1.0]], (20, 1)), 0).tolist() == [1]


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2])
def test_many_parts_against_scipy(shift: float) -> None:
    parts = np.random.default_rng(1).normal(shift, 1, 100)
    peer = permutation_test((parts,), np.sum, permutation_type="samples", n_resamples=20000, random_state=0)
    assert sign_flip_test(parts[:, None], 0)[0] == pytest.approx(peer.pvalue, abs=0.015)


def test_p_values_follow_the_seed_and_not_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = np.random.default_rng(1).normal(0.1, 1, (40, 3))
    first, again = (sign_flip_test(parts, 7) for _ in range(2))
    assert (first == again).all()
    assert (sign_flip_test(parts, 8) != first).any()
    monkeypatch.setattr("interpfer.statistics.permutation.DRAWN_AT_ONCE", 8000)
    np.testing.assert_allclose(sign_flip_test(parts, 7), first, atol=1e-12)


def test_many_tests_have_enough_flips_for_their_adjustment() -> None:
    strong = np.random.default_rng(0).normal(2, 0.1, (30, 200))
    assert (sign_flip_test(strong, 0) == 1 / 20001).all()
