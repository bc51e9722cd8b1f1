"""Reasons why images of a run have no truth, grouped by kind."""

from collections.abc import Mapping
from typing import Any

from interpfer.landmarks.reasons import EMPTY_MASK, IMPLAUSIBLE, OFF_PICTURE, OUT_OF_VIEW


def group_reasons(notes: Mapping[str, str]) -> dict[str, Any]:
    """Return kind of reason -> names of images; of some kinds with the detail of each.

    Args:
        notes: name of an image -> "kind: detail".

    Examples:
        >>> group_reasons({"a.png": "empty mask: masks/a.png", "b.png": "no face"})["empty mask"]
        {'a.png': 'masks/a.png'}
    """
    kinds = {name: note.partition(":") for name, note in notes.items()}
    detailed = {
        kind: {name: detail.strip() for name, (own, _, detail) in kinds.items() if own == kind}
        for kind in (IMPLAUSIBLE, EMPTY_MASK, OUT_OF_VIEW)
    }
    off_picture = [name for name, note in notes.items() if note == OFF_PICTURE]
    explained = {*off_picture, *(name for named in detailed.values() for name in named)}
    others = [name for name in notes if name not in explained]
    masks = {kind: detailed[kind] for kind in (EMPTY_MASK, OUT_OF_VIEW) if detailed[kind]}
    return {"no landmarks": others, IMPLAUSIBLE: detailed[IMPLAUSIBLE], OFF_PICTURE: off_picture, **masks}
