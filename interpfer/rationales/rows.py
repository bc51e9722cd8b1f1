"""Reads rationales: one JSON object per line, in the layouts that language models and their tools write.

A row needs the name of its image. All else is optional, and is read from fields of its own, else out of the text: the
answer (also ``<answer>...</answer>``, or a JSON object in the text), the action units, and boxes. A row that cannot be
read is skipped, counted and named.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.rationales.fields import Box, read_answer, read_aus, read_boxes, read_name

LONGEST_ROW = 1_000_000
"""Bytes of the longest row that is read."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "id", "image_id", "image_path", "img", "file", "filename", "path", "name"),
    "answer": ("answer", "prediction", "predicted", "emotion", "expression", "pred"),
    "text": ("text", "rationale", "response", "output", "completion", "explanation", "reasoning", "description"),
    "aus": ("aus", "au", "action_units", "actionunits"),
    "boxes": ("boxes", "bboxes", "au_boxes", "grounding"),
    "label": ("label", "labels", "ground_truth", "gt", "target"),
}
"""What is read -> the fields that may hold it, in lower case; the first one of a row is taken."""

TAGGED = re.compile(r"\s*<think>.*</think>\s*<answer>.*</answer>\s*", re.IGNORECASE | re.DOTALL)
"""A text in the layout that models with reasoning are trained on."""

_FENCE = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)


@dataclass(frozen=True)
class Rationale:
    """What a language model says of an image.

    Attributes:
        image: name of the image.
        answer: class that it names, canonical where known; "" for none or several.
        aus: FACS numbers that it says to be present.
        boxes: boxes of action units.
        label: true class that the row states; "" for none.
        text: the text itself.
        line: number in the file.
    """

    image: str
    answer: str = ""
    aus: frozenset[int] = frozenset()
    boxes: tuple[Box, ...] = ()
    label: str = ""
    text: str = field(default="", repr=False)
    line: int = 0


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read.

    Attributes:
        line: number in the file.
        reason: one line.
    """

    line: int
    reason: str


def read_rows(path: str | Path) -> Iterator[Rationale | BadRow]:
    """Yield the rows of a file, one at a time.

    Args:
        path: JSON lines, UTF-8; empty lines are left out.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            line = 0
            while raw := file.readline(LONGEST_ROW + 1):
                line += 1
                if len(raw) > LONGEST_ROW:
                    yield BadRow(line, f"longer than {LONGEST_ROW} bytes")
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(LONGEST_ROW)
                elif raw.strip():
                    yield _parse_row(raw, line)
    except OSError as error:
        raise DataError(f"cannot read the rationales {path}: {error.strerror}.") from error


def _parse_row(raw: bytes, line: int) -> Rationale | BadRow:
    try:
        row = parse_json(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        return BadRow(line, f"not JSON ({error})")
    if not isinstance(row, dict):
        return BadRow(line, "not a JSON object")
    try:
        return parse_rationale(row, line)
    except DataError as error:
        return BadRow(line, str(error))


def parse_rationale(row: Mapping[str, Any], line: int = 0) -> Rationale:
    """Read one row.

    Args:
        row: the object.
        line: number in its file.

    Raises:
        DataError: the image is missing, or a field cannot be read; the message names the field.

    Examples:
        >>> row = {"id": "a.png", "output": "<think>AU6, AU12.</think><answer>happy</answer>", "label": "joy"}
        >>> rationale = parse_rationale(row)
        >>> rationale.answer, sorted(rationale.aus), rationale.label
        ('happiness', [6, 12], 'happiness')
    """
    fields = {str(key).lower(): value for key, value in row.items()}
    image = _first(fields, "image")
    if isinstance(image, list) and len(image) == 1:
        image = image[0]
    if not isinstance(image, str | int) or isinstance(image, bool) or str(image).strip() == "":
        raise DataError(f"no image: expected a text in one of {', '.join(KEYS['image'])}")
    text = _text(fields)
    within = _json_in(text)
    return Rationale(
        str(image).strip(),
        read_answer(_first(fields, "answer", within), text),
        read_aus(_first(fields, "aus", within), text),
        read_boxes(_first(fields, "boxes", within), text),
        read_name(_first(fields, "label")),
        text,
        line,
    )


def _first(fields: Mapping[str, Any], what: str, otherwise: Mapping[str, Any] | None = None) -> Any:
    for source in (fields, otherwise or {}):
        for key in KEYS[what]:
            if source.get(key) is not None:
                return source[key]
    return None


def _text(fields: Mapping[str, Any]) -> str:
    """Return the text of a row: a field, or the last turn of a conversation."""
    found = _first(fields, "text")
    if isinstance(found, str):
        return found
    for key in ("messages", "conversations", "conversation"):
        turns = fields.get(key)
        if isinstance(turns, list) and turns and isinstance(turns[-1], dict):
            content = turns[-1].get("content", turns[-1].get("value"))
            if isinstance(content, list):
                content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
            if isinstance(content, str):
                return content
    answer = _first(fields, "answer")
    return answer if isinstance(answer, str) and len(answer.split()) > 3 else ""


def _json_in(text: str) -> dict[str, Any]:
    """Return the JSON object that a text contains; empty where there is none."""
    if "{" not in text:
        return {}
    fenced = _FENCE.search(text)
    start = text.find("{")
    for candidate in (fenced[1] if fenced else "", text[start : text.rfind("}") + 1]):
        try:
            found = parse_json(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return {str(key).lower(): value for key, value in found.items()}
    return {}
