import pytest

from interpfer.errors import InterpferError
from interpfer.validation import require_choice, require_range


@pytest.mark.parametrize(
    ("limits", "value", "wanted"),
    [
        ({"low": 1}, 0, "at least 1"),
        ({"high": 2}, 3, "at most 2"),
        ({"low": 1, "high": 2}, 2.5, "between 1 and 2"),
        ({"above": 0}, 0, "above 0"),
        ({"below": 1}, 1, "below 1"),
        ({"low": 0, "below": 1}, 1, "at least 0 and below 1"),
        ({"above": 0, "below": 1}, 0, "above 0 and below 1"),
        ({"above": 0, "high": 1}, 0, "above 0 and at most 1"),
        ({"low": 0}, float("nan"), "at least 0"),
        ({}, float("nan"), "a number"),
    ],
)
def test_a_number_out_of_range_is_one_line(limits: dict[str, float], value: float, wanted: str) -> None:
    with pytest.raises(InterpferError) as raised:
        require_range("share", value, **limits)
    assert str(raised.value) == f"share must be {wanted}, got {value}."


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_the_ends_of_a_range_belong_to_it(value: float) -> None:
    require_range("share", value, 0, 1)
    require_range("share", value, low=0)
    require_range("share", float("inf"), low=0)


def test_a_wrong_word_is_one_line() -> None:
    require_choice("shape", "round", ("round", "square"))
    with pytest.raises(InterpferError) as raised:
        require_choice("shape", "rond", ("round", "square"))
    assert str(raised.value) == "shape must be one of round, square, got 'rond'. Did you mean round?"
