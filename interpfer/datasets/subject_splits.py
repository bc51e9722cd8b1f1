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
            fold6), "train" the others. Subjects without any label are the last of the list, so that a release with
            them has the same splits of the others as one without.
        where: data set, for messages.

    Raises:
        SplitError: the split is unknown.
    """
    labelled = {sample.subject or "" for sample in samples if sample.label}
    unlabelled = {sample.subject or "" for sample in samples} - labelled
    chosen = split_subjects([*sorted(labelled), *sorted(unlabelled)], split, where)
    return [sample for sample in samples if (sample.subject or "") in chosen]


def split_subjects(subjects: Sequence[str], split: str, where: str) -> set[str]:
    """Return the subjects of a split.

    Args:
        subjects: all subjects, in order.
        split: one of ``SUBJECT_SPLITS`` or ``FOLDS``.
        where: data set, for messages.

    Raises:
        SplitError: the split is unknown.

    Examples:
        >>> sorted(split_subjects([f"P{i}" for i in range(7)], "test", "here"))
        ['P0', 'P5']
    """
    require_split(split, (*SUBJECT_SPLITS, *FOLDS), where)
    if split in FOLDS:
        return set(subjects[FOLDS.index(split) :: len(FOLDS)])
    return {name for i, name in enumerate(subjects) if split == "all" or (i % 5 == 0) == (split == "test")}


def split_by_picture(samples: Sequence[Sample], split: str, where: str) -> list[Sample]:
    """Return the samples of a split of a data set that does not say who is on its pictures.

    Args:
        samples: all samples.
        split: one of ``SUBJECT_SPLITS``; "test" is every fifth picture of the sorted list, "train" the others.
        where: data set, for messages.

    Raises:
        SplitError: the split is unknown.
    """
    require_split(split, SUBJECT_SPLITS, where)
    ordered = sorted(samples, key=lambda sample: sample.id)
    return [sample for i, sample in enumerate(ordered) if split == "all" or (i % 5 == 0) == (split == "test")]
