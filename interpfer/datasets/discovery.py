"""Finding a data set below the folder that the user named, however deep it lies there."""

import os
from collections.abc import Iterator
from pathlib import Path

from interpfer.datasets.base import IMAGE_SUFFIXES

DEPTH = 4
"""How many levels below the root are searched."""

FOLDERS = 3000
"""How many folders are searched at most, so that a root such as / ends soon."""


def folders_below(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield ``root`` and the folders below it, nearest first, by name; hidden ones are left out."""
    level, seen = [root], 0
    for _ in range(depth + 1):
        following: list[Path] = []
        for folder in level:
            yield folder
            seen += 1
            if seen == FOLDERS:
                return
            following += subfolders(folder)
        level = following


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in ``folder``, by name; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not _hidden(entry.name) and entry.is_dir()]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def find(root: Path, *names: str) -> Path | None:
    """Return the first of the relative paths ``names`` that exists in ``root`` or below, nearest first."""
    for folder in folders_below(root):
        for name in names:
            if (folder / name).exists():
                return folder / name
    return None


def image_names(folder: Path) -> list[str]:
    """Return the sorted names of the image files in ``folder``; looks at no file."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if not _hidden(name) and is_image(name))


def is_image(name: str) -> bool:
    """Tell an image by its suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))
