from pathlib import Path
from typing import Any

import pytest

from interpfer.errors import ModelError
from interpfer.models.card import card_path, parse_card, read_card
from interpfer.models.input import InputSpec
from interpfer.models.output import Output, Part

LEAST: dict[str, Any] = {"arch": "torchvision:resnet18", "classes": ["anger", "fear"]}


def test_the_least_card() -> None:
    card = parse_card(LEAST, "C", Path("/x"))
    assert (card.arch, card.classes) == ("torchvision:resnet18", ("anger", "fear"))
    assert (card.arch_args, card.input, card.output, card.layers) == ({}, InputSpec(), None, None)
    assert card.folder == Path("/x")


def test_a_full_card(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "arch: net.py:build\narch_args: {width: 4}\nclasses: [Angry, su]\n"
        "input: {size: 112, color: GREY, scale: 255, mean: 127.5, std: [64]}\noutput: logits\nlayers: [a, b.c]\n"
    )
    assert card_path(tmp_path / "m.pt") == path
    card = parse_card(read_card(path), "C", tmp_path)
    assert card.classes == ("anger", "surprise")
    assert card.arch_args == {"width": 4}
    assert card.input == InputSpec(112, "gray", 255.0, (127.5,), (64.0,))
    assert (card.output, card.layers) == (Output((Part("logits"),)), ("a", "b.c"))


def test_a_given_module_needs_no_arch() -> None:
    assert parse_card({"classes": "fear, anger"}, "C", Path(), module_given=True).classes == ("fear", "anger")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arch": None}, "model card C: the field 'arch' is missing (FILE.py:callable, package.module:callable"),
        ({"classes": None}, "model card C: the field 'classes' is missing: the expressions in output order"),
        ({"classes": []}, "model card C: the field 'classes' is missing"),
        ({"classes": 7}, "model card C: classes should be a list of names, found 7."),
        ({"classes": [1, 2]}, "model card C: classes should be a list of names, found [1, 2]."),
        ({"classes": ["glee", "fear"]}, "model card C: classes: 'glee' is no known expression."),
        ({"classes": "rafbd"}, "classes: 'rafbd' is neither an expression nor a known order of classes. Did you mean"),
        ({"forward_args": [1]}, "model card C: forward_args should be a mapping, found [1]."),
        ({"classes": ["sad", "sadness"]}, "model card C: classes: classes name sadness more than once"),
        ({"clases": 1}, "model card C: unknown field 'clases'. Did you mean classes or layers? Known: arch"),
        ({"preset": "poster"}, "model card C: unknown field 'preset'."),
        ({"arch_args": [1]}, "model card C: arch_args should be a mapping, found [1]."),
        ({"output": 1.5}, "model card C: output should be a number, a key, a slice such as"),
        ({"layers": 4}, "model card C: layers should be a list of names, found 4."),
        ({"input": 112}, "model card C: input should be a mapping such as {size: 112}, found 112."),
        ({"input": {"sise": 1}}, "model card C: input: unknown field 'sise'. Did you mean size? Known: size, color"),
        ({"input": {"size": "big"}}, "model card C: input.size cannot be 'big'."),
        ({"input": {"size": [112, 112]}}, "model card C: input.size cannot be [112, 112]."),
        ({"input": {"size": 0}}, "model card C: input.size 0 is not a number of pixels."),
        ({"input": {"color": "hsv"}}, "model card C: input.color 'hsv' is none of rgb, bgr, gray, gray3."),
        ({"input": {"mean": [0.5, 0.5]}}, "model card C: input.mean has 2 values for the 3 channel(s) of rgb."),
        ({"input": {"color": "gray", "std": [1, 1, 1]}}, "input.std has 3 values for the 1 channel(s) of gray."),
        ({"input": {"mean": "imagnet"}}, "input.mean 'imagnet' is no known normalisation. Did you mean imagenet"),
        ({"input": {"mean": ["a"]}}, "model card C: input.mean cannot be ['a']; known by name: none, bytes, half"),
        ({"input": {"std": [1, 0, 1]}}, "model card C: input.std holds a zero."),
        ({"input": {"scale": None}}, "model card C: input.scale cannot be None."),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_card(LEAST | fields, "C", Path())
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"arch: [", "not YAML"),
        (b"", "expected fields such as 'arch:'"),
        (b"- a", "expected fields"),
        (b"\xff", "not YAML"),
    ],
)
def test_a_file_that_is_no_card(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        read_card(path)
    assert str(path) in str(error.value)
