"""Splits by person for data sets without published splits: nobody is in two splits."""

from collections.abc import Sequence

from interpfer.datasets.base import require_split
from interpfer.types import Sample

SUBJECT_SPLITS = ("train", "test", "all")

FOLDS = tuple(f"fold{number}" for number in range(1, 11))
"""Ten folds, as usual for small data sets; subject i of the sorted list, counted from 0, is in fold 1 + i modulo 10."""


def split_by_subject(samples: Sequence[Sample], split: str, where: str) -> list[Sample]:
    """Return the samples of a split.

    Args:
        samples: samples of all subjects.
        split: one of ``SUBJECT_SPLITS`` or ``FOLDS``; "test" is every fifth subject of the sorted list (fold1 and
            fold6), "train" the others.
        where: data set, for messages.

    Raises:
        SplitError: the split is unknown.
    """
    require_split(split, (*SUBJECT_SPLITS, *FOLDS), where)
    index_of = {subject: i for i, subject in enumerate(sorted({sample.subject or "" for sample in samples}))}

    def is_in_split(sample: Sample) -> bool:
        index = index_of[sample.subject or ""]
        if split in FOLDS:
            return index % 10 == FOLDS.index(split)
        return split == "all" or (index % 5 == 0) == (split == "test")

    return [sample for sample in samples if is_in_split(sample)]
