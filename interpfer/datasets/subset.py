"""A subset of the samples of a data set."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.landmarks.base import LandmarkProvider


class Subset(Dataset):
    """Selected rows of another data set.

    Args:
        dataset: the data set.
        rows: positions of the samples in the data set, in the order of the subset.
        split: name of the subset.
        names: ids of the samples; None for those of the data set. They must be unique, also where a row is repeated.
        clips: clip of each sample, and the place of the frame in it; None for those of the data set.
    """

    name = "subset"
    summary = "some samples of another data set"

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[int],
        split: str,
        names: Sequence[str] | None = None,
        clips: Sequence[tuple[str, int]] | None = None,
    ) -> None:
        self._dataset = dataset
        self._rows = tuple(rows)
        samples = [dataset.samples[row] for row in rows]
        if names is not None:
            samples = [replace(sample, id=name) for sample, name in zip(samples, names, strict=True)]
        if clips is not None:
            samples = [
                replace(each, clip=clip, frame=frame) for each, (clip, frame) in zip(samples, clips, strict=True)
            ]
        super().__init__(samples, split, dataset.root)
        self.name = dataset.name  # type: ignore[misc]
        self.classes = dataset.classes

    @classmethod
    def open(cls, root: object, split: str, seed: int = 0) -> "Subset":
        """Raise: a subset is created from a data set that is already open.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"use Subset(dataset, rows, split) instead of open({root}, {split}, {seed})")

    def image(self, index: int) -> Image.Image:
        """Return image ``index`` as upright RGB."""
        return self._dataset.image(self._rows[index])

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of ``image(index)``."""
        return self._dataset.size(self._rows[index])

    def frame(self, index: int) -> tuple[int, int, int, int] | None:
        """Return where ``image(index)`` lies in its picture."""
        return self._dataset.frame(self._rows[index])

    def landmarks(self) -> LandmarkProvider | None:
        """Return the landmarks of the data set; None if it has none."""
        return self._dataset.landmarks()
