"""Faces that are boxes in larger pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.datasets.images import read_image
from interpfer.errors import DataError
from interpfer.types import Sample

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture; right and bottom are outside."""


class CroppedDataset(Dataset):
    """A data set whose images are cut out of pictures; what a box has beyond the picture is black.

    Args:
        samples: in the order in which they are scored.
        split: the name of the split.
        root: where the data set lies.
        boxes: one per sample, None for the whole picture; without boxes all are whole.
    """

    def __init__(
        self, samples: Sequence[Sample], split: str, root: Path | None = None, boxes: Sequence[Box | None] | None = None
    ) -> None:
        super().__init__(samples, split, root)
        self.boxes = tuple(boxes) if boxes is not None else (None,) * len(self.samples)

    def image(self, index: int) -> Image.Image:
        """Return the face ``index``.

        Raises:
            DataError: the picture is not readable, or less than half of the box is inside it.
        """
        sample, box = self.samples[index], self._box(index)
        if box is None:
            return super().image(index)
        assert sample.path is not None
        picture = read_image(sample.path)
        left, top, right, bottom = box
        inside = max(min(right, picture.width) - max(left, 0), 0) * max(min(bottom, picture.height) - max(top, 0), 0)
        if 2 * inside < (right - left) * (bottom - top):
            raise DataError(
                f"{sample.path}: the face box {box} lies outside the picture of {picture.width} x {picture.height}; "
                "is it a resized copy?"
            )
        return picture.crop(box)

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of the box, or of the picture where there is none."""
        box = self._box(index)
        return super().size(index) if box is None else (box[2] - box[0], box[3] - box[1])

    def _box(self, index: int) -> Box | None:
        box = self.boxes[index]
        if box is not None and (box[2] <= box[0] or box[3] <= box[1]):
            raise DataError(f"{self.samples[index].path}: the face box {box} is empty.")
        return box
