"""Labelled faces on which model cards are tried."""

from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError


@dataclass(frozen=True)
class LabelledFaces:
    """Images and their expressions.

    Attributes:
        images: (h, w, 3) bytes per face, of any size.
        labels: expression per face.
    """

    images: tuple[NDArray[np.uint8], ...]
    labels: tuple[str, ...]

    @property
    def most_common(self) -> float:
        """Share of the most frequent label, which a constant prediction reaches."""
        return max(Counter(self.labels).values()) / len(self.labels)

    def first(self, count: int) -> "LabelledFaces":
        """Return the first faces."""
        return LabelledFaces(self.images[:count], self.labels[:count])


def read_labelled(dataset: Dataset, limit: int, seed: int) -> LabelledFaces:
    """Read labelled images, one per class in turn.

    Args:
        dataset: the data set; images that cannot be read are skipped.
        limit: largest number of images.
        seed: random seed of the sample.

    Raises:
        DataError: no image has a label, or none can be read.
    """
    rows: dict[str, list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        if dataset.samples[row].label:
            rows.setdefault(dataset.samples[row].label, []).append(row)
    alternating = [row for turn in zip_longest(*rows.values()) for row in turn if row is not None]
    images: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for row in alternating:
        if len(images) == limit:
            break
        try:
            images.append(np.asarray(dataset.image(row)))
        except DataError:
            continue
        labels.append(dataset.samples[row].label)
    if not images:
        raise DataError(f"data set {dataset.name}: no labelled image can be read, so no card can be tried.")
    return LabelledFaces(tuple(images), tuple(labels))
