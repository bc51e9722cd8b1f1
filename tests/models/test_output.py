from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.loading import load_model
from interpfer.models.output import Output, OutputPart, describe_output, find_tensors, parse_output, stack_vectors

A, B = torch.arange(14.0).reshape(2, 7), torch.arange(20.0).reshape(2, 10)
Pair = namedtuple("Pair", "first second")


@dataclass
class Heads:
    expression: Tensor
    extra: Any = None


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (0, [OutputPart(0)]),
        ("1", [OutputPart(1)]),
        (-1, [OutputPart(-1)]),
        ("logits", [OutputPart("logits")]),
        ("heads.0", [OutputPart("heads.0")]),
        (":8", [OutputPart(None, 1, None, 8)]),
        ("2:", [OutputPart(None, 1, 2, None)]),
        ("0[:8]", [OutputPart(0, 1, None, 8)]),
        ("out[-3:-1]", [OutputPart("out", 1, -3, -1)]),
        ("0.6*0+0.4*1", [OutputPart(0, 0.6), OutputPart(1, 0.4)]),
        ("0.5 * a[:7] + -.5*b", [OutputPart("a", 0.5, None, 7), OutputPart("b", -0.5)]),
        ({0: 0.6, 1: 0.4}, [OutputPart(0, 0.6), OutputPart(1, 0.4)]),
        ({"a[:2]": 1}, [OutputPart("a", 1, None, 2)]),
        ("a+b", [OutputPart("a+b")]),
    ],
)
def test_forms(raw: Any, parts: list[OutputPart]) -> None:
    assert parse_output(raw, "C") == Output(tuple(parts))


@pytest.mark.parametrize("raw", [1.5, True, "", {}, {0: "much"}, [0], "*", "0.5*", "0.5*0+"])
def test_what_is_no_form(raw: Any) -> None:
    with pytest.raises(ModelError, match=r"model card C: output must be an index, a key, a slice such as ':8'"):
        parse_output(raw, "C")


@given(
    st.lists(
        st.builds(
            OutputPart,
            st.one_of(st.integers(-3, 9), st.from_regex(r"[a-z][a-z_.]{0,5}", fullmatch=True)),
            st.sampled_from([0.25, 0.5, 2.0]),
            st.sampled_from([None, -2, 3]),
            st.sampled_from([None, 8]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_an_output_reads_back_what_it_says(parts: list[OutputPart]) -> None:
    output = Output(tuple(parts))
    assert parse_output(str(output), "C") == output


@pytest.mark.parametrize(
    ("returned", "raw", "expected"),
    [
        ((A, B), 0, A),
        ((B, A), -1, A),
        ([B, [A, B]], "1.0", A),
        ({"x": B, "expression": A}, "expression", A),
        ({0: A}, "0", A),
        (OrderedDict(logits=A), "logits", A),
        (Heads(A), "expression", A),
        (Heads(B, {"deep": A}), "extra.deep", A),
        (Pair(A, B), 0, A),
        (SimpleNamespace(logits=A), "logits", A),
        (B, ":7", B[:, :7]),
        ((A, B), "1[3:]", B[:, 3:]),
        ((A, A + 1), "0.6*0+0.4*1", A + 0.4),
        ((A, B), {0: 2, "1[:7]": -1}, 2 * A - B[:, :7]),
        ((A,), "0.5*0", A / 2),
        ([row for row in A], 0, A[0]),
    ],
)
def test_picking(returned: Any, raw: Any, expected: Tensor) -> None:
    torch.testing.assert_close(parse_output(raw, "C").pick(returned, 2), expected)


@pytest.mark.parametrize(
    ("returned", "raw", "message"),
    [
        ((A, B), 2, "the output has no element 2; it is a tuple (0: (2, 7), 1: (2, 10))."),
        (Heads(A), "logits", "no element 'logits'; it is a Heads (expression: (2, 7), extra: NoneType)."),
        ({"a": {"b": A}}, "a.c", "the output has no element 'c'; it is a dict (b: (2, 7))."),
        ((A, B), "0.6*0+0.4*1", "the heads 0.6*0+0.4*1 cannot be added: they are"),
        (("text", A), "2*0", "the heads 2*0 cannot be added: they are str"),
        (("text", A), "0[:2]", "output [:2] needs a tensor with channels, got a str."),
    ],
)
def test_what_cannot_be_picked(returned: Any, raw: Any, message: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_output(raw, "C").pick(returned, 2)
    assert message in str(error.value)


def test_describing_and_walking_nested_outputs() -> None:
    output = {"heads": (A, {"x": B}), "names": ["a"], "none": None}
    assert describe_output(output) == (
        "a dict (heads: a tuple (0: (2, 7), 1: a dict (x: (2, 10))), names: a list (0: str), none: NoneType)"
    )
    assert [key for key, _ in find_tensors(output)] == ["heads.0", "heads.1.x"]
    assert describe_output(list(range(14))).endswith("11: int, and 2 more)")


def test_a_list_of_one_vector_per_image_is_a_batch() -> None:
    rows = [np.zeros(7, np.float32), np.ones(7, np.float32)]
    assert stack_vectors(rows, 2).shape == (2, 7)
    assert stack_vectors([A, B], 2)[0] is A
    assert stack_vectors(rows, 3) is rows


class Network(nn.Module):
    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 10, 3, padding=1)
        self.wrap = wrap

    def forward(self, x: Tensor, target: Any = 0, phase: str = "train") -> Any:
        return self.wrap(self.body(x).mean((2, 3)), phase, target)

    def eval(self) -> None:  # type: ignore[override]
        super().eval()


CLASSES = ["anger", "fear", "sadness", "surprise", "disgust", "happiness", "neutral", "contempt"]
X = torch.rand(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("wrap", "card", "expected"),
    [
        (lambda z, *_: z, {"output": ":8"}, lambda z: z[:, :8]),
        (lambda z, *_: (z[:, :8], z[:, 1:9]), {"output": {0: 0.6, 1: 0.4}}, lambda z: 0.6 * z[:, :8] + 0.4 * z[:, 1:9]),
        (lambda z, *_: ((z, z[:, :8]), z), {}, lambda z: z[:, :8]),
        (lambda z, *_: list(z[:, :8]), {}, lambda z: z[:, :8]),
        (
            lambda z, phase, target: z[:, :8] if (phase, target) == ("test", None) else None,
            {"forward_args": {"phase": "test", "target": None}},
            lambda z: z[:, :8],
        ),
    ],
)
def test_models_of_many_habits(wrap: Any, card: dict[str, Any], expected: Any) -> None:
    model = load_model(Network(wrap), classes=CLASSES, input_size=8, **card)
    assert torch.allclose(model.logits(X), expected(model.module.body(X).mean((2, 3))))
    assert model.layers("last") == ("body",)


def test_an_ambiguous_output_lists_what_was_returned() -> None:
    model = load_model(Network(lambda z, *_: {"a": z[:, :8], "b": [z[:, 2:]]}), classes=CLASSES, input_size=8)
    with pytest.raises(
        ModelError, match=r"returned a dict \(a: \(2, 8\), b: a list \(0: \(2, 8\)\)\): specify which one"
    ):
        model.logits(X)
