"""A data set given by one folder of images per class."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, Dataset, require_root, require_split
from interpfer.datasets.class_folders import SPLIT_FOLDERS, ClassFolders, iterate_class_folders
from interpfer.datasets.discovery import folders_below, image_names, is_hidden, is_image, subfolders
from interpfer.datasets.images import image_format
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import Sample

OTHER_FILES = ("thumbs.db", "desktop.ini")
"""Files, in lower case, that systems write into folders of images."""

NOT_CLASSES = ("annotations", "ground_truth", "ignore", "landmarks", "mask", "masks")
"""Folders, in lower case, that lie beside those of the classes."""


class FolderDataset(Dataset):
    """DIR/SPLIT/CLASS/*.jpg, or DIR/CLASS/*.jpg if there is no folder of the split.

    Folders between these, such as images, are searched; the folder of a split may have any name of ``SPLIT_FOLDERS``.
    Where no folder is named after an expression, the classes are the nearest two or more folders with images.
    A file is an image by its suffix, else by its content; what cannot be read is counted and named when it is read.
    """

    name: ClassVar[str] = "folder"
    summary: ClassVar[str] = "one folder per class: DIR/[SPLIT/]happy/*.jpg"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "FolderDataset":  # noqa: ARG003
        """List the images, sorted by class folder and name.

        Raises:
            DataError: there is no class folder, its name is a misspelt expression or a number, or there are only other
                splits.
        """
        folder = require_root(root, cls.name)
        base = _find_split(folder, split)
        if base is None and (splits := _splits_in(folder)):
            require_split(split, splits, f"data set folder: {folder}")
        base, has_split = base or folder, base is not None
        found = _only(_class_folders(base))
        if found is None:
            raise DataError(f"data set folder: {base} has no folder per class, such as {base / 'happy'}.")
        base, classes = found.folder, [entry for entry in found.classes if entry.name.lower() not in NOT_CLASSES]
        samples, others = list[Sample](), 0
        for entry in classes:
            try:
                label = canonical(entry.name)
            except DataError as error:
                raise DataError(f"{entry}: {error}") from error
            paths, other = _list_images(entry)
            samples += [Sample(path.relative_to(base).as_posix(), label, path) for path in paths]
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
    if (root / split).is_dir() and next(_class_folders(root / split), None):
        return root / split
    names = next((names for names in SPLIT_FOLDERS.values() if split.lower() in names), (split.lower(),))
    folders = (folder for folder in folders_below(root) if folder != root and folder.name.lower() in names)
    found = _only(found for folder in folders if (found := next(_class_folders(folder), None)))
    return None if found is None else found.folder


def _class_folders(root: Path) -> Iterator[ClassFolders]:
    """Yield the folders that contain folders named after expressions, else those that contain several with images."""
    named = [found for found in iterate_class_folders(root) if not _is_aside(found.folder, root)]
    yield from named
    for folder in folders_below(root) if not named else ():
        classes = tuple(path for path in subfolders(folder) if not _is_aside(path, root) and image_names(path))
        if len(classes) > 1:
            yield ClassFolders(folder, classes)


def _is_aside(folder: Path, root: Path) -> bool:
    """Return whether a folder, or one that it lies in below ``root``, does not hold classes."""
    return any(part.lower() in NOT_CLASSES for part in folder.relative_to(root).parts)


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
                f"data set folder: {first.folder} and {each.folder} both contain folders per class; pass one of "
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
