"""VOC's XML, a file or a folder of them: boxes from 1, both ends inclusive (assumed, as the VOC devkit has it)."""

from pathlib import Path
from xml.etree import ElementTree

from interpfer.errors import DataError
from interpfer.truth.mask_files.numbers import read_numbers, read_size
from interpfer.truth.mask_files.shapes import Box
from interpfer.truth.mask_files.table import Entry, MaskTable, class_key


def read_voc(path: Path) -> MaskTable:
    """Read the boxes of one XML file, or of all in a folder; each is of the image of its ``filename``, else its name.

    Raises:
        DataError: a file is not XML, or an object has no box.
    """
    files = sorted(path.rglob("*.xml")) if path.is_dir() else [path]
    return MaskTable(tuple(entry for file in files for entry in _read(file)))


def _read(path: Path) -> list[Entry]:
    content = path.read_bytes()
    try:
        if b"<!ENTITY" in content:
            raise DataError(f"{path}: XML with entities is not read.")
        root = ElementTree.fromstring(content)  # noqa: S314
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not XML ({error}).") from error
    image = (root.findtext("filename") or path.stem).strip()
    size = read_size(root.findtext("size/width"), root.findtext("size/height"), str(path))
    entries = []
    for place, thing in enumerate(root.iter("object"), 1):
        where = f"{path}, object {place}"
        box = thing.find("bndbox")
        if box is None:
            raise DataError(f"{where}: has no bndbox.")
        left, top, right, bottom = read_numbers([box.findtext(end) for end in ("xmin", "ymin", "xmax", "ymax")], where)
        shape = Box((left - 1, top - 1, right, bottom), where, size)
        entries.append(Entry(image, class_key(thing.findtext("name") or ""), shape))
    return entries
