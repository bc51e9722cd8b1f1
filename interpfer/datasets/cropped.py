"""Data sets whose faces are boxes in larger pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.datasets.images import read_image, read_size
from interpfer.errors import DataError
from interpfer.types import Sample

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture; right and bottom are exclusive."""


class CroppedDataset(Dataset):
    """A data set whose images are crops of pictures, black outside the picture.

    Args:
        samples: samples in the order in which they are scored.
        split: name of the split.
        root: folder of the data set.
        boxes: box of each sample, None for the whole picture; None for whole pictures only.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        split: str,
        root: str | Path | None = None,
        boxes: Sequence[Box | None] | None = None,
    ) -> None:
        super().__init__(samples, split, root)
        self.boxes = tuple(boxes) if boxes is not None else (None,) * len(self.samples)

    def image(self, index: int) -> Image.Image:
        """Return the crop of face ``index``.

        Raises:
            DataError: the picture cannot be read, or less than half of the box lies inside it.
        """
        sample, box = self.samples[index], self._box(index)
        if box is None:
            return super().image(index)
        assert sample.path is not None
        picture = read_image(sample.path)
        left, top, right, bottom = box
        overlap = max(min(right, picture.width) - max(left, 0), 0) * max(min(bottom, picture.height) - max(top, 0), 0)
        if 2 * overlap < (right - left) * (bottom - top):
            raise DataError(
                f"{sample.path}: the face box {box} lies outside the picture of {picture.width} x {picture.height} "
                "pixels; check that the pictures have not been resized."
            )
        return picture.crop(box)

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of the box, or of the picture if there is no box."""
        box = self._box(index)
        return super().size(index) if box is None else (box[2] - box[0], box[3] - box[1])

    def frame(self, index: int) -> tuple[int, int, int, int] | None:
        """Return (left, top) of the box and the (width, height) of the picture; None if there is no box."""
        box, path = self._box(index), self.samples[index].path
        return None if box is None or path is None else (*box[:2], *read_size(path))

    def _box(self, index: int) -> Box | None:
        box = self.boxes[index]
        if box is not None and (box[2] <= box[0] or box[3] <= box[1]):
            raise DataError(f"{self.samples[index].path}: the face box {box} is empty.")
        return box
