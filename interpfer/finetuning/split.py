"""Holding images out of a training split."""

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from interpfer.errors import InterpferError


def hold_out(
    labels: Sequence[str], subjects: Sequence[str | None], fraction: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split positions into training and validation, each class in the same proportion.

    Where every image knows its subject, no subject is on both sides. Otherwise each class of at least two images has
    one on either side.

    Args:
        labels: class per image.
        subjects: person per image, None where unknown.
        fraction: share to hold out, in (0, 1).
        seed: of the draw.

    Returns:
        Positions to train on, and those held out, both in order.

    Raises:
        InterpferError: the fraction is no share, or nothing would be left on one side.
    """
    if not 0 < fraction < 1:
        raise InterpferError(f"validation fraction {fraction}: hold out a share between 0 and 1, such as 0.2.")
    people = {subject for subject in subjects if subject}
    folds = max(round(1 / fraction), 2)
    if all(subjects) and len(people) >= folds:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        held = np.sort(next(iter(splitter.split(np.zeros(len(labels)), labels, subjects)))[1])
    else:
        random = np.random.default_rng(seed)
        held = np.sort(np.concatenate([_share(np.flatnonzero(np.array(labels) == name), fraction, random)
                                       for name in sorted(set(labels))] or [np.zeros(0, int)]))  # fmt: skip
    kept = np.setdiff1d(np.arange(len(labels)), held)
    if not len(kept) or not len(held):
        raise InterpferError(
            f"{len(labels)} usable images cannot be split into training and validation (fraction {fraction})."
        )
    return tuple(kept.tolist()), tuple(held.tolist())


def _share(members: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    count = round(fraction * len(members))
    if len(members) > 1:
        count = min(max(count, 1), len(members) - 1)
    return random.permutation(members)[:count]
