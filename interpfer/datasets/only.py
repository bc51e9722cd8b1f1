"""A data set cut down to the images that a text file names, such as published lists of occluded or turned faces."""

from pathlib import Path

from interpfer.datasets.base import Dataset
from interpfer.datasets.subset import Subset
from interpfer.errors import DataError

SHOWN = 3
"""Unknown names that a note lists."""

ALIGNED = "_aligned"
"""Ending of the names of aligned copies, which lists leave out."""


def select_listed(dataset: Dataset, path: str | Path) -> Subset:
    """Return the images of a data set that a file names, in the order of the data set.

    The file has a name per line, alone or followed by further columns (blanks, tabs or commas). A name is that of an
    image, or that without folder, ending or ``_aligned``; of frames, that of a frame or of a whole clip. Empty lines,
    also of commas alone, and lines that begin with # are left out; a name that is listed twice counts once. Names of no
    image are counted and named in a note.

    Args:
        dataset: the data set.
        path: the text file.

    Raises:
        DataError: the file cannot be read, a name fits several images, or none fits any.
    """
    path = Path(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the list of images {path}: {error}.") from error
    exact = {sample.id: [row] for row, sample in enumerate(dataset.samples)}
    clips: dict[str, list[int]] = {}
    loose: dict[str, list[int]] = {}
    for row, sample in enumerate(dataset.samples):
        loose.setdefault(_plain(sample.id), []).append(row)
        if sample.clip:
            clips.setdefault(sample.clip, []).append(row)
    rows, unknown = set[int](), list[str]()
    for number, line in enumerate(lines, 1):
        words = [line] if line in exact else line.replace(",", " ").split()
        if not words or line.startswith("#"):
            continue
        name = words[0]
        found = exact.get(name) or clips.get(name) or ([] if clips else loose.get(_plain(name), []))
        if len(found) > 1 and name not in clips:
            names = ", ".join(dataset.samples[row].id for row in found[:SHOWN])
            raise DataError(f"{path}, line {number}: {name} fits several images ({names}); write their whole names.")
        rows.update(found)
        unknown += [] if found else [name]
    distinct = list(dict.fromkeys(unknown))
    listed = f"{', '.join(distinct[:SHOWN])}{', ...' if len(distinct) > SHOWN else ''}"
    if not rows:
        raise DataError(f"{path} names no image of the data set {dataset.name}" + (f": {listed}." if distinct else "."))
    subset = Subset(dataset, sorted(rows), f"{dataset.split}/{path.stem}")
    subset.notes = tuple(dataset.notes)
    if distinct:
        subset.notes += (f"{len(distinct)} names in {path.name} are of no image of the data set ({listed})",)
    return subset


def _plain(name: str) -> str:
    """Return a name without folder, ending and ``_aligned``."""
    return Path(name).stem.removesuffix(ALIGNED)
