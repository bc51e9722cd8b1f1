"""A data set given by one folder of images per expression."""

from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, IMAGE_SUFFIXES, Dataset, require_root, require_split
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import Sample

SPLITS = ("train", "test", "val", "valid", "validation")


class FolderDataset(Dataset):
    """DIR/SPLIT/EXPRESSION/*.jpg, or DIR/EXPRESSION/*.jpg if there is no folder of the split."""

    name: ClassVar[str] = "folder"
    summary: ClassVar[str] = "one folder per expression: DIR/[SPLIT/]happy/*.jpg"

    @classmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "FolderDataset":  # noqa: ARG003
        """List the images, sorted by class folder and name.

        Raises:
            DataError: there is no class folder, its name is not an expression, or there are only other splits.
        """
        folder = require_root(root, cls.name)
        base = folder / split if (folder / split).is_dir() else folder
        classes = sorted(entry for entry in base.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        splits = [entry.name for entry in classes if entry.name.lower() in SPLITS]
        if base == folder and splits:
            require_split(split, splits, f"data set folder: {folder}")
        if not classes:
            raise DataError(f"data set folder: {base} has no folder per expression, such as {base / 'happy'}.")
        samples = []
        for entry in classes:
            try:
                expression = canonical(entry.name)
            except DataError as error:
                raise DataError(f"{entry}: {error}") from error
            paths = sorted(path for path in entry.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
            samples += [Sample(path.relative_to(base).as_posix(), expression, path) for path in paths]
        dataset = cls(samples, ALL if base == folder else split, folder)
        if base == folder:
            dataset.warn_no_splits(split, f"{folder} has no folder {split}")
        return dataset

    @classmethod
    def available_splits(cls, root: Path | None) -> tuple[str, ...]:
        """Return the splits that have a folder; "all" if none has."""
        folder = require_root(root, cls.name)
        names = (path.name for path in folder.iterdir() if path.is_dir() and path.name.lower() in SPLITS)
        return tuple(sorted(names)) or (ALL,)
