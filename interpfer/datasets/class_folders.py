"""Repacked data sets: one folder of images per class, by name or by number, with or without a folder per split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from interpfer.datasets.discovery import folders_below, image_names, subfolders
from interpfer.errors import DataError
from interpfer.labels import known_expression, require_expression
from interpfer.types import Sample

SPLIT_FOLDERS = {
    "train": ("train", "training", "train_set", "train_class"),
    "val": ("val", "valid", "validation", "val_set", "val_class", "publictest"),
    "test": ("test", "testing", "test_set", "test_class", "privatetest"),
}
"""Split -> names of its folder in repacked data sets, in lower case."""


def known_split(name: str) -> str:
    """Return the split that a name means; the name itself where it is none of ``SPLIT_FOLDERS``.

    Examples:
        >>> known_split("Training"), known_split("fold1")
        ('train', 'fold1')
    """
    return next((split for split, names in SPLIT_FOLDERS.items() if name.lower() in names), name)


@dataclass(frozen=True)
class ClassFolders:
    """A folder with one subfolder per class.

    Attributes:
        folder: the folder.
        classes: its subfolders.
    """

    folder: Path
    classes: tuple[Path, ...]

    @cached_property
    def images(self) -> dict[str, list[str]]:
        """Name of a subfolder -> names of its images."""
        return {path.name: image_names(path) for path in self.classes}

    @property
    def is_numbered(self) -> bool:
        """Whether the names of the subfolders are numbers."""
        return all(path.name.isdigit() for path in self.classes)

    def samples(
        self, order: Sequence[str], first: int = 0, make_id: Callable[[str], str] | None = None
    ) -> list[Sample]:
        """Return the images, sorted by class folder and name.

        Args:
            order: classes of numbered folders.
            first: number of the first class in ``order``.
            make_id: converts a file name to an id; None to use the path below ``folder``.

        Raises:
            DataError: the name of a subfolder is not a class.
        """
        return [
            Sample(make_id(name) if make_id else f"{path.name}/{name}", expression, path / name)
            for path in self.classes
            for expression in [_expression(path, order, first)]
            for name in self.images[path.name]
        ]


def find_class_folders(root: Path, names: Sequence[str] | None = None) -> ClassFolders | None:
    """Return the folder nearest to ``root`` that contains class folders; None if there is none.

    Args:
        root: folder to search.
        names: allowed names of the folder, in lower case; None for any.
    """
    return next(iterate_class_folders(root, names), None)


def iterate_class_folders(root: Path, names: Sequence[str] | None = None) -> Iterator[ClassFolders]:
    """Yield the folders that contain class folders, the nearest to ``root`` first; as ``find_class_folders``."""
    for folder in folders_below(root):
        if names is None or folder.name.lower() in names:
            classes = subfolders(folder)
            if any(_is_class(path.name) for path in classes):
                yield ClassFolders(folder, tuple(classes))


def _expression(path: Path, order: Sequence[str], first: int) -> str:
    if not path.name.isdigit():
        try:
            return require_expression(path.name)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    number = int(path.name) - first
    if not 0 <= number < len(order):
        raise DataError(
            f"{path}: the class must be a number from {first} to {first + len(order) - 1}, got {path.name}."
        )
    return order[number]


def _is_class(name: str) -> bool:
    if name.isdigit():
        return int(name) <= 10
    return known_expression(name) is not None
