"""Where the clips of a data set lie: folders of frames or videos, by name."""

from collections.abc import Sequence
from pathlib import Path

from interpfer.datasets.discovery import find_path, is_hidden, subfolders
from interpfer.datasets.videos import VIDEO_SUFFIXES, is_video
from interpfer.files import exists
from interpfer.labels import known_expression


def find_place(root: Path, *names: str) -> Path | None:
    """Return the first of some folders that exists below ``root``, in the order of the names; None for none."""
    return next((found for name in names if (found := find_path(root, name)) is not None and found.is_dir()), None)


def clip_path(place: Path, name: str) -> Path:
    """Return the folder of frames, or the video, of a clip; the folder where there is neither."""
    folder = place / name
    if exists(folder):
        return folder
    bare = name.rpartition(".")[0] if is_video(name) else name
    options = (place / bare, *(place / f"{bare}{suffix}" for suffix in sorted(VIDEO_SUFFIXES)))
    return next((path for path in options if exists(path)), folder)


def entries(folder: Path) -> list[Path]:
    """Return the clips in a folder, sorted by name: videos, and folders of frames; a folder wins over its video."""
    folders = subfolders(folder)
    taken = {path.name for path in folders}
    videos = [path for path in sorted(folder.iterdir()) if is_video(path.name) and not is_hidden(path.name)]
    return sorted([*folders, *(path for path in videos if path.stem not in taken)])


def class_entries(folder: Path, classes: Sequence[str] = ()) -> list[tuple[str, Path]]:
    """Return (name of the class folder, clip) of a folder with a subfolder per class, sorted.

    Args:
        folder: the folder.
        classes: names of further classes than expressions, in lower case.
    """
    known = [path for path in subfolders(folder) if known_expression(path.name) or path.name.lower() in classes]
    return [(path.name, clip) for path in known for clip in entries(path)]
