"""Tables of codes, against a plain restatement cell by cell."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.datasets.coded import MISSING, UNGRADED, code_rows, list_active, read_numbers, require_codes
from interpfer.errors import DataError
from interpfer.types import CodedAUs
from tests.replicas import text

AUS = (1, 12, 45)


@given(st.lists(st.tuples(*[st.sampled_from([MISSING, 0, 1, 3, 5, UNGRADED])] * 3), max_size=8))
def test_a_table_says_present_absent_or_not_coded(rows: list[tuple[float, ...]]) -> None:
    coded = code_rows(np.array(rows, dtype=np.float64).reshape(-1, 3), AUS, 5)
    assert len(coded) == len(rows)
    for row, seen in zip(rows, coded, strict=True):
        if all(code == MISSING for code in row):
            assert seen is None
            continue
        assert seen is not None
        for au, code in zip(AUS, row, strict=True):
            assert seen.is_present(au) is (None if code == MISSING else code > 0)
        assert seen.is_present(7) is None
        intensities = {unit.au: unit.intensity for unit in seen.active}
        for au, code in zip(AUS, row, strict=True):
            if code > 0:
                expected = math.nan if code == UNGRADED else code / 5
                assert intensities[au] == pytest.approx(expected, nan_ok=True)


def test_equal_rows_share_one_value() -> None:
    first, _, third = code_rows(np.array([[1.0, 0, 0], [0, 0, 0], [1, 0, 0]]), AUS, 5)
    assert first is third


def test_listed_units() -> None:
    seen = list_active(np.array([[9.0, 4], [12, 0], [12, 2], [12, 1], [43, 1]]), 5, "here", ungraded=[43])
    assert [unit.au for unit in seen.active] == [9, 12, 43]
    assert [unit.intensity for unit in seen.active] == pytest.approx([0.8, 0.4, math.nan], nan_ok=True)
    assert seen.is_present(5) is False
    assert list_active(np.zeros((0, 2)), 5, "here") == CodedAUs(())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0, 1), "here: an action unit must be a number from 1 to 99, got 0."),
        ((100, 1), "an action unit must be a number from 1 to 99, got 100."),
        ((1.5, 1), "an action unit must be a number from 1 to 99, got 1.5."),
        ((12, 6), "here: the intensity of AU 12 must be between 0 and 5, got 6."),
        ((43, 2), "here: the intensity of AU 43 must be between 0 and 1, got 2."),
    ],
)
def test_what_is_not_facs(row: tuple[float, float], message: str) -> None:
    with pytest.raises(DataError) as error:
        list_active(np.array([row], dtype=np.float64), 5, "here", ungraded=[43])
    assert message in str(error.value)


def test_reading_tables(tmp_path: Path) -> None:
    path = text(tmp_path / "a.txt", "\ufeffheader", "1,0", "", "2, 5 ")
    assert read_numbers(path, 2, ",", skip=1).tolist() == [[1, 0], [2, 5]]
    assert read_numbers(text(tmp_path / "b.txt", "", "  "), 4).shape == (0, 4)
    blanks = text(tmp_path / "c.txt", "   9.0000000e+00   4.0000000e+00", "\t1 0")
    assert read_numbers(blanks).tolist() == [[9, 4], [1, 0]]
    for line, shown in [("3", "3"), ("3,x", "3,x"), ("3,4,5", "3,4,5"), ("3,nan", "3,nan"), ("# no", "# no")]:
        bad = text(tmp_path / "d.txt", "1,0", "", "2,0", line, "5,0")
        with pytest.raises(DataError) as error:
            read_numbers(bad, 2, ",")
        assert str(error.value) == f"{bad}, line 4: a line must hold 2 numbers, got '{shown}'."


def test_strange_codes_are_named() -> None:
    codes = np.array([[0.0, 1], [9, 2]])
    with pytest.raises(DataError, match=r"^f\.csv, frame 8: a code must be one of 0, 1, 9, got 2\.$"):
        require_codes(codes, (0, 1, 9), "f.csv", ["frame 7", "frame 8"])
