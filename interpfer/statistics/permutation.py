"""Sign-flip test: whether paired differences are symmetric around 0, person by person."""

import itertools

import numpy as np

from interpfer.statistics.bootstrap import DRAWN_AT_ONCE, Array

FLIPS = 10_000
FLIPS_PER_TEST = 100
"""Least number of flips for each of several tests, so that p-values stay small enough for Holm's adjustment."""

ENUMERATED = 14
"""Up to this many people, all flips are enumerated."""

TOLERANCE = 1e-12
"""Share of the sum of magnitudes by which two sums are taken as equal."""


def sign_flip_test(parts: Array, seed: int) -> Array:
    """Return the two-sided p-values of sums of parts, whose signs are flipped independently under the hypothesis.

    Where the parts of people are the shares of each in a mean of differences, the sum is that mean. With at most
    ``ENUMERATED`` parts other than 0 the p-value is exact; else it is (1 + hits) / (1 + flips) of seeded random flips
    (Phipson and Smyth 2010, doi 10.2202/1544-6115.1585).

    Args:
        parts: (people, k) parts of k sums.
        seed: random seed of the flips.

    Returns:
        (k,) p-values; 1 where all parts are 0.

    Examples:
        >>> sign_flip_test(np.array([[1.0], [2.0], [3.0]]), seed=0)
        array([0.25])
    """
    limits = np.abs(parts.sum(0)) - TOLERANCE * np.abs(parts).sum(0)
    p = np.ones(parts.shape[1])
    is_few = (parts != 0).sum(0) <= ENUMERATED
    for column in np.flatnonzero(is_few):
        known = parts[parts[:, column] != 0, column]
        if len(known):
            sums = _all_flips(len(known)) @ known
            p[column] = (np.abs(sums) >= limits[column]).mean()
    many = np.flatnonzero(~is_few)
    if len(many):
        p[many] = _random_test(parts[:, many], limits[many], seed)
    return p


def _all_flips(n: int) -> Array:
    """Return the signs of n parts but for the first, which stays: (2^(n - 1), n)."""
    return np.array([(1, *signs) for signs in itertools.product((1, -1), repeat=n - 1)], float)


def _random_test(parts: Array, limits: Array, seed: int) -> Array:
    people, k = parts.shape
    flips = max(FLIPS, FLIPS_PER_TEST * k)
    rng = np.random.default_rng(seed)
    step = max(DRAWN_AT_ONCE // max(people, k), 1)
    hits = np.zeros(k)
    for start in range(0, flips, step):
        count = min(step, flips - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(-(-count * people // 8)), np.uint8), count=count * people)
        signs = bits.reshape(count, people).astype(float) * 2 - 1
        hits += (np.abs(signs @ parts) >= limits).sum(0)
    p: Array = (1 + hits) / (1 + flips)
    return p
