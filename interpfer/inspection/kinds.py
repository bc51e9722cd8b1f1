"""What each output of a network may be, from its key and its width."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from interpfer.inspection.report import Head
from interpfer.models.output import find_tensors

NAMES = (
    (re.compile(r"(^|[._])aus?(\d*$|[._])|action", re.IGNORECASE), "action units"),
    (re.compile(r"expr|emo|logit|class|categor", re.IGNORECASE), "expressions"),
    (re.compile(r"gaze|yaw|pitch", re.IGNORECASE), "gaze"),
    (re.compile(r"valence|arousal|(^|[._])va($|[._])", re.IGNORECASE), "valence or arousal"),
    (re.compile(r"feat|embed|hidden", re.IGNORECASE), "features"),
    (re.compile(r"landmark|heatmap|points", re.IGNORECASE), "landmarks"),
)
"""Parts of the key of an output, and what it may be."""

EXPRESSIONS = (5, 11)
"""Smallest and largest number of classes of an order of expressions."""
FEATURES = 64
"""Smallest width of a vector of features."""


def list_heads(output: Any) -> tuple[Head, ...]:
    """Return the outputs of a network for one image, each with what it may be.

    Args:
        output: what the network returned for a batch of one.

    Examples:
        >>> [(head.output, head.guess) for head in list_heads((torch.zeros(1, 8), torch.zeros(1, 2)))]
        [('0', '8 expressions or action units'), ('1', 'valence and arousal, or gaze')]
    """
    return tuple(
        Head(key, " x ".join(map(str, value.shape[1:])) or "1", guess_kind(key, value))
        for key, value in list_tensors(output)
    )


def list_tensors(output: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor of an output with the value of ``output:`` in a card; "" for the output itself."""
    if isinstance(output, torch.Tensor):
        yield "", output
    else:
        yield from ((str(key), value) for key, value in find_tensors(output))


def guess_kind(key: str, value: Tensor) -> str:
    """Return what an output may be.

    Args:
        key: its key, such as "expression" or "0".
        value: (n, ...) tensor.
    """
    width = value[0].numel() if value.dim() and len(value) else 1
    named = next((kind for pattern, kind in NAMES if pattern.search(key)), "")
    if value.dim() > 2 and width != value.shape[1]:
        return named if named not in ("", "expressions") else "a map or tokens"
    if named:
        return f"{width} {named}" if named in ("expressions", "action units") else named
    if width == 1:
        return "one value, such as valence or arousal"
    if width == 2:
        return "valence and arousal, or gaze"
    if width in (9, 10):
        return f"{width - 2} expressions, then valence and arousal (:{width - 2})"
    if width >= FEATURES:
        return "features"
    first, last = EXPRESSIONS
    return f"{width} expressions or action units" if first <= width <= last else f"{width} values, such as action units"
