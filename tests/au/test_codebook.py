from pathlib import Path

import pytest

from interpfer.au.codebook import ALIASES, CODEBOOKS, ActionUnit, load_codebook, parse_codebook
from interpfer.errors import DataError, PluginError
from interpfer.labels import NEUTRAL
from interpfer.truth.codebook import CodebookTruth
from tests.oracles.au_maps import AUS_OF

SHIPPED = {
    "belharbi2024": AUS_OF,
    "belharbi2024-printed": AUS_OF | {"disgust": (9, 10, 16, 17, 25, 26)},
    "emfacs": {
        "happiness": (6, 12),
        "sadness": (1, 4, 15),
        "surprise": (1, 2, 5, 26),
        "fear": (1, 2, 4, 5, 7, 20, 26),
        "anger": (4, 5, 7, 23),
        "disgust": (9, 15, 16),
        "contempt": (12, 14),
    },
    "du2014": {
        "happiness": (12, 25),
        "sadness": (4, 15),
        "surprise": (1, 2, 25, 26),
        "fear": (1, 4, 20, 25),
        "anger": (4, 7, 24),
        "disgust": (9, 10, 17),
    },
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_codebooks(name: str) -> None:
    book = load_codebook(name)
    assert book.name == name
    assert len(book.citation) > 30
    assert {label: tuple(unit.au for unit in units) for label, units in book.classes.items()} == SHIPPED[name]
    assert book.units(NEUTRAL) == ()


def test_all_codebooks_are_tested() -> None:
    assert set(CODEBOOKS.builtin) == set(SHIPPED)


def test_a_former_name_still_works_and_is_recorded_as_the_present_one() -> None:
    assert ALIASES == {"martinez2017": "belharbi2024-printed"}
    assert load_codebook("martinez2017") is load_codebook("belharbi2024-printed")
    former, present = CodebookTruth("martinez2017", "scaled"), CodebookTruth("belharbi2024-printed", "scaled")
    assert former.settings == present.settings
    assert former.settings["codebook"] == "belharbi2024-printed"


def test_a_custom_codebook(tmp_path: Path) -> None:
    path = tmp_path / "meins.yaml"
    path.write_text(
        "name: meins\ncitation: ich\nclasses:\n  Happy: [6, 12, {au: 25, weight: 0.5}]\n  co: [{au: 14, side: left}]\n",
        encoding="utf-8",
    )
    book = load_codebook(str(path))
    assert (book.name, book.citation) == ("meins", "ich")
    assert book.units("happiness") == (ActionUnit(6), ActionUnit(12), ActionUnit(25, 0.5))
    assert book.units("contempt") == (ActionUnit(14, 1.0, "left"),)
    assert book.units("anger") == ()
    assert book.aus() == (6, 12, 14, 25)
    assert book.aus(["happiness", "anger"]) == (6, 12, 25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [", "codebook F: not YAML"),
        ("", "codebook F: the field 'classes' must list action units per expression"),
        ("[1, 2]", "codebook F: the field 'classes' must list action units per expression"),
        ("classes: {}", "codebook F: the field 'classes' must list action units per expression"),
        ("classes: [6]", "codebook F: the field 'classes' must list action units per expression"),
        ("classes: {joyfull: [6]}", "codebook F: unknown expression 'joyfull'. Did you mean joyful"),
        ("classes: {7: [6]}", "codebook F: '7' is a number, not the name of a class"),
        ("classes: {neutral: [6]}", "codebook F: neutral has no action units; remove it"),
        ("classes: {happy: 6}", "codebook F: 'happy' must be a list of action units"),
        ("classes: {happy: []}", "codebook F: 'happy' must be a list of action units"),
        ("classes: {happy: [six]}", "side: left|right}, got 'six'."),
        (
            "classes: {happy: [6.5]}",
            "codebook F, 'happy': an entry must be a FACS number or {au: N, weight: W, side: left|right}, got '6.5'.",
        ),
        (
            "classes: {happy: [true]}",
            "side: left|right}, got 'True'.",
        ),
        ("classes: {happy: [{weight: 1}]}", "an entry must be a FACS number"),
        ("classes: {happy: [{au: 6, wieght: 1}]}", "an entry must be a FACS number"),
        ("classes: {happy: [{au: 6, weight: 0}]}", "codebook F, 'happy': the weight of AU 6 must be in (0, 1], got 0."),
        ("classes: {happy: [{au: 6, weight: 1.5}]}", "the weight of AU 6 must be in (0, 1], got 1.5."),
        (
            "classes: {happy: [{au: 6, weight: heavy}]}",
            "codebook F, 'happy': the weight of AU 6 must be in (0, 1], got heavy.",
        ),
        ("classes: {happy: [{au: 6, weight: .nan}]}", "the weight of AU 6 must be in (0, 1], got nan."),
        ("classes: {happy: [{au: 6, side: top}]}", "the side of AU 6 must be one of left, right, got 'top'."),
        ("classes: {happy: [6], joy: [12]}", "codebook F: 'joy' repeats the expression happiness."),
    ],
)
def test_the_message_names_the_faulty_field(text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        parse_codebook(text, "F")
    assert message in str(error.value)


def test_an_unknown_codebook(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="codebook file not found: .*none.yaml"):
        load_codebook(str(tmp_path / "none.yaml"))
    with pytest.raises(PluginError, match=r"unknown codebook 'emfac'\. Did you mean emfacs\? Known: belharbi2024"):
        load_codebook("emfac")
