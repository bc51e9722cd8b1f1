import math

import numpy as np
import pandas as pd
import pytest

from interpfer.statistics.classification import calibration_error, classify, wrong_order

CLASSES = ("anger", "fear", "happiness")
LABELS = ["anger", "fear", "sadness"]


def test_by_hand() -> None:
    result = classify(
        ["anger", "anger", "fear", "fear", "happiness", ""],
        ["anger", "fear", "fear", "contempt", "happiness", "anger"],
        CLASSES,
        (*CLASSES[::-1], "contempt"),
    )
    assert result.n == 5
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.recall == pytest.approx({"anger": 0.5, "fear": 0.5, "happiness": 1.0})
    # F1: anger 2*1/(2+1), fear 2*1/(2+2), happiness 1
    assert result.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert result.confusion.index.tolist() == [*CLASSES]
    assert result.confusion.columns.tolist() == [*CLASSES, "contempt"]
    assert result.confusion.to_numpy().tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_no_label_at_all() -> None:
    result = classify(["", ""], ["anger", "fear"], (), CLASSES)
    assert result.n == 0
    assert math.isnan(result.accuracy)
    assert math.isnan(result.macro_f1)
    assert result.confusion.to_numpy().sum() == 0


def test_counts_follow_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    labels, guesses = (rng.choice(CLASSES, 200).tolist() for _ in range(2))
    counts = classify(labels, guesses, CLASSES, CLASSES).confusion
    for true in CLASSES:
        for guess in CLASSES:
            assert counts.loc[true, guess] == sum(
                a == true and b == guess for a, b in zip(labels, guesses, strict=True)
            )


def test_small_table_by_hand() -> None:
    labels = ["anger", "anger", "fear", "sadness", ""]
    guesses = ["anger", "fear", "fear", "anger", "fear"]
    found = classify(labels, guesses, LABELS, LABELS, [1.0, 0.5, 1.0, 0.75, 0.1])
    assert found.accuracy == 0.5
    assert found.balanced_accuracy == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.precision == {"anger": 0.5, "fear": 0.5, "sadness": 0.0}
    assert found.support == {"anger": 2, "fear": 1, "sadness": 1}
    assert found.mse == pytest.approx((0 + 1 + 0 + 4) / 4)
    assert found.mae == pytest.approx((0 + 1 + 0 + 2) / 4)
    assert found.ece == pytest.approx((0.5 + 0.75) / 4)
    assert found.facts()["confusion_normalised"]["anger"] == {"anger": 0.5, "fear": 0.5, "sadness": 0.0}


def test_without_confidence_calibration_is_undefined() -> None:
    assert math.isnan(classify(["anger"], ["anger"], LABELS, LABELS).ece)


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
    return pd.DataFrame(counts, index=LABELS, columns=LABELS)


def test_swapped_classes_are_named() -> None:
    warning = wrong_order(confusion([[2, 40, 1], [38, 3, 2], [1, 2, 45]]), LABELS)
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
    assert wrong_order(confusion(counts), LABELS) is None


def test_a_class_that_the_data_lack_is_no_reason_to_warn() -> None:
    counts = pd.DataFrame([[30, 3, 0], [2, 30, 1]], index=LABELS[:2], columns=LABELS)
    assert wrong_order(counts, LABELS) is None
