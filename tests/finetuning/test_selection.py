import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.finetuning.selection import is_better


def epoch(accuracy: float, att: float, cam: float) -> dict[str, float]:
    return {"val_accuracy": accuracy, "att_cos": att, "cam_cos": cam}


@pytest.mark.parametrize(
    ("new", "old", "faces", "takes"),
    [
        (epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 1000, True),
        (epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 10, False),
        (epoch(0.5, 0.9, 0.9), epoch(0.6, 0.1, 0.1), 10, True),
        (epoch(0.5, 0.9, 0.9), epoch(0.6, 0.1, 0.1), 1000, False),
        (epoch(0.5, 0.6, 0.6), epoch(0.5, 0.5, 0.5), 10, True),
        (epoch(0.5, 0.5, 0.5), epoch(0.5, 0.5, 0.5), 10, False),
        (epoch(0.6, math.nan, math.nan), epoch(0.5, math.nan, math.nan), 10, True),
        (epoch(1.0, 0.5, 0.5), epoch(1.0, 0.4, math.nan), 10, True),
    ],
)
def test_accuracies_within_a_standard_error_are_equal_and_agreement_decides(
    new: dict[str, float], old: dict[str, float], faces: int, takes: bool
) -> None:
    top = max(new["val_accuracy"], old["val_accuracy"])
    assert is_better(new, old, top, faces) is takes


def test_the_first_epoch_is_better_than_none_and_a_trade_off_decides() -> None:
    assert is_better(epoch(0.5, math.nan, math.nan), None, 0.5, 10)
    assert not is_better(epoch(0.6, 0.1, 0.1), epoch(0.5, 0.9, 0.9), 0.6, 1000, tradeoff=1)


@given(
    history=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    faces=st.integers(1, 5000),
)
def test_the_best_epoch_is_nearly_the_most_accurate_and_none_after_it_agrees_more(
    history: list[tuple[float, float]], faces: int
) -> None:
    lines = [epoch(accuracy, agreement, agreement) for accuracy, agreement in history]
    best, top = 0, 0.0
    for i, line in enumerate(lines):
        top = max(top, line["val_accuracy"])
        if is_better(line, lines[best] if i else None, top, faces):
            best = i
    least = top - math.sqrt(top * (1 - top) / faces)
    assert history[best][0] >= least
    assert not [i for i in range(best + 1, len(lines)) if history[i][0] >= least and history[i][1] > history[best][1]]
