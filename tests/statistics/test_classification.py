import math

import numpy as np
import pytest

from interpfer.statistics.classification import classify

CLASSES = ("anger", "fear", "happiness")


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
