import math

import numpy as np
import pytest

from interpfer.statistics.proportions import wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (3, 7), (552, 600), (9, 9)])
def test_the_formula_of_wilson(successes: int, n: int) -> None:
    share, z = successes / n, 1.959963984540054
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert wilson_interval(successes, n) == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_without_trials_there_is_no_interval() -> None:
    assert all(math.isnan(end) for end in wilson_interval(0, 0))
