"""Search for the files of a data set in the folder that the user passed, and in its subfolders."""

import os
from collections.abc import Iterator
from pathlib import Path

from interpfer.datasets.base import IMAGE_SUFFIXES

DEPTH = 4
"""Levels of subfolders that are searched."""

MAX_FOLDERS = 3000
"""Most folders that are searched, so that a root such as / does not take forever."""


def folders_below(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield ``root`` and its visible subfolders, level by level, sorted by name."""
    level, count = [root], 0
    for _ in range(depth + 1):
        next_level: list[Path] = []
        for folder in level:
            yield folder
            count += 1
            if count == MAX_FOLDERS:
                return
            next_level += subfolders(folder)
        level = next_level


def subfolders(folder: Path) -> list[Path]:
    """Return the visible subfolders of ``folder``, sorted by name; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir()]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def find_path(root: Path, *names: str) -> Path | None:
    """Return the first of some relative paths that exists in ``root`` or a subfolder, the nearest first; else None."""
    for folder in folders_below(root):
        for name in names:
            if (folder / name).exists():
                return folder / name
    return None


def image_names(folder: Path) -> list[str]:
    """Return the sorted names of the image files in ``folder``, without opening them."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if not is_hidden(name) and is_image(name))


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def is_hidden(name: str) -> bool:
    """Return whether a name is hidden, or left over from an archive made on a Mac."""
    return name.startswith((".", "__MACOSX"))
