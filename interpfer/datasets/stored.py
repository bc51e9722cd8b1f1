"""Data sets whose pictures lie in larger files: tables of Hugging Face, and archives."""

from abc import abstractmethod
from pathlib import Path

from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.datasets.class_folders import SPLIT_FOLDERS
from interpfer.datasets.images import decode_image, decode_size


class StoredDataset(Dataset):
    """A data set that returns the bytes of a picture's file.

    Attributes:
        content: bytes of the file of picture ``index``.
    """

    @abstractmethod
    def content(self, index: int) -> bytes:
        """Return the bytes of the file of picture ``index``.

        Raises:
            DataError: they cannot be read.
        """

    def image(self, index: int) -> Image.Image:
        """Return picture ``index`` as upright RGB.

        Raises:
            DataError: it cannot be read.
        """
        return decode_image(self.content(index), self.samples[index].id)

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of a picture, from its header.

        Raises:
            DataError: it cannot be read.
        """
        return decode_size(self.content(index), self.samples[index].id)


def split_of(path: Path, root: Path) -> str:
    """Return the split that a file belongs to by its name, or by those of its folders; "" for none.

    Examples:
        >>> split_of(Path("d/data/train-00000-of-00002.parquet"), Path("d"))
        'train'
        >>> split_of(Path("d/validation/0.tar"), Path("d")), split_of(Path("d/faces.tar"), Path("d"))
        ('val', '')
    """
    inner = path.relative_to(root) if root in path.parents else Path(path.name)
    stem = inner.name.split(".")[0].lower()
    names = [stem, stem.partition("-")[0], *(part.lower() for part in reversed(inner.parts[:-1]))]
    known = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
    return next((known[name] for name in names if name in known), "")
