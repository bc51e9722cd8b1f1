"""Splits of a data set without published ones, by person: nobody is in two parts."""

from collections.abc import Sequence

from interpfer.datasets.base import require_split as _require_split
from interpfer.types import Sample

SUBJECT_SPLITS = ("train", "test", "all")

FOLDS = tuple(f"fold{number}" for number in range(1, 11))
"""Ten parts, as the literature on the small data sets has them; subject i of the sorted list is in fold i modulo 10."""


def split_by_subject(samples: Sequence[Sample], split: str, where: str) -> list[Sample]:
    """Return the samples of a split.

    ``test`` takes every fifth subject of the sorted list, which is fold1 and fold6, and ``train`` the others.

    Raises:
        DataError: there is no such split.
    """
    _require_split(split, (*SUBJECT_SPLITS, *FOLDS), where)
    place = {subject: i for i, subject in enumerate(sorted({sample.subject or "" for sample in samples}))}

    def inside(sample: Sample) -> bool:
        index = place[sample.subject or ""]
        if split in FOLDS:
            return index % 10 == FOLDS.index(split)
        return split == "all" or (index % 5 == 0) == (split == "test")

    return [sample for sample in samples if inside(sample)]
