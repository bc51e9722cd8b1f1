"""The correction of intervals against its definition, written out with matrices."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from interpfer.statistics.bootstrap import Array, Rows
from interpfer.statistics.small_samples import few_per_class, interval_factors, widen

NAMES = ("anger", "fear", "sadness")


def factor_by_matrices(classes: Rows, people: Rows, shares: Array) -> float:
    """Bell and McCaffrey: E and df of the sum over people of (a_g' e_g)^2 with e = (I - H) y, y of unit variance."""
    n = len(classes)
    design = np.eye(len(shares))[classes][:, np.bincount(classes, minlength=len(shares)) > 0]
    residual = np.eye(n) - design @ np.linalg.inv(design.T @ design) @ design.T
    weights = shares[classes] / np.bincount(classes)[classes]
    rows = np.array([np.where(people == one, weights, 0) @ residual for one in np.unique(people)])
    gram = rows @ rows.T
    expected = np.trace(gram)
    df = expected**2 / np.trace(gram @ gram)
    return float(math.sqrt(weights @ weights / expected) * t.ppf(0.975, df) / norm.ppf(0.975))


@pytest.mark.parametrize("seed", range(4))
def test_factors_against_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes, people = rng.integers(0, 3, 25), rng.integers(0, 9, 25)
    members = [np.flatnonzero(classes == index) for index in range(3)]
    sizes = np.array([len(rows) for rows in members])
    shares = {"macro": np.ones(3) / 3, "micro": sizes / 25, "fear": np.array([0.0, 1.0, 0.0])}
    for own_people, subjects in ((people, people), (np.arange(25), None)):
        factors = interval_factors(members, NAMES, subjects)
        for group, share in shares.items():
            rows = share[classes] > 0
            expected = factor_by_matrices(classes[rows], own_people[rows], share)
            assert factors[group] == pytest.approx(expected)


def test_one_class_has_the_factor_of_students_t() -> None:
    factors = interval_factors([np.arange(5), np.arange(5, 6), np.array([], np.intp)], NAMES, None)
    assert factors["anger"] == pytest.approx(math.sqrt(5 / 4) * t.ppf(0.975, 4) / norm.ppf(0.975))
    assert math.isnan(factors["fear"])
    assert math.isnan(factors["sadness"])


def test_a_single_person_has_no_factor() -> None:
    factors = interval_factors([np.arange(4), np.arange(4, 9)], NAMES[:2], np.zeros(9, np.intp))
    assert all(math.isnan(factor) for factor in factors.values())


def test_no_image_has_no_factor() -> None:
    assert all(math.isnan(factor) for factor in interval_factors([np.array([], np.intp)], NAMES[:1], None).values())


def test_ends_move_away_from_the_value() -> None:
    assert widen(np.array([0.5]), np.array([[0.4, 0.7]]), 2.0)[0] == pytest.approx([0.3, 0.9])


def test_classes_of_few_people_are_named() -> None:
    assert few_per_class({"anger": 4, "fear": 0, "sadness": 5}, "people") == (
        "fewer than 5 people of anger (4): its interval is unreliable"
    )
    assert few_per_class({"anger": 1, "fear": 2}) == (
        "fewer than 5 images of anger (1), fear (2): their intervals are unreliable"
    )
    assert few_per_class({"anger": 5}) == ""
