"""Labelled faces on which cards are tried."""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError


@dataclass(frozen=True)
class LabelledFaces:
    """Pictures as (h, w, 3) bytes, and their expressions."""

    pictures: tuple[NDArray[np.uint8], ...]
    labels: tuple[str, ...]

    def first(self, count: int) -> "LabelledFaces":
        """Return so many of them."""
        return LabelledFaces(self.pictures[:count], self.labels[:count])


def read_labelled(dataset: Dataset, limit: int, seed: int) -> LabelledFaces:
    """Read labelled images, the classes taking turns.

    Raises:
        DataError: no image has a label, or none can be read.
    """
    rows: dict[str, list[int]] = {}
    for row in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        if dataset.samples[row].label:
            rows.setdefault(dataset.samples[row].label, []).append(row)
    turns = [row for turn in zip_longest(*rows.values()) for row in turn if row is not None]
    pictures: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for row in turns:
        if len(pictures) == limit:
            break
        try:
            pictures.append(np.asarray(dataset.image(row)))
        except DataError:
            continue
        labels.append(dataset.samples[row].label)
    if not pictures:
        raise DataError(f"no labelled image of the data set {dataset.name} can be read, so no card can be tried.")
    return LabelledFaces(tuple(pictures), tuple(labels))
