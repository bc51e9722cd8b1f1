"""Calibration, the reference's errors, and the check of the order of the classes."""

import math

import numpy as np
import pandas as pd
import pytest

from interpfer.statistics.classification import calibration_error, classify, wrong_order

CLASSES = ["anger", "fear", "sadness"]


def test_small_table_by_hand() -> None:
    labels = ["anger", "anger", "fear", "sadness", ""]
    guesses = ["anger", "fear", "fear", "anger", "fear"]
    found = classify(labels, guesses, CLASSES, CLASSES, [1.0, 0.5, 1.0, 0.75, 0.1])
    assert found.accuracy == 0.5
    assert found.balanced_accuracy == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.precision == {"anger": 0.5, "fear": 0.5, "sadness": 0.0}
    assert found.support == {"anger": 2, "fear": 1, "sadness": 1}
    assert found.mse == pytest.approx((0 + 1 + 0 + 4) / 4)
    assert found.mae == pytest.approx((0 + 1 + 0 + 2) / 4)
    assert found.ece == pytest.approx((0.5 + 0.75) / 4)
    assert found.facts()["confusion_normalised"]["anger"] == {"anger": 0.5, "fear": 0.5, "sadness": 0.0}


def test_without_confidence_calibration_is_undefined() -> None:
    assert math.isnan(classify(["anger"], ["anger"], CLASSES, CLASSES).ece)


def test_calibration_error_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    sure, right = rng.random(500), rng.random(500) < 0.6
    expected = 0.0
    for step in range(15):
        chosen = (sure > step / 15) & (sure <= (step + 1) / 15)
        if chosen.any():
            expected += chosen.mean() * abs(sure[chosen].mean() - right[chosen].mean())
    assert calibration_error(sure, right) == pytest.approx(expected)


def confusion(counts: list[list[int]]) -> pd.DataFrame:
    return pd.DataFrame(counts, index=CLASSES, columns=CLASSES)


def test_swapped_classes_are_named() -> None:
    warning = wrong_order(confusion([[2, 40, 1], [38, 3, 2], [1, 2, 45]]), CLASSES)
    assert warning is not None
    assert "from 37.3% to 91.8%" in warning
    assert "the data suggest [fear, anger, sadness]" in warning


@pytest.mark.parametrize(
    "counts",
    [
        [[40, 2, 1], [3, 38, 2], [1, 2, 45]],  # right as it is
        [[20, 21, 1], [20, 20, 2], [1, 2, 45]],  # a permutation hardly helps
        [[0, 2, 0], [2, 0, 0], [0, 0, 1]],  # too few to tell
    ],
)
def test_no_false_alarm(counts: list[list[int]]) -> None:
    assert wrong_order(confusion(counts), CLASSES) is None


def test_a_class_that_the_data_lack_is_no_reason_to_warn() -> None:
    counts = pd.DataFrame([[30, 3, 0], [2, 30, 1]], index=CLASSES[:2], columns=CLASSES)
    assert wrong_order(counts, CLASSES) is None
