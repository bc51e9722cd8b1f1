"""Some of the samples of a data set."""

from collections.abc import Sequence

from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.landmarks.base import LandmarkProvider


class Subset(Dataset):
    """The chosen rows of another data set, in their order.

    Args:
        whole: the data set.
        rows: positions in it.
        split: what to call the part.
    """

    name = "part"
    summary = "some samples of another data set"

    def __init__(self, whole: Dataset, rows: Sequence[int], split: str) -> None:
        self._whole = whole
        self._rows = tuple(rows)
        super().__init__([whole.samples[row] for row in rows], split, whole.root)
        self.name = whole.name  # type: ignore[misc]
        self.classes = whole.classes

    @classmethod
    def open(cls, root: object, split: str, seed: int = 0) -> "Subset":
        """Refuse: a part is made of a data set that is open.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"a part is made by Part(whole, rows, split), not opened ({root}, {split}, {seed})")

    def image(self, index: int) -> Image.Image:
        """Return the picture of a sample."""
        return self._whole.image(self._rows[index])

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of ``image``."""
        return self._whole.size(self._rows[index])

    def landmarks(self) -> LandmarkProvider | None:
        """Return the landmarks that the whole brings."""
        return self._whole.landmarks()
