import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpfer.errors import DataError
from interpfer.rationales.fields import find_class
from interpfer.rationales.rows import LONGEST_ROW, BadRow, Rationale, parse_rationale, read_rows


@pytest.mark.parametrize(
    ("row", "answer", "aus"),
    [
        ({"id": "a", "answer": "happy", "aus": [6, 12]}, "happiness", {6, 12}),
        ({"image": "a", "prediction": "Fear.", "action_units": ["AU1", "au04", "Lid Tightener"]}, "fear", {1, 4, 7}),
        ({"file": "a", "emotion": "joy", "AUs": "6+L12b"}, "happiness", {6, 12}),
        ({"id": "a", "aus": {"AU6": 1, "12": 0, "25": 0.7}}, "", {6, 25}),
        ({"id": "a", "output": "<think>AU6 and AU12, no AU4.</think><answer>happiness</answer>"}, "happiness", {6, 12}),
        ({"id": "a", "text": '```json\n{"emotion": "sad", "aus": [1, 15]}\n```'}, "sadness", {1, 15}),
        ({"id": "a", "text": 'So: {"answer": "anger", "aus": [4]} that is it'}, "anger", {4}),
        (
            {"id": "a", "messages": [{"role": "user", "content": "AU9?"}, {"role": "assistant", "content": "AU12"}]},
            "",
            {12},
        ),
        ({"id": "a", "conversations": [{"value": "<answer>surprise</answer> AU1, AU2"}]}, "surprise", {1, 2}),
        ({"id": 7, "answer": "I think that the person is disgusted by AU9", "aus": []}, "disgust", set()),
        ({"id": "a", "answer": "pain"}, "pain", set()),
    ],
)  # fmt: skip
def test_layouts(row: dict[str, Any], answer: str, aus: set[int]) -> None:
    found = parse_rationale(row)
    assert (found.answer, found.aus) == (answer, aus)


@pytest.mark.parametrize(
    "boxes",
    [
        [{"au": 12, "box": [1, 2, 3, 4]}, {"AU": "AU6", "bbox": ["5", 6, 7, 8.5]}],
        {"12": [1, 2, 3, 4], "AU6": [[5, 6, 7, 8.5]]},
        None,
    ],
)
def test_boxes(boxes: Any) -> None:
    text = "AU12 <box>1,2,3,4</box>, then AU6 <box>(5,6),(7,8.5)</box>"
    found = parse_rationale({"id": "a", "boxes": boxes, "text": text})
    assert [(box.au, box.corners) for box in found.boxes] == [(12, (1, 2, 3, 4)), (6, (5, 6, 7, 8.5))]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"answer": "happy"}, "no image: expected a text in one of image, id,"),
        ({"id": "a", "aus": [0]}, "0 is not the number of an action unit"),
        ({"id": "a", "aus": ["frobnicator"]}, "'frobnicator' is not an action unit"),
        ({"id": "a", "aus": {"12": 60}}, "the value of action unit 12 must be a number between 0 and 5, got 60"),
        ({"id": "a", "aus": 12}, "the action units must be a list or a text, got 12"),
        ({"id": "a", "boxes": [{"au": 12, "box": [3, 2, 1, 4]}]}, "left < right and top < bottom, got [3, 2, 1, 4]"),
        ({"id": "a", "boxes": [{"au": 12, "box": [1, 2, 3]}]}, "must be [left, top, right, bottom], got [1, 2, 3]"),
        ({"id": "a", "boxes": [{"au": 12, "box": [1, 2, float("nan"), 4]}]}, "got [1, 2, nan, 4]"),
        ({"id": "a", "boxes": [[1, 2, 3, 4]]}, "a box must be an object with au and box, got [1, 2, 3, 4]"),
        ({"id": "a", "answer": ["happy"]}, "the answer must be a text, got ['happy']"),
    ],
)
def test_refused(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError) as error:
        parse_rationale(row)
    assert reason in str(error.value)


def test_bad_rows_do_not_stop_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [
        b'\xef\xbb\xbf{"id": "a"}',
        b"",
        b"not json",
        b"[1]",
        b"\xff\xfe",
        b"x" * (LONGEST_ROW + 5),
        b'{"id": "b"}',
    ]
    path.write_bytes(b"\n".join(lines))
    found = list(read_rows(path))
    assert [(row.line, row.image if isinstance(row, Rationale) else row.reason[:12]) for row in found] == [
        (1, "a"),
        (3, "not JSON (Ex"),
        (4, "not a JSON o"),
        (5, "not JSON ('u"),
        (6, "longer than "),
        (7, "b"),
    ]
    with pytest.raises(DataError, match=r"cannot read the rationales .*: No such file"):
        list(read_rows(tmp_path / "none.jsonl"))


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["id", "answer", "aus", "boxes", "text", "label", "messages"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ),
    )
)
def test_any_row_is_read_or_refused_in_one_line(row: dict[str, Any]) -> None:
    refused = ""
    try:
        parse_rationale(json.loads(json.dumps(row)))
    except DataError as error:
        refused = str(error)
    assert "\n" not in refused


def test_classes_in_texts() -> None:
    assert find_class("The expression is surprise.") == "surprise"
    assert find_class("happy or surprised") == ""
    assert find_class("") == ""
    assert isinstance(BadRow(1, "x"), BadRow)
