"""Reads single fields of a rationale: the answer, action units and boxes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpfer.au.names import AU_NAMES
from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.labels import EXPRESSIONS, canonical
from interpfer.labels.names import SYNONYMS
from interpfer.rationales.mentions import find_mentions, named_aus

_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.IGNORECASE | re.DOTALL)
_BOX = re.compile(
    r"<(?:box|bbox)>\s*[\[(]*\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*[\])]*\s*,\s*[\[(]*\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*[\])]*"
    r"\s*</(?:box|bbox)>",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)


@dataclass(frozen=True)
class Box:
    """A box that a row gives to an action unit.

    Attributes:
        au: FACS number.
        corners: (left, top, right, bottom) as written.
    """

    au: int
    corners: tuple[float, float, float, float]


def read_answer(found: Any, text: str) -> str:
    """Return the class that a row answers: of a field, else between the tags of the text."""
    if found is None:
        tagged = _ANSWER.findall(text)
        found = tagged[-1] if tagged else ""
    if not isinstance(found, str):
        raise DataError(f"the answer must be a text, got {_shown(found)}")
    tagged = _ANSWER.findall(found)
    return find_class(tagged[-1] if tagged else found)


def find_class(text: str) -> str:
    """Return the class that a short text names; "" for none, or for several expressions.

    Examples:
        >>> find_class("Happy"), find_class("The expression is surprise."), find_class("happy or surprised")
        ('happiness', 'surprise', '')
    """
    plain = text.strip().strip(".!*\"'`").strip()
    if not plain or "{" in plain:
        return ""
    if len(plain.split()) <= 2:
        return read_name(plain)
    known = {SYNONYMS.get(word, word) for word in map(str.lower, _WORD.findall(plain))} & set(EXPRESSIONS)
    return known.pop() if len(known) == 1 else ""


def read_name(found: Any) -> str:
    """Return the name of a class, canonical where it is known; "" for none.

    Raises:
        DataError: it is no text.
    """
    if found is None or found == "":
        return ""
    if not isinstance(found, str):
        raise DataError(f"a class must be a text, got {_shown(found)}")
    try:
        return canonical(found.strip().strip(".!*\"'`"))
    except DataError:
        return found.strip().lower()


def read_aus(found: Any, text: str) -> frozenset[int]:
    """Return the action units that a row names: of a field, else of its text."""
    if found is None:
        return named_aus(text)
    if isinstance(found, str):
        bare = re.fullmatch(r"\s*(?:[LRTBU]?\d{1,2}[a-e]?\s*[,;+ ]?\s*)*", found, re.IGNORECASE)
        return frozenset(_number(each) for each in re.findall(r"\d+", found)) if bare else named_aus(found)
    if isinstance(found, Mapping):
        return frozenset(_number(au) for au, value in found.items() if _is_on(au, value))
    if not isinstance(found, Sequence):
        raise DataError(f"the action units must be a list or a text, got {_shown(found)}")
    units: set[int] = set()
    for each in found:
        if isinstance(each, Mapping):
            each = each.get("au", each.get("name"))
        if isinstance(each, str) and not re.fullmatch(r"\s*(?:AU)?[ _-]*\d+\s*", each, re.IGNORECASE):
            named = named_aus(each)
            if not named and not find_mentions(each):
                raise DataError(f"'{each}' is not an action unit")
            units |= named
        else:
            units.add(_number(each))
    return frozenset(units)


def _is_on(au: Any, value: Any) -> bool:
    if isinstance(value, bool | int | float) and value == value and 0 <= value <= 5:
        return bool(value >= 0.5)
    raise DataError(f"the value of action unit {au} must be a number between 0 and 5, got {_shown(value)}")


def _number(found: Any) -> int:
    digits = re.fullmatch(r"\s*(?:AU)?[ _-]*0*(\d{1,3})\s*", str(found), re.IGNORECASE)
    if isinstance(found, bool | float) or digits is None or bounded_integer(digits[1]) not in AU_NAMES:
        raise DataError(f"{_shown(found)} is not the number of an action unit")
    return bounded_integer(digits[1])


def read_boxes(found: Any, text: str) -> tuple[Box, ...]:
    """Return the boxes of a row: of a field, else between tags of its text, each of the unit named last before it."""
    if found is None:
        return _boxes_in(text) if "<b" in text.lower() else ()
    boxes: list[Box] = []
    if isinstance(found, Mapping):
        found = [{"au": au, "box": box} for au, many in found.items() for box in _each_box(many)]
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise DataError(f"the boxes must be a list, got {_shown(found)}")
    for each in found:
        if not isinstance(each, Mapping):
            raise DataError(f"a box must be an object with au and box, got {_shown(each)}")
        lower = {str(key).lower(): value for key, value in each.items()}
        corners = next((lower[key] for key in ("box", "bbox", "bbox_2d", "box_2d") if key in lower), None)
        unit = next((lower[key] for key in ("au", "label", "name") if key in lower), None)
        boxes += [Box(au, _corners(corners)) for au in sorted(read_aus([unit], ""))]
    return tuple(boxes)


def _each_box(many: Any) -> Sequence[Any]:
    nested = isinstance(many, Sequence) and len(many) and isinstance(many[0], Sequence)
    return many if nested else [many]


def _boxes_in(text: str) -> tuple[Box, ...]:
    mentions = [mention for mention in find_mentions(text) if not mention.is_negated]
    boxes = []
    for match in _BOX.finditer(text):
        before = [mention for mention in mentions if mention.end <= match.start()]
        if before:
            boxes += [Box(au, _corners(match.groups())) for au in before[-1].aus]
    return tuple(boxes)


def _corners(found: Any) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = map(float, found)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"a box must be [left, top, right, bottom], got {_shown(found)}") from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or right <= left or bottom <= top:
        raise DataError(
            f"a box must be [left, top, right, bottom] with left < right and top < bottom, got {_shown(found)}"
        )
    return left, top, right, bottom


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
