"""Splits of data sets with published folds."""

from collections.abc import Sequence

from interpfer.datasets.base import ALL, require_split

TRAIN = "-train"
"""Ending of the name of the clips that are trained on for a fold."""


def fold_splits(count: int) -> tuple[str, ...]:
    """Return the names of the splits beside train, test and all.

    Examples:
        >>> fold_splits(2)
        ('fold1', 'fold2', 'fold1-train', 'fold2-train')
    """
    return (*(f"fold{i + 1}" for i in range(count)), *(f"fold{i + 1}{TRAIN}" for i in range(count)))


def parse_fold(split: str, count: int, where: str) -> tuple[Sequence[int], str]:
    """Return the numbers of the folds of a split, and which list of each: "test" or "train".

    ``test`` and ``fold1`` are the clips that the first fold tests on, ``train`` and ``fold1-train`` those it trains on;
    ``all`` is what all folds test on.

    Args:
        split: name of the split.
        count: number of folds.
        where: data set, for messages.

    Raises:
        SplitError: the split is unknown.

    Examples:
        >>> parse_fold("fold3-train", 5, "here"), parse_fold("test", 5, "here")
        (([3], 'train'), ([1], 'test'))
    """
    require_split(split, ("train", "test", ALL, *fold_splits(count)), where)
    if split == ALL:
        return range(1, count + 1), "test"
    if split in ("train", "test"):
        return [1], split
    return [int(split.removesuffix(TRAIN).removeprefix("fold"))], "train" if split.endswith(TRAIN) else "test"


def fold_note(split: str, count: int) -> str:
    """Return a sentence on what must be done with the folds.

    Examples:
        >>> fold_note("fold2", 5)
        'fold2 of 5: papers report the mean of folds, or the sum of their confusion matrices; combine_folds gives both'
    """
    if split == ALL:
        return f"what {count} folds test on: a model was trained on most of it, unless each fold has its own"
    fold = "fold1" if split in ("train", "test") else split
    return (
        f"{fold} of {count}: papers report the mean of folds, or the sum of their confusion matrices; "
        "combine_folds gives both"
    )
