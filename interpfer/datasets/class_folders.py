"""Repacks: one folder of images per class, by name or by number, in a folder per split or without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from interpfer.datasets.discovery import folders_below, image_names, subfolders
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import Sample

SPLIT_FOLDERS = {
    "train": ("train", "training", "train_set", "train_class"),
    "val": ("val", "valid", "validation", "val_set", "val_class", "publictest"),
    "test": ("test", "testing", "test_set", "test_class", "privatetest"),
}
"""How repacks call the folder of a split; case does not matter."""


@dataclass(frozen=True)
class ClassFolders:
    """Class folders side by side.

    Attributes:
        folder: where they are.
        classes: the class folders.
    """

    folder: Path
    classes: tuple[Path, ...]

    @cached_property
    def images(self) -> dict[str, list[str]]:
        """Folder name -> the names of its images."""
        return {path.name: image_names(path) for path in self.classes}

    @property
    def numbered(self) -> bool:
        """Whether the folders are numbers."""
        return all(path.name.isdigit() for path in self.classes)

    def samples(self, order: Sequence[str], first: int = 0, ident: Callable[[str], str] | None = None) -> list[Sample]:
        """Return the images, by class folder and name.

        Args:
            order: what the numbers mean.
            first: the number of the first class in ``order``.
            ident: makes the id out of a file name; otherwise the id is the path below ``folder``.

        Raises:
            DataError: the name of a folder is no class.
        """
        return [
            Sample(ident(name) if ident else f"{path.name}/{name}", expression, path / name)
            for path in self.classes
            for expression in [_expression(path, order, first)]
            for name in self.images[path.name]
        ]


def find_class_folders(root: Path, names: Sequence[str] | None = None) -> ClassFolders | None:
    """Return the nearest folder of class folders that is called one of ``names``, or anything."""
    for folder in folders_below(root):
        if names is None or folder.name.lower() in names:
            inside = subfolders(folder)
            if any(_class_like(path.name) for path in inside):
                return ClassFolders(folder, tuple(inside))
    return None


def _expression(path: Path, order: Sequence[str], first: int) -> str:
    if not path.name.isdigit():
        try:
            return canonical(path.name)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    number = int(path.name) - first
    if not 0 <= number < len(order):
        raise DataError(f"{path}: there is no class {path.name}; they go from {first} to {first + len(order) - 1}.")
    return order[number]


def _class_like(name: str) -> bool:
    if name.isdigit():
        return int(name) <= 10
    try:
        return bool(canonical(name))
    except DataError:
        return False
