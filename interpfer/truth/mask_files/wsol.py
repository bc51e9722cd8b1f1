"""The lists of wsolevaluation (Choe et al. 2020, arXiv 2001.07437).

A line is ``image,x0,y0,x1,y1`` with both ends inclusive, from 0, or ``image,mask.png,ignore.png`` as of OpenImages,
where the third name may be missing. Masks are of any class.

``image_sizes.txt`` beside the list says in pixels of which size the boxes are.
"""

from collections.abc import Sequence
from pathlib import Path

from interpfer.errors import DataError
from interpfer.files import is_file, read_text
from interpfer.truth.mask_files.numbers import read_numbers, read_size
from interpfer.truth.mask_files.shapes import Box, Picture, Size
from interpfer.truth.mask_files.table import IGNORE, Entry, MaskTable

LIST, SIZES = "localization.txt", "image_sizes.txt"


def read_wsol(path: Path) -> MaskTable:
    """Read a list.

    Raises:
        DataError: a line is neither of the two kinds, or a mask file is not there.
    """
    sizes = _sizes(path.parent / SIZES)
    entries: list[Entry] = []
    root: Path | None = None
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        image, *cells = (cell.strip() for cell in line.split(","))
        if len(cells) == 4:
            left, top, right, bottom = read_numbers(cells, where)
            entries.append(Entry(image, "", Box((left, top, right + 1, bottom + 1), where, sizes.get(image))))
        elif len(cells) in (1, 2):
            root = root or _find_root(path, cells[0], where)
            entries += _pictures(root, image, cells, where)
        else:
            raise DataError(f"{where}: must be image,x0,y0,x1,y1 or image,mask.png,ignore.png, got '{line.strip()}'.")
    return MaskTable(tuple(entries))


def _pictures(root: Path, image: str, cells: Sequence[str], where: str) -> list[Entry]:
    entries = []
    for group, name in zip(("", IGNORE), cells, strict=False):
        if name:
            if not is_file(root / name):
                raise DataError(f"{where}: no such mask file: {root / name}.")
            entries.append(Entry(image, group, Picture(root / name, where)))
    return entries


def _find_root(path: Path, name: str, where: str) -> Path:
    """Return the folder that names of masks are relative to: that of the list or one above it."""
    above = [path.resolve().parent, *path.resolve().parent.parents][:5]
    for folder in above:
        if is_file(folder / name):
            return folder
    raise DataError(f"{where}: no such mask file: {name}, in {path.parent} or the folders above it.")


def _sizes(path: Path) -> dict[str, Size | None]:
    if not path.is_file():
        return {}
    sizes = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            cells = [cell.strip() for cell in line.split(",")]
            where = f"{path}, line {number}"
            if len(cells) != 3:
                raise DataError(f"{where}: must be image,width,height, got '{line.strip()}'.")
            sizes[cells[0]] = read_size(cells[1], cells[2], where)
    return sizes
