"""A data set given by one folder of images per expression."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, Dataset, require_root, require_split
from interpfer.datasets.class_folders import SPLIT_FOLDERS, ClassFolders, find_class_folders, iterate_class_folders
from interpfer.datasets.discovery import folders_below, is_hidden, is_image, subfolders
from interpfer.datasets.images import image_format
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import Sample

OTHER_FILES = ("thumbs.db", "desktop.ini")
"""Files, in lower case, that systems write into folders of images."""


class FolderDataset(Dataset):
    """DIR/SPLIT/EXPRESSION/*.jpg, or DIR/EXPRESSION/*.jpg if there is no folder of the split.

    Folders between these, such as images, are searched; the folder of a split may have any name of ``SPLIT_FOLDERS``.
    A file is an image by its suffix, else by its content; what cannot be read is counted and named when it is read.
    """

    name: ClassVar[str] = "folder"
    summary: ClassVar[str] = "one folder per expression: DIR/[SPLIT/]happy/*.jpg"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "FolderDataset":  # noqa: ARG003
        """List the images, sorted by class folder and name.

        Raises:
            DataError: there is no class folder, its name is not an expression, or there are only other splits.
        """
        folder = require_root(root, cls.name)
        base = _find_split(folder, split)
        if base is None and (splits := _splits_in(folder)):
            require_split(split, splits, f"data set folder: {folder}")
        base, has_split = base or folder, base is not None
        found = _only(iterate_class_folders(base))
        base, classes = (found.folder, found.classes) if found else (base, tuple(subfolders(base)))
        if not classes:
            raise DataError(f"data set folder: {base} has no folder per expression, such as {base / 'happy'}.")
        samples, others = list[Sample](), 0
        for entry in classes:
            try:
                expression = canonical(entry.name)
            except DataError as error:
                raise DataError(f"{entry}: {error}") from error
            paths, other = _list_images(entry)
            samples += [Sample(path.relative_to(base).as_posix(), expression, path) for path in paths]
            others += other
        dataset = cls(samples, split if has_split else ALL, folder)
        dataset.left_out = {"not an image": others} if others else {}
        if not has_split:
            dataset.warn_no_splits(split, f"{folder} has no folder {split}")
        return dataset

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that have a folder; "all" if none has."""
        return tuple(_splits_in(require_root(root, cls.name))) or (ALL,)


def _find_split(root: Path, split: str) -> Path | None:
    """Return the nearest folder of a split that contains class folders; the name itself comes before its synonyms."""
    if (root / split).is_dir() and find_class_folders(root / split):
        return root / split
    names = next((names for names in SPLIT_FOLDERS.values() if split.lower() in names), (split.lower(),))
    folders = (folder for folder in folders_below(root) if folder != root and folder.name.lower() in names)
    found = _only(found for folder in folders if (found := find_class_folders(folder)))
    return None if found is None else found.folder


def _only(found: Iterable[ClassFolders]) -> ClassFolders | None:
    """Return the first of some folders; None if there is none.

    Raises:
        DataError: there are others that are not inside the first.
    """
    first = None
    for each in found:
        first = first or each
        if first.folder not in (each.folder, *each.folder.parents):
            raise DataError(
                f"data set folder: {first.folder} and {each.folder} both contain folders per expression; pass one of "
                "them with --data-root."
            )
    return first


def _splits_in(root: Path) -> list[str]:
    return sorted(split for split in SPLIT_FOLDERS if _find_split(root, split))


def _list_images(folder: Path) -> tuple[list[Path], int]:
    """Return the images below a class folder in order, and the number of other files."""
    images, others = [], 0
    for path in sorted(folder.rglob("*")):
        if any(map(is_hidden, path.relative_to(folder).parts)) or path.name.lower() in OTHER_FILES:
            continue
        if is_image(path.name):
            images.append(path)
        elif path.is_file():
            if image_format(path):
                images.append(path)
            else:
                others += 1
    return images, others
