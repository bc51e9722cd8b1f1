"""The data set `demo`: synthetic faces, so that everything can be tried without a download."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from interpfer.datasets.base import Dataset, require_split
from interpfer.datasets.drawn.actions import AUS_OF
from interpfer.datasets.drawn.drawing import paint_face
from interpfer.datasets.drawn.person import Look
from interpfer.datasets.drawn.shape import FaceShape, shape_face
from interpfer.errors import DataError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.types import LANDMARKS, CodedAU, CodedAUs, Landmarks, Sample

COUNTS = {"train": 700, "test": 210}
"""Split -> number of images."""

VERSION = 2
"""Version of the faces; it increases when the same seed draws another face."""


class DemoDataset(Dataset):
    """Synthetic faces with exact landmarks; the seven classes alternate, so that the first n images are balanced.

    Image i depends on the seed, the split, i and the size only.

    Args:
        split: one of ``splits``.
        seed: random seed; another seed gives other people.
        count: number of images; None for that in ``COUNTS``.
        size: side of the square images in pixels.
    """

    name: ClassVar[str] = "demo"
    needs_root: ClassVar[bool] = False
    action_units: ClassVar[str] = "as drawn"
    summary: ClassVar[str] = "synthetic faces of seven expressions with exact landmarks; needs no download"

    def __init__(self, split: str = "test", seed: int = 0, count: int | None = None, size: int = 112) -> None:
        require_split(split, self.splits, f"data set {self.name}")
        samples = [
            Sample(f"{split}_{index + 1:04d}.png", name)
            for index, name in zip(range(COUNTS[split] if count is None else count), cycle(AUS_OF))
        ]
        super().__init__(samples, split)
        self.seed = seed
        self.side = size
        self.samples = tuple(self._describe(index, sample) for index, sample in enumerate(samples))

    @classmethod
    def open(cls, root: str | Path | None = None, split: str = "test", seed: int = 0) -> "DemoDataset":  # noqa: ARG003
        """List the faces of a split, without drawing any.

        Args:
            root: not used.
            split: one of ``splits``.
            seed: random seed; another seed gives other people.

        Raises:
            SplitError: the split is unknown.
        """
        return cls(split, seed)

    def image(self, index: int) -> Image.Image:
        """Draw image ``index``."""
        rng = self._rng(index)
        return paint_face(self._shape(index, rng), rng)

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002
        """Return (width, height), which is the same for all images."""
        return self.side, self.side

    def shape(self, index: int) -> FaceShape:
        """Return the shape of face ``index``, with its landmarks and action units, without painting it."""
        return self._shape(index, self._rng(index))

    def landmarks(self) -> LandmarkProvider:
        """Return the exact landmarks."""
        return DrawnLandmarks(self, VERSION)

    def _describe(self, index: int, sample: Sample) -> Sample:
        """Return a sample with what is drawn of it: its action units, and attributes of the person."""
        rng = self._rng(index)
        shape = self._shape(index, rng)
        return replace(sample, aus=moved_units(shape), attributes=Look.sample(rng).attributes)

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.splits.index(self.split), index])

    def _shape(self, index: int, rng: np.random.Generator) -> FaceShape:
        return shape_face(self.samples[index].label, rng, self.side)


@runtime_checkable
class DrawnDataset(Protocol):
    """A data set that can draw the shape of a face without painting it."""

    name: ClassVar[str]
    split: str
    seed: int
    side: int
    samples: tuple[Sample, ...]

    def shape(self, index: int) -> FaceShape:
        """Return the shape of face ``index``."""


class DrawnLandmarks:
    """The exact landmarks of drawn faces, computed from the ids alone.

    Args:
        dataset: the faces.
        version: of the drawings, which is part of the digest.
    """

    name: ClassVar[str] = "drawn"
    summary: ClassVar[str] = "exact points of the synthetic faces"
    needs_images: ClassVar[bool] = False

    def __init__(self, dataset: DrawnDataset, version: int) -> None:
        self.dataset = dataset
        self.digest = f"{dataset.name} {version} {dataset.split} seed {dataset.seed} size {dataset.side}"
        self._index = {sample.id: index for index, sample in enumerate(dataset.samples)}

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None = None) -> Landmarks:  # noqa: ARG002
        """Return the points of the named faces in pixels of their images.

        Raises:
            DataError: an id is not in the data set.
        """
        unknown = [name for name in ids if name not in self._index]
        if unknown:
            raise DataError(f"data set {self.dataset.name}, split {self.dataset.split}, has no image '{unknown[0]}'.")
        points = np.zeros((len(ids), LANDMARKS, 2))
        for row, name in enumerate(ids):
            points[row] = self.dataset.shape(self._index[name]).points
        return Landmarks.of(torch.from_numpy(points).float())


def moved_units(shape: FaceShape, least: float = 0.0) -> CodedAUs:
    """Return the action units that a face moves with at least some intensity; beyond full intensity there is none."""
    moved = {au: value for au, value in shape.intensity.items() if value >= least}
    return CodedAUs(tuple(CodedAU(au, min(value, 1.0), shape.sides.get(au)) for au, value in moved.items()))
