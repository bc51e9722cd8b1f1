"""The held-out part of a training split."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from interpfer.errors import InterpferError
from interpfer.finetuning.options import FinetuneOptions
from interpfer.options import check_option
from interpfer.statistics.bootstrap import Rows
from interpfer.statistics.subjects import number_subjects

MOST_FOLDS = 20
"""Most folds that subjects are divided into to approximate a fraction, unless it is smaller than one of them."""


def hold_out(
    labels: Sequence[str], subjects: Sequence[str | None], fraction: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split positions into training and validation, each class in the same proportion.

    Where any subject is known, no subject is on both sides, and an image without one is its own person. Otherwise each
    class of at least two images has one on either side.

    Args:
        labels: class per image.
        subjects: person per image, None where unknown.
        fraction: share to hold out, in (0, 1).
        seed: seed of the draw.

    Returns:
        Positions to train on, and those held out, both in order.

    Raises:
        InterpferError: the fraction is out of range, there is a single subject, or one side would be empty.
    """
    check_option(FinetuneOptions, "val_fraction", fraction)
    people = number_subjects(subjects)
    if people is None:
        heldout = _hold_out_images(labels, fraction, seed)
    else:
        _require_several(subjects)
        heldout = _hold_out_subjects(labels, people, fraction, seed)
    train = np.setdiff1d(np.arange(len(labels)), heldout)
    if not len(train) or not len(heldout):
        raise InterpferError(
            f"{len(labels)} usable images cannot be split into training and validation (fraction {fraction})."
        )
    return tuple(train.tolist()), tuple(heldout.tolist())


def _hold_out_images(labels: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Return positions held out: the fraction of each class."""
    random = np.random.default_rng(seed)
    classes = [np.flatnonzero(np.array(labels) == name) for name in sorted(set(labels))]
    drawn = [_draw_share(members, fraction, random) for members in classes]
    return np.sort(np.concatenate([np.zeros(0, int), *drawn]))


def _require_several(subjects: Sequence[str | None]) -> None:
    """Refuse to split the images of a single subject.

    Raises:
        InterpferError: there is a single subject.
    """
    if len(set(subjects)) == 1:
        raise InterpferError(
            f"all {len(subjects)} images are of one subject ({subjects[0]}), so no subject can be held out; "
            "remove the subject column to split by image."
        )


def _hold_out_subjects(labels: Sequence[str], subjects: Rows, fraction: float, seed: int) -> np.ndarray:
    """Return positions held out: whole subjects, in as many stratified folds as come nearest to the fraction."""
    people = len(np.unique(subjects))
    finest = max(MOST_FOLDS, math.ceil(1 / min(fraction, 1 - fraction)))
    most = min(people, max(Counter(labels).values()), finest)
    if most < 2:  # no class has two images: nothing to stratify
        order = np.random.default_rng(seed).permutation(np.unique(subjects))
        return np.flatnonzero(np.isin(subjects, order[: _nearest_count(people, fraction)]))
    folds = min(range(2, most + 1), key=lambda n: (round(abs(_nearest_count(n, fraction) / n - fraction), 6), n))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        parts = [part for _, part in splitter.split(np.zeros(len(labels)), labels, subjects)]
    return np.sort(np.concatenate(parts[: _nearest_count(folds, fraction)]))


def _nearest_count(total: int, fraction: float) -> int:
    """Return how many of a total come nearest to a fraction, at least one and not all."""
    return min(max(round(fraction * total), 1), total - 1)


def _draw_share(members: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    count = round(fraction * len(members))
    if len(members) > 1:
        count = min(max(count, 1), len(members) - 1)
    return random.permutation(members)[:count]
