"""FER2013: one table of pixels, or folders per class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.class_folders import SPLIT_FOLDERS, find_class_folders
from interpfer.datasets.discovery import find_path
from interpfer.datasets.pixel_csv import SIDE, USAGES, PixelTable, image_name
from interpfer.errors import DataError
from interpfer.files import bounded_integer
from interpfer.types import Sample

ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
TABLES = ("fer2013.csv", "icml_face_data.csv")
TRAIN_COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)
PUBLIC_COUNTS = (467, 56, 496, 895, 653, 415, 607)
PRIVATE_COUNTS = (491, 55, 528, 879, 594, 416, 626)


class PixelDataset(Dataset):
    """A data set whose pictures are rows of a table.

    Args:
        samples: samples in the order in which they are scored.
        split: name of the split.
        root: folder of the data set.
        table: table of the pictures; None if the samples are files.
        rows: row of each sample.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        split: str,
        root: str | Path | None = None,
        table: PixelTable | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        super().__init__(samples, split, root)
        self.table = table
        self.rows = tuple(rows)

    def image(self, index: int) -> Image.Image:
        """Return image ``index`` as RGB.

        Raises:
            DataError: the image cannot be read.
        """
        return super().image(index) if self.table is None else self.table.image(self.rows[index])

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height)."""
        return super().size(index) if self.table is None else (SIDE, SIDE)


class Fer2013Dataset(PixelDataset):
    """One table of pixels, or folders per class.

    Table: ``fer2013.csv`` (emotion, pixels, Usage) or ``icml_face_data.csv`` (emotion, Usage, pixels, spaces in the
    header); Training is ``train``, PublicTest ``val`` and PrivateTest ``test``. The id of a row is that of FERPlus,
    such as ``fer0000012.png``. Folders: ``train/angry`` and so on; in the common copy, ``test`` contains both tests.
    """

    name: ClassVar[str] = "fer2013"
    summary: ClassVar[str] = "FER2013: fer2013.csv, icml_face_data.csv, or folders train/angry .."
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    aliases: ClassVar[Mapping[str, str]] = {**Dataset.aliases, **{usage: split for split, usage in USAGES.items()}}
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "as of the Kaggle competition; pictures from a web search"
    request: ClassVar[str] = (
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
    )
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": (dict(zip(ORDER, TRAIN_COUNTS, strict=True)),),
        "val": (dict(zip(ORDER, PUBLIC_COUNTS, strict=True)),),
        "test": (
            dict(zip(ORDER, PRIVATE_COUNTS, strict=True)),
            {name: a + b for name, a, b in zip(ORDER, PUBLIC_COUNTS, PRIVATE_COUNTS, strict=True)},
        ),
    }

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "Fer2013Dataset":  # noqa: ARG003
        """Find the rows of the table, or list the folders.

        Raises:
            DataError: neither is found, or an emotion is not a number from 0 to 6.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        if path := find_path(folder, *TABLES):
            table = PixelTable(path)
            rows = [row for row, usage in enumerate(table.usages) if usage == USAGES[split]]
            samples = [Sample(image_name(row), _expression(table, row)) for row in rows]
            return cls(samples, split, folder, table, rows)
        if class_folders := find_class_folders(folder, SPLIT_FOLDERS[split]):
            return cls(class_folders.samples(ORDER), split, folder)
        raise cls.missing_error(folder, *TABLES, f"folders {split}/angry to {split}/neutral")

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits; class folders usually contain only train and test."""
        if root is None or find_path(Path(root), *TABLES) or find_class_folders(Path(root), SPLIT_FOLDERS["val"]):
            return cls.splits
        return ("train", "test")


def _expression(table: PixelTable, row: int) -> str:
    emotion = table.emotions[row]
    if emotion not in ("0", "1", "2", "3", "4", "5", "6"):
        raise DataError(f"{table.path}, line {row + 2}: the emotion must be a number from 0 to 6, got '{emotion}'.")
    return ORDER[bounded_integer(emotion)]
