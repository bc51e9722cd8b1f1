"""Blendshapes of MediaPipe (and ARKit) as a proxy of action units.

``BLENDSHAPES`` follows py-feat's ``blendshape_region_map.json`` and ARKit's cheat sheets; mouthPress is assumed. Left
and right are the subject's, as MediaPipe documents. A map fitted to py-feat's action units explains a quarter of them,
so that presence is a guess: a unit counts as present from .5.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interpfer.au.files.evidence import Evidence
from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.landmarks.files.rows import Header, Row
from interpfer.landmarks.files.table import plain_name

BLENDSHAPES: Mapping[str, int] = {
    "browInnerUp": 1,
    "browOuterUp": 2,
    "browDown": 4,
    "eyeWide": 5,
    "eyeSquint": 7,
    "mouthUpperUp": 10,
    "mouthSmile": 12,
    "mouthDimple": 14,
    "mouthFrown": 15,
    "mouthLowerDown": 16,
    "mouthShrugLower": 17,
    "mouthShrugUpper": 17,
    "mouthPucker": 18,
    "mouthStretch": 20,
    "mouthFunnel": 22,
    "mouthPress": 24,
    "jawOpen": 26,
    "eyeBlink": 45,
}
"""Blendshape without its side -> FACS number."""

UNRELIABLE: Mapping[str, int] = {"cheekSquint": 6, "noseSneer": 9, "cheekPuff": 34}
"""Blendshapes that stay near 0 in MediaPipe's model whatever the face does: their action units are not coded."""

OTHERS = (
    "_neutral", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "jawForward", "jawLeft", "jawRight",
    "mouthClose", "mouthLeft", "mouthRight", "mouthRollLower", "mouthRollUpper", "tongueOut",
)  # fmt: skip
"""Blendshapes without an action unit."""

KNOWN = {*BLENDSHAPES, *UNRELIABLE, *OTHERS}

SUFFIXES = {"Left": "right", "Right": "left"}
"""Side of the subject -> side of the picture."""

FEWEST = 5
"""Fewest blendshapes by which a table or a file is recognised."""

PROGRAM = "MediaPipe blendshapes"
RULE = "score of at least 0.5 (a proxy)"
NOTE = (
    "blendshapes are a proxy of action units, not a coding of them; cheekSquint, noseSneer and cheekPuff, that is AU "
    "6, 9 and 34, count as not coded, because MediaPipe's model keeps them near 0"
)


def split_name(name: str) -> tuple[str, str | None] | None:
    """Return a blendshape without its side, and the side of the picture; None if it is no blendshape.

    Examples:
        >>> split_name("mouthSmileLeft"), split_name("jawLeft"), split_name("jawOpen"), split_name("anger")
        (('mouthSmile', 'right'), ('jawLeft', None), ('jawOpen', None), None)
    """
    if name in KNOWN:
        return name, None
    for suffix, side in SUFFIXES.items():
        if name.endswith(suffix) and name.removesuffix(suffix) in KNOWN:
            return name.removesuffix(suffix), side
    return None


def evidence_of(scores: Iterable[tuple[str, float]], where: str) -> Iterator[Evidence]:
    """Yield what blendshapes say of action units.

    Raises:
        DataError: a score is not between 0 and 1.
    """
    for name, score in scores:
        split = split_name(name)
        if split is None or split[0] not in BLENDSHAPES:
            continue
        if not (0 <= score <= 1 or score != score):
            raise DataError(f"{where}: {name} must be between 0 and 1, got {score:g}.")
        yield Evidence(BLENDSHAPES[split[0]], grade=score, side=split[1])


class BlendshapeReader:
    """Reads a table with a column for each blendshape.

    Args:
        header: of the table.
    """

    program, rule = PROGRAM, RULE

    def __init__(self, header: Header) -> None:
        self._columns = [(place, name) for place, name in enumerate(header.names) if split_name(name)]

    def __call__(self, row: Row) -> Iterator[Evidence]:
        """Yield what a row says of each action unit.

        Raises:
            DataError: a cell is not a number between 0 and 1.
        """
        return evidence_of(((name, row.number(place, name)) for place, name in self._columns), row.where)


def has_blendshapes(names: Iterable[str]) -> bool:
    """Return whether there are at least ``FEWEST`` blendshapes among some names."""
    return sum(split_name(name) is not None for name in names) >= FEWEST


def read_json(path: str | Path, default: str) -> dict[str, list[Evidence]]:
    """Read blendshapes of one picture or of many.

    Scores are a mapping from name to score, or a list of ``{"categoryName": name, "score": score}`` as MediaPipe gives
    them; those of many pictures a mapping from the name of the image to scores.

    Args:
        path: the file.
        default: name of the image of a file of one picture.

    Raises:
        DataError: the file is malformed; the message names it.
    """
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}).") from error
    if (own := _scores(content)) is not None:
        return {default: _checked(own, f"{path}")}
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: expected blendshapes: a mapping from names to scores, by image or of one.")
    return {plain_name(name): _checked(_scores(value), f"{path}, '{name}'") for name, value in content.items()}


def _checked(scores: list[tuple[str, float]] | None, where: str) -> list[Evidence]:
    if scores is None:
        raise DataError(f"{where}: expected at least {FEWEST} blendshapes with their scores.")
    return list(evidence_of(scores, where))


def _scores(content: Any) -> list[tuple[str, float]] | None:
    """Return names and scores; None if these are no blendshapes."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], list):
        content = content[0]
    if isinstance(content, list):
        pairs = [(_key(each, ("categoryName", "category_name", "name")), _key(each, ("score",))) for each in content]
    elif isinstance(content, dict):
        pairs = list(content.items())
    else:
        return None
    valid = [
        (name, float(score) if -1e300 < score < 1e300 else math.nan)
        for name, score in pairs
        if isinstance(name, str) and isinstance(score, int | float) and not isinstance(score, bool)
    ]
    return valid if len(valid) == len(pairs) and has_blendshapes(name for name, _ in valid) else None


def _key(each: Any, keys: tuple[str, ...]) -> Any:
    return next((each[key] for key in keys if key in each), None) if isinstance(each, dict) else None
