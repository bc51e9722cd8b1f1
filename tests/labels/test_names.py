from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.datasets import DATASETS
from interpfer.errors import DataError
from interpfer.labels import (
    CLASS_ORDERS,
    EXPRESSIONS,
    ORDER_ALIASES,
    SYNONYMS,
    canonical,
    canonical_classes,
    class_order,
    resolve_classes,
)

SPELLINGS = st.sampled_from([*EXPRESSIONS, *SYNONYMS])


@given(name=SPELLINGS, upper=st.lists(st.booleans(), min_size=7), space=st.sampled_from(["", " ", "\t\n"]))
def test_case_and_space_do_not_matter(name: str, upper: list[bool], space: str) -> None:
    mixed = "".join(letter.upper() if big else letter for letter, big in zip(name, cycle(upper), strict=False))
    assert canonical(f"{space}{mixed}{space}") == SYNONYMS.get(name, name)


@given(name=SPELLINGS)
def test_canonical_names_stay(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_synonyms_map_to_expressions_and_are_not_expressions() -> None:
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
    assert str(error.value).startswith("unknown expression '")


def test_a_mistyped_name_suggests() -> None:
    with pytest.raises(DataError, match=r"^unknown expression 'hapiness'\. Did you mean happiness"):
        canonical("hapiness")


def test_classes_keep_their_order() -> None:
    assert canonical_classes(["Surprise", "fear", "NE"]) == ("surprise", "fear", "neutral")
    assert canonical_classes(iter(["sad"])) == ("sadness",)
    assert canonical_classes([]) == ()


def test_two_names_for_one_expression() -> None:
    with pytest.raises(DataError, match="classes must name each expression once, got anger, happiness more than once"):
        canonical_classes(["happy", "joy", "angry", "anger", "fear"])


def test_abbreviations_are_understood_and_never_suggested() -> None:
    assert canonical("SU") == "surprise"
    for typo in ("ann", "hapy", "sur.", "dit", "neut"):
        with pytest.raises(DataError) as error:
            canonical(typo)
        suggested = str(error.value).partition("Did you mean ")[2].partition("?")[0].split(" or ")
        assert not {"an", "ang", "ha", "hap", "sur", "di", "dis", "neu", "ne"} & set(suggested)


@pytest.mark.parametrize("name", CLASS_ORDERS)
def test_an_order_names_each_expression_once(name: str) -> None:
    order = CLASS_ORDERS[name]
    assert canonical_classes(order) == order
    assert len(order) in (6, 7, 8)
    assert resolve_classes([name.upper()]) == order


def test_names_of_orders_are_not_expressions_and_orders_differ() -> None:
    assert not {*CLASS_ORDERS, *ORDER_ALIASES} & {*EXPRESSIONS, *SYNONYMS}
    assert len(set(CLASS_ORDERS.values())) == len(CLASS_ORDERS)
    assert set(ORDER_ALIASES.values()) <= set(CLASS_ORDERS)
    assert CLASS_ORDERS["alphabetical8"] == tuple(sorted(EXPRESSIONS))


@pytest.mark.parametrize("name", ["rafdb", "affectnet", "affectnet7", "fer2013", "ferplus", "ckplus"])
def test_the_order_of_a_data_set_is_its_own(name: str) -> None:
    assert class_order(name) == DATASETS.get(name).order


def test_classes_by_the_name_of_an_order_or_one_by_one() -> None:
    assert resolve_classes(["hsemotion"])[:2] == ("anger", "contempt")
    assert resolve_classes(["sad"]) == ("sadness",)
    assert resolve_classes(["happy", "sad"]) == ("happiness", "sadness")
    assert class_order("nobody") is None
    with pytest.raises(DataError, match=r"unknown expression or order of classes 'rafbd'\. Did you mean .*rafdb"):
        resolve_classes(["rafbd"])
