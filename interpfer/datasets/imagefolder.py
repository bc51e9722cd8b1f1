"""Folders of images of Hugging Face: with metadata.jsonl, .csv or .parquet beside them, or one folder per class."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from interpfer.datasets.base import ALL, Dataset, require_root, require_split
from interpfer.datasets.dataset_card import class_names_in_readme
from interpfer.datasets.discovery import is_hidden, is_image
from interpfer.datasets.folder import FolderDataset
from interpfer.datasets.metadata import METADATA, read_rows, samples_of, split_of_folders
from interpfer.datasets.parquet_columns import LABELS
from interpfer.errors import DataError
from interpfer.types import Sample

NO_LABELS = "its metadata has no column of labels, so that images have none; names of folders are not used"


class ImageFolderDataset(Dataset):
    """DIR/**/metadata.jsonl, .csv or .parquet with ``file_name`` and a label; without one, as the data set ``folder``.

    Where there is metadata, it alone gives the labels, as in the package ``datasets``; names of folders do not. A label
    is a text, or a number that README.md names. The split of an image is that of the column ``split``, else of its
    folders. ``subject`` and ``aus`` are as in the data set ``csv``; other columns are attributes. An id is the path
    below DIR.
    """

    name: ClassVar[str] = "imagefolder"
    summary: ClassVar[str] = "folders of Hugging Face: metadata.jsonl, .csv or .parquet with file_name and label"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    action_units: ClassVar[str] = "the column aus"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> Dataset:
        """Read the metadata, without opening images.

        Raises:
            DataError: a row names no image, or its label is not a class; or as in the data set ``folder``.
        """
        folder, wanted = require_root(root, cls.name), cls.aliases.get(split, split)
        tables = _find_tables(folder)
        if not tables:
            return FolderDataset.open(root, split, seed)
        rows = list(_read(folder, tables))
        splits = sorted({found for _, found in rows} - {""})
        if splits:
            require_split(wanted, splits, f"data set imagefolder: {folder}")
        chosen = [sample for sample, found in rows if not splits or found == wanted]
        dataset = cls(chosen, wanted if splits else ALL, folder)
        if not splits:
            dataset.warn_no_splits(split, f"the metadata of {folder} names no split")
        if not any(sample.label for sample in chosen):
            dataset.notes = (*dataset.notes, f"{tables[0]}: {NO_LABELS}")
        listed = {sample.id for sample, _ in rows}
        images = (path.relative_to(folder).as_posix() for path in _walk(folder) if is_image(path.name))
        own = (name for name in images if split_of_folders(PurePosixPath(name)) in ("", dataset.split))
        if others := sum(name not in listed for name in own):
            dataset.left_out = {"not in the metadata": others}
        return dataset

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that the metadata or folders name; "all" if none does."""
        folder = require_root(root, cls.name)
        tables = _find_tables(folder)
        if not tables:
            return FolderDataset.available_splits(root)
        return tuple(sorted({found for _, found in _read(folder, tables)} - {""})) or (ALL,)


def _find_tables(root: Path) -> list[Path]:
    """Return the tables of metadata, of which a folder may have one.

    Raises:
        DataError: a folder has two.
    """
    found = sorted(path for path in _walk(root) if path.name in METADATA)
    for first, second in zip(found, found[1:], strict=False):
        if first.parent == second.parent:
            raise DataError(f"{first.parent} has both {first.name} and {second.name}; keep one.")
    return found


def _read(root: Path, tables: list[Path]) -> Iterator[tuple[Sample, str]]:
    names = {column: class_names_in_readme(root, column) for column in LABELS}
    for table in tables:
        try:
            rows = read_rows(table.read_bytes(), table.name, str(table))
        except OSError as error:
            raise DataError(f"{table}: cannot be read ({error.strerror}).") from error
        columns = {name for row in rows for name in row.cells}
        own = next((names[column] for column in LABELS if column in columns), ())
        folder = PurePosixPath(table.parent.relative_to(root).as_posix())
        for sample, split in samples_of(rows, folder, str(table), own):
            yield replace(sample, path=root / sample.id), split


def _walk(root: Path) -> Iterator[Path]:
    """Yield the visible files below a folder."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(folder, name) for name in files if not is_hidden(name))
