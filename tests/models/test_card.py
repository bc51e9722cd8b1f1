from pathlib import Path
from typing import Any

import pytest

from interpfer.errors import ModelError
from interpfer.models.card import card_path, parse_card, read_card
from interpfer.models.input import InputSpec
from interpfer.models.output import Output, OutputPart

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
    assert (card.output, card.layers) == (Output((OutputPart("logits"),)), ("a", "b.c"))


def test_an_output_for_action_units_beside_the_classes_or_alone() -> None:
    both = parse_card(LEAST | {"aus": "bp4d12", "aus_output": "1[:12]"}, "C", Path())
    assert both.aus == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    assert str(both.aus_output) == "1[:12]"
    alone = parse_card({"arch": LEAST["arch"], "aus": [1, 12]}, "C", Path())
    assert (alone.classes, alone.aus, alone.output_count) == ((), (1, 12), 2)
    plain = parse_card(LEAST, "C", Path())
    assert plain.identity in both.identity  # a card without says nothing of it
    assert "aus" not in plain.identity


def test_a_given_module_needs_no_arch() -> None:
    assert parse_card({"classes": "fear, anger"}, "C", Path(), has_module=True).classes == ("fear", "anger")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arch": None}, "model card C: the field 'arch' is missing (FILE.py:callable, package.module:callable"),
        ({"classes": None}, "model card C: the field 'classes' is missing: the expressions in output order"),
        ({"classes": []}, "model card C: the field 'classes' is missing"),
        ({"classes": 7}, "model card C: classes must be a list of names, got 7."),
        ({"classes": [1, 2]}, "model card C: classes must be a list of names, got [1, 2]."),
        ({"classes": ["disgst", "fear"]}, "model card C: classes: unknown expression 'disgst'. Did you mean disgust"),
        ({"classes": ["LABEL_0", "LABEL_1"]}, "model card C: classes: 'LABEL_0' is a number, not the name of a class"),
        ({"classes": ["glee"]}, "model card C: classes: unknown expression or order of classes 'glee'."),
        ({"classes": "rafbd"}, "classes: unknown expression or order of classes 'rafbd'. Did you mean"),
        ({"forward_args": [1]}, "model card C: forward_args must be a mapping, got [1]."),
        (
            {"classes": ["sad", "sadness"]},
            "model card C: classes: classes must name each expression once, got sadness more than once",
        ),
        ({"clases": 1}, "model card C: unknown field 'clases'. Did you mean classes or layers? Known: arch"),
        ({"preset": "poster"}, "model card C: unknown field 'preset'."),
        ({"arch_args": [1]}, "model card C: arch_args must be a mapping, got [1]."),
        ({"output": 1.5}, "model card C: output must be an index, a key, a slice such as"),
        ({"aus": [1, 80]}, "model card C: aus: an AU must be between 1 and 79, got 80."),
        ({"aus": "1,2,0"}, "model card C: aus: an AU must be between 1 and 79, got 0."),
        ({"aus": [1, 2, 1]}, "model card C: aus: AU 1 is listed twice."),
        ({"aus": "disfa9"}, "model card C: aus: AUs must be FACS numbers such as 1,2,4 or one of bp4d12, disfa8, "),
        ({"aus": [True]}, "aus: AUs must be FACS numbers such as 1,2,4 or one of"),
        ({"aus": {1: 2}}, "model card C: aus must be a list of FACS numbers, got {1: 2}."),
        ({"aus": []}, "model card C: aus: the list of AUs is empty."),
        ({"aus_output": 1}, "model card C: aus_output needs aus: the FACS numbers of that output, in order."),
        ({"aus": [1], "aus_output": 1.5}, "model card C: aus_output must be an index, a key, a slice such as"),
        ({"layers": 4}, "model card C: layers must be a list of names, got 4."),
        ({"input": 112}, "model card C: input must be a mapping such as {size: 112}, got 112."),
        ({"input": {"sise": 1}}, "model card C: input: unknown field 'sise'. Did you mean size or resize? Known: size"),
        ({"input": {"size": "big"}}, "model card C: input.size must be a number of pixels, got 'big'."),
        ({"input": {"size": [112, 112]}}, "model card C: input.size must be a number of pixels, got [112, 112]."),
        ({"input": {"size": 0}}, "model card C: input.size must be at least 1, got 0."),
        ({"input": {"color": "hsv"}}, "model card C: input.color must be one of rgb, bgr, gray, gray3, got 'hsv'."),
        ({"input": {"mean": [0.5, 0.5]}}, "model card C: input.mean must have 1 or 3 values for the color rgb, got 2."),
        ({"input": {"color": "gray", "std": [1, 1, 1]}}, "input.std must have 1 value for the color gray, got 3."),
        ({"input": {"mean": "imagnet"}}, "input.mean: unknown normalisation 'imagnet'. Did you mean imagenet"),
        (
            {"input": {"mean": ["a"]}},
            "model card C: input.mean must be a number, a list of numbers or one of none, bytes, half",
        ),
        ({"input": {"std": [1, 0, 1]}}, "model card C: input.std must not contain 0."),
        ({"input": {"scale": None}}, "model card C: input.scale must be a number, got None."),
    ],
)
def test_an_error_names_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_card(LEAST | fields, "C", Path())
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"arch: [", "not YAML"),
        (b"", "must hold fields such as 'arch:'"),
        (b"- a", "must hold fields"),
        (b"\xff", "not YAML"),
    ],
)
def test_a_file_that_is_no_card(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as error:
        read_card(path)
    assert str(path) in str(error.value)
