"""Texts of classes and action units."""

from pathlib import Path
from typing import Any

import pytest

from interpfer.au.codebook import load_codebook
from interpfer.au.descriptions import AU_DESCRIPTIONS
from interpfer.au.names import AU_NAMES
from interpfer.errors import ModelError
from interpfer.models.image_text.prompts import fill_template, list_texts, parse_prompts

CLASSES = ("anger", "happiness", "neutral")


def parse(value: Any, classes: tuple[str, ...] = CLASSES, aus: tuple[int, ...] = (), folder: Path = Path()) -> Any:
    return parse_prompts(value, classes, aus, folder, "m.yaml")


def test_every_action_unit_of_a_codebook_has_a_description() -> None:
    assert set(AU_DESCRIPTIONS) <= set(AU_NAMES)
    for name in ("belharbi2024", "belharbi2024-printed", "emfacs", "du2014"):
        assert set(load_codebook(name).aus()) <= set(AU_DESCRIPTIONS)
    texts = [text for phrases in AU_DESCRIPTIONS.values() for text in phrases]
    assert len(texts) == len(set(texts))


def test_templates() -> None:
    assert parse(None) == parse("template")
    assert parse("template").classes["anger"] == ("a photo of an angry face",)
    own = parse(["a photo of an {} man", "{}"], ("anger", "happily surprised"))
    assert own.classes == {
        "anger": ("a photo of an angry man", "angry"),
        "happily surprised": ("a photo of a happily surprised man", "happily surprised"),
    }
    assert own.source == "'a photo of an {} man', ..."
    assert parse("the {} one").source == "'the {} one'"
    assert fill_template("A {}, a {}", "fear") == "A fearful, a fearful"


def test_action_units_enrich_a_class() -> None:
    prompts = parse("aus:emfacs", aus=(12, 4))
    assert prompts.source == "aus:emfacs"
    assert prompts.classes["happiness"] == (
        "a photo of a happy face",
        "a photo of a face with raised cheeks",
        "a photo of a face with wrinkles at the outer corners of the eyes",
        "a photo of a face with lip corners pulled up",
        "a photo of a face with a smiling mouth",
    )
    assert prompts.classes["neutral"] == ("a photo of a neutral face",)
    assert list(prompts.aus) == [12, 4]
    assert parse("aus").source == "aus:belharbi2024"
    assert len(list(list_texts(prompts))) == len(set(list_texts(prompts)))
    with pytest.raises(ModelError, match="codebook belharbi2024 lists no action units of class 'contempt': pass temp"):
        parse("aus", ("contempt",))
    with pytest.raises(ModelError, match="unknown codebook 'x'"):
        parse("aus:x")


def test_a_mapping_covers_the_classes(tmp_path: Path) -> None:
    mapping = {"angry": "rage", "Happy": ["joy", "a grin"], "neutral": "calm", "AU12": ["a smile"], "au0": "nothing"}
    prompts = parse(mapping, aus=(12, 25))
    assert prompts.classes == {"anger": ("rage",), "happiness": ("joy", "a grin"), "neutral": ("calm",)}
    assert prompts.aus == {
        12: ("a smile",),
        25: ("a photo of a face with parted lips", "a photo of a face with lips apart"),
    }
    assert (prompts.without, prompts.source) == (("nothing",), "the card")
    assert parse(prompts.to_dict(), aus=(12, 25)) == prompts
    assert parse(mapping).aus == {}  # texts of action units are ready for when the card names them
    file = tmp_path / "texts.yaml"
    file.write_text("anger: rage\nhappiness: [joy, a grin]\nneutral: calm\n")
    read = parse("texts.yaml", folder=tmp_path)
    assert (read.classes, read.source) == (prompts.classes, "texts.yaml")
    assert parse(str(file)).classes == read.classes
    assert parse('{"anger": "rage", "happiness": ["joy", "a grin"], "neutral": "calm"}').classes == read.classes
    assert parse('["{} one", "{} two"]').classes["anger"] == ("angry one", "angry two")
    file.write_text('"one {} person"')
    assert parse(str(file)).classes["neutral"] == ("one neutral person",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"anger": "rage"}, "prompts: no texts of happiness, neutral; write some, or leave these classes out"),
        ({"anger": "x", "happiness": "y", "neutral": "z", "fear": "w"}, "prompts: 'fear' is no output of the model"),
        ({"anger": "x", "happiness": "y", "neutral": "z", "AU4": "w", "AU6": "v"}, "prompts: 'AU6' is no output"),
        ({"anger": "x", "happiness": "x", "neutral": "z"}, "anger and happiness have the same texts"),
        ({"anger": "x", "Angry": "y"}, "'Angry' repeats anger"),
        ({"anger": [], "happiness": "y", "neutral": "z"}, r"anger: texts must be a text or a list of texts, got \[\]"),
        ({"anger": [3]}, "texts must be a text or a list of texts"),
        ({"happines": "x"}, "unknown expression 'happines'. Did you mean happiness"),
        (["no place"], "a template must hold {} for the class, got 'no place'"),
        ("templat", "got 'templat', and there is no such file. Did you mean template"),
        ("none.yaml", "must be template, aus, aus:CODEBOOK, a text with {}, a YAML file or a mapping"),
        ("{anger: [", "neither a text nor a mapping"),
        ({"anger": "x", "happiness": "y", "neutral": "z", "AU4": "w"}, ""),
    ],
)
def test_wrong_prompts_are_refused(value: Any, message: str) -> None:
    if not message:
        parse(value, aus=(4,))
        return
    with pytest.raises(ModelError, match=message.replace("{}", r"\{\}")):
        parse(value, aus=(4,))


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("3")
    with pytest.raises(ModelError, match="a.yaml must map classes to texts, or hold templates with {}, got 3"):
        parse("a.yaml", folder=tmp_path)
    (tmp_path / "a.yaml").write_text("{")
    with pytest.raises(ModelError, match="a.yaml is not YAML"):
        parse("a.yaml", folder=tmp_path)
    with pytest.raises(ModelError, match="AU 51 has no description; write texts for AU51 into prompts"):
        parse(None, aus=(51,))
    assert parse({"anger": "x", "AU51": "a head turned left"}, ("anger",), (51,)).aus[51] == ("a head turned left",)
