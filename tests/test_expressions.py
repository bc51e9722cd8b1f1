from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.errors import DataError
from interpfer.expressions import EXPRESSIONS, SYNONYMS, canonical, canonical_classes

SPELLINGS = st.sampled_from([*EXPRESSIONS, *SYNONYMS])


@given(name=SPELLINGS, upper=st.lists(st.booleans(), min_size=7), space=st.sampled_from(["", " ", "\t\n"]))
def test_case_and_space_do_not_matter(name: str, upper: list[bool], space: str) -> None:
    mixed = "".join(letter.upper() if big else letter for letter, big in zip(name, cycle(upper), strict=False))
    assert canonical(f"{space}{mixed}{space}") == SYNONYMS.get(name, name)


@given(name=SPELLINGS)
def test_canonical_names_stay(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_synonyms_lead_to_expressions_and_are_none_themselves() -> None:
    assert set(SYNONYMS.values()) == set(EXPRESSIONS)
    assert not set(SYNONYMS) & set(EXPRESSIONS)
    assert all(name == name.strip().lower() for name in SYNONYMS)


@given(name=st.text(max_size=12))
def test_any_other_text_is_refused_in_one_line(name: str) -> None:
    if name.strip().lower() in {*EXPRESSIONS, *SYNONYMS}:
        return
    with pytest.raises(DataError) as error:
        canonical(name)
    assert "\n" not in str(error.value)
    assert "is no known expression" in str(error.value)


def test_a_mistyped_name_suggests() -> None:
    with pytest.raises(DataError, match=r"'hapiness' is no known expression\. Did you mean happiness"):
        canonical("hapiness")


def test_classes_keep_their_order() -> None:
    assert canonical_classes(["Surprise", "fear", "NE"]) == ("surprise", "fear", "neutral")
    assert canonical_classes(iter(["sad"])) == ("sadness",)
    assert canonical_classes([]) == ()


def test_two_names_for_one_expression() -> None:
    with pytest.raises(DataError, match="classes name anger, happiness more than once"):
        canonical_classes(["happy", "joy", "angry", "anger", "fear"])


def test_abbreviations_are_understood_and_never_suggested() -> None:
    assert canonical("SU") == "surprise"
    for typo in ("ann", "hapy", "sur.", "dit", "neut"):
        with pytest.raises(DataError) as error:
            canonical(typo)
        suggested = str(error.value).partition("Did you mean ")[2].partition("?")[0].split(" or ")
        assert not {"an", "ang", "ha", "hap", "sur", "di", "dis", "neu", "ne"} & set(suggested)
