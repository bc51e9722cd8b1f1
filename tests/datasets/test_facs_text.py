"""FACS text, against its grammar written out once more."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.datasets.facs_text import format_facs, parse_facs
from interpfer.errors import DataError
from interpfer.types import CodedAU, CodedAUs

PICTURE = {"": None, "L": "right", "R": "left"}
units = st.tuples(st.sampled_from(["", "L", "R"]), st.integers(1, 79), st.sampled_from(["", *"abcde"]))


@given(
    st.lists(units, min_size=1, max_size=6, unique_by=lambda unit: unit[:2]), st.sampled_from(["+", " + ", ",", " "])
)
def test_units_are_read_as_written(listed: list[tuple[str, int, str]], joint: str) -> None:
    text = joint.join(f"{side}{au}{level}" for side, au, level in listed)
    seen = parse_facs(text, "here")
    assert seen is not None
    assert [(unit.au, unit.side) for unit in seen.active] == [(au, PICTURE[side]) for side, au, _ in listed]
    for unit, (_, _, level) in zip(seen.active, listed, strict=True):
        expected = (" abcde".index(level) / 5) if level else math.nan
        assert unit.intensity == pytest.approx(expected, nan_ok=True)
    assert seen.is_present(listed[0][1]) is True
    assert all(seen.is_present(au) is False for au in range(1, 80) if au not in {au for _, au, _ in listed})


@pytest.mark.parametrize("text", ["", " ", "0", "null", "None"])
def test_coded_and_nothing_seen(text: str) -> None:
    assert parse_facs(text, "here") == CodedAUs(())


def test_not_coded_is_not_absent() -> None:
    assert parse_facs(" ? ", "here") is None


def test_of_a_repeated_unit_the_strongest_counts() -> None:
    seen = parse_facs("12a+12c+AU012+L12b", "here")
    assert seen is not None
    assert [(unit.side, unit.intensity) for unit in seen.active] == [(None, 0.6), ("right", 0.4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1+x", "labels.csv, line 4: 'x' in '1+x' is not an action unit; write FACS numbers such as 1+2+L12b+25"),
        ("1++2", "labels.csv, line 4: '' in '1++2' is not an action unit"),
        ("12f", "'12f' in '12f' is not an action unit"),
        ("-4", "'-4' in '-4' is not an action unit"),
        ("80", "labels.csv, line 4: AU 80 must be between 1 and 79, in '80'"),
        ("0+1", "AU 0 must be between 1 and 79"),
        ("1+9|1 2", "labels.csv, line 4: AU 9 is present, but not among those behind | in '1+9|1 2'."),
        ("1|", "labels.csv, line 4: '' in '1|' is not an action unit"),
        ("1|1 x", "'x' in '1|1 x' is not an action unit"),
    ],
)
def test_malformed_text_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_facs(text, "labels.csv, line 4")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weak_units_and_mirrored_sides() -> None:
    seen = CodedAUs((CodedAU(1, 0.2), CodedAU(4), CodedAU(12, 0.8, "left")))
    assert [unit.au for unit in seen.at_least(0.4).active] == [4, 12]
    assert [unit.side for unit in seen.mirrored().active] == [None, None, "right"]
    assert seen.mirrored().mirrored().active[2] == seen.active[2]


@given(st.lists(units, max_size=6, unique_by=lambda unit: unit[:2]))
def test_what_is_written_is_read_again(listed: list[tuple[str, int, str]]) -> None:
    text = "+".join(f"{side}{au}{level}" for side, au, level in listed)
    assert format_facs(parse_facs(text, "here")) == text


@given(st.lists(units, max_size=4, unique_by=lambda unit: unit[:2]), st.sets(st.integers(1, 79)))
def test_what_was_looked_for(listed: list[tuple[str, int, str]], others: set[int]) -> None:
    coded = {au for _, au, _ in listed} | others | {44}
    text = "+".join(f"{side}{au}{level}" for side, au, level in listed) + "|" + " ".join(map(str, sorted(coded)))
    seen = parse_facs(text, "here")
    assert seen is not None
    assert seen.coded == coded
    present = {au for _, au, _ in listed}
    for au in range(1, 80):
        assert seen.is_present(au) is (True if au in present else False if au in coded else None)
    assert format_facs(seen) == text


def test_an_intensity_is_written_as_the_nearest_letter() -> None:
    seen = CodedAUs(tuple(CodedAU(au, intensity) for au, intensity in ((1, 0.01), (2, 0.49), (4, 0.51), (5, 1.0))))
    assert format_facs(seen) == "1a+2b+4c+5e"
    assert format_facs(None) == "?"
