"""Holding images out of a training split."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from interpfer.errors import InterpferError

MOST_PARTS = 20
"""Into how many parts people are dealt at most to come near a fraction, unless it is smaller than such a part."""


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
        InterpferError: the fraction is no share, there is a single subject, or nothing would be left on one side.
    """
    if not 0 < fraction < 1:
        raise InterpferError(f"validation fraction {fraction}: hold out a share between 0 and 1, such as 0.2.")
    if labels and all(subjects):
        held = _people(labels, [str(subject) for subject in subjects], fraction, seed)
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


def _people(labels: Sequence[str], subjects: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Hold whole people out: as many of equal parts, each of every class, as come nearest to the fraction."""
    people = len(set(subjects))
    if people < 2:
        raise InterpferError(
            f"all {len(labels)} images show one person ({subjects[0]}), who cannot be on both sides; "
            "leave the subject column out to split by image."
        )
    finest = max(MOST_PARTS, math.ceil(1 / min(fraction, 1 - fraction)))
    most = min(people, max(Counter(labels).values()), finest)
    if most < 2:  # no class has two images: nothing to stratify
        order = np.random.default_rng(seed).permutation(sorted(set(subjects)))
        return np.flatnonzero(np.isin(subjects, order[: _nearest(people, fraction)]))
    parts = min(range(2, most + 1), key=lambda n: (round(abs(_nearest(n, fraction) / n - fraction), 6), n))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        found = [out for _, out in splitter.split(np.zeros(len(labels)), labels, subjects)]
    return np.sort(np.concatenate(found[: _nearest(parts, fraction)]))


def _nearest(parts: int, fraction: float) -> int:
    return min(max(round(fraction * parts), 1), parts - 1)


def _share(members: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    count = round(fraction * len(members))
    if len(members) > 1:
        count = min(max(count, 1), len(members) - 1)
    return random.permutation(members)[:count]
