"""Rewards of one text, for those who train language models with them.

The four terms are those that reports on action-unit grounded models name: format, answer, action units and boxes
(Facial-R1, AAAI 2026; TAG, arXiv 2602.18763). Which weight each has is for the training to choose.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from interpfer.labels import canonical
from interpfer.rationales.fields import Box
from interpfer.rationales.grounding import intersection_over_union
from interpfer.rationales.rows import TAGGED, parse_rationale

Corners = Sequence[float]


class Reward(NamedTuple):
    """Terms of a reward.

    Attributes:
        format: 1 where the text is ``<think>...</think><answer>...</answer>``, else 0.
        answer: 1 where the answer is the label, else 0; .5 without a label.
        aus: 2 F1 - 1 of the action units, in [-1, 1]; -1 where none is named; 0 without a truth.
        grounding: mean intersection over union of the boxes in [0, 1]; 0 without a truth or boxes.
    """

    format: float
    answer: float
    aus: float
    grounding: float


def reward(
    text: str,
    label: str = "",
    aus: Sequence[int] | None = None,
    boxes: Mapping[int, Sequence[Corners]] | None = None,
) -> Reward:
    """Return the reward of a text.

    Args:
        text: what the model wrote; action units, answer and boxes are found in it as in the rows of a file.
        label: true class; "" if unknown.
        aus: FACS numbers that are there; None if unknown.
        boxes: FACS number -> the (left, top, right, bottom) boxes of its sides, in the unit of the text; a box of the
            text is compared with the one that it fits best.

    Raises:
        DataError: a box in the text is malformed.

    Examples:
        >>> text = "<think>AU6 and AU12 are active.</think><answer>happiness</answer>"
        >>> reward(text, "happy", [6, 12, 25])
        Reward(format=1.0, answer=1.0, aus=0.6000000000000001, grounding=0.0)
    """
    row = parse_rationale({"image": "text", "text": text})
    is_right = 0.5 if not label else float(row.answer == canonical(label))
    return Reward(float(TAGGED.fullmatch(text) is not None), is_right, _units(row.aus, aus), _fit(row.boxes, boxes))


def _units(named: frozenset[int], aus: Sequence[int] | None) -> float:
    if not aus:
        return 0.0
    return 4 * len(named & set(aus)) / (len(named) + len(set(aus))) - 1


def _fit(given: Sequence[Box], boxes: Mapping[int, Sequence[Corners]] | None) -> float:
    if not boxes or not given:
        return 0.0
    values = [max((_overlap(own, box.corners) for own in boxes.get(box.au, ())), default=0.0) for box in given]
    missing = sum(bool(own) and au not in {box.au for box in given} for au, own in boxes.items())
    return sum(values) / (len(values) + missing)


def _overlap(first: Corners, second: Corners) -> float:
    return float(intersection_over_union(np.array(first, np.float64), np.array(second, np.float64)))
