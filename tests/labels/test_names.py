from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpfer.errors import DataError
from interpfer.labels import (
    EXPRESSIONS,
    SYNONYMS,
    canonical,
    canonical_classes,
    class_indices,
    known_expression,
    require_expression,
    similar_expression,
    sort_classes,
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


ANY = st.text(max_size=12) | st.sampled_from(["İ", "ΑΣ", "e\u0301", "É", "Happily  Surprised", "ﬁne", "HA-SU"])


@given(name=ANY)
def test_any_other_text_is_a_class_of_its_own_or_refused_in_one_line(name: str) -> None:
    error = ""
    try:
        label = canonical(name)
    except DataError as raised:
        error = str(raised)
    if error:
        assert "\n" not in error
        assert known_expression(name) is None
        return
    assert label == canonical(label) == canonical(f" {name}\t")
    assert label.lower() == label == " ".join(label.split())
    assert known_expression(name) in (label, None)


@given(names=st.lists(st.sampled_from(["Anger", "joy", "pain", "Anxiety", "HA-SU", "sad", "calm"]), unique=True))
def test_lists_keep_their_order_and_match_by_name(names: list[str]) -> None:
    classes = canonical_classes(names)
    assert [canonical(name) for name in names] == list(classes)
    assert class_indices([canonical(name.upper()) for name in names], classes) == list(range(len(names)))
    assert set(sort_classes(classes)) == set(classes)
    assert sort_classes(reversed(classes)) == sort_classes(classes)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hapiness", "happiness"),
        ("Suprise", "surprise"),
        ("nuetral", "neutral"),
        ("angery", "anger"),
        ("sadd", "sad"),
        ("faer", "fear"),
        ("disgustt", "disgust"),
    ],
)
def test_a_misspelt_expression_is_refused(name: str, meant: str) -> None:
    with pytest.raises(DataError) as error:
        canonical(name)
    assert str(error.value).startswith(f"unknown expression '{name}'. Did you mean {meant}?")


@given(name=st.sampled_from(EXPRESSIONS), place=st.integers(0, 20), letter=st.sampled_from("aeiklnz"))
def test_one_letter_too_few_or_too_many(name: str, place: int, letter: str) -> None:
    if name == "fear":
        return  # of short spellings, too many other words are a letter away
    i = 1 + place % (len(name) - 1)
    for slip in (
        name[:i] + name[i + 1 :],
        name[:i] + letter + name[i:],
        name[:i] + name[i : i + 2][::-1] + name[i + 2 :],
    ):
        if known_expression(slip) is None:
            with pytest.raises(DataError, match=f"unknown expression '{slip}'"):
                canonical(slip)


WORDS = "bear danger gear tear sand said toy boy mad glad content sunrise disguised tearful abnormal calm anxiety cat"


@pytest.mark.parametrize("name", WORDS.split())
def test_other_words_that_look_alike_are_classes(name: str) -> None:
    assert canonical(name.title()) == name


def test_calm_is_not_neutral() -> None:
    assert canonical_classes(["Calm", "neutral"]) == ("calm", "neutral")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3", "'3' is a number, not the name of a class"),
        ("LABEL_0", "'LABEL_0' is a number, not the name of a class"),
        ("  ", "the name of a class is empty"),
        ("Macro", "a class cannot be called 'Macro': it is a group of images in scores.csv"),
        ("age=3", "a class cannot be called 'age=3'"),
        ("AU12", "'AU12' is an action unit, not a class"),
        ("+cmd()", "a class cannot be called '+cmd()': a name begins with a letter or digit"),
        ("a\x00b", r"a class cannot be called 'a\x00b'"),
    ],
)
def test_names_that_no_class_can_have(name: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        canonical(name)
    assert str(error.value).startswith(message)


def test_where_only_expressions_are_possible() -> None:
    assert require_expression("Happy") == "happiness"
    with pytest.raises(DataError, match=r"^unknown expression 'funny'\..* Known: anger, disgust"):
        require_expression("funny")


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
        assert similar_expression(typo) not in {"an", "ang", "ha", "hap", "sur", "di", "dis", "neu", "ne"}
