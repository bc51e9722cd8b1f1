"""CheXlocalize's JSON: contours or run lengths by image and finding.

Ids join the parts of a path by ``_`` (``patient1_study1_view1_frontal``), which image names are matched with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import DataError
from interpfer.truth.mask_files.coco import run_lengths
from interpfer.truth.mask_files.numbers import read_numbers, read_size
from interpfer.truth.mask_files.shapes import Polygons, Shape, Size
from interpfer.truth.mask_files.table import Entry, MaskTable, class_key

SIZE = "img_size"


def is_chexlocalize(content: Any) -> bool:
    """Return whether a JSON is one of CheXlocalize: id -> finding -> contours, or run lengths with a size."""
    if not isinstance(content, dict) or not content:
        return False
    first = next(iter(content.values()))
    if not isinstance(first, dict) or not first:
        return False
    return SIZE in first or all(isinstance(mask, dict) and {"size", "counts"} <= mask.keys() for mask in first.values())


def read_chexlocalize(path: Path, content: Mapping[str, Mapping[str, Any]]) -> MaskTable:
    """Return the masks of a CheXlocalize file.

    Args:
        path: the file, for messages.
        content: its JSON.

    Raises:
        DataError: a mask is malformed.
    """
    entries = []
    for image, findings in content.items():
        high, wide = findings.get(SIZE, (0, 0))
        size = read_size(wide, high, f"{path}, {image}")
        for finding, mask in findings.items():
            if finding != SIZE:
                entries.append(Entry(image, class_key(finding), _shape(mask, size, f"{path}, {image}, {finding}")))
    return MaskTable(tuple(entries))


def _shape(mask: Any, size: Size | None, where: str) -> Shape:
    if isinstance(mask, dict):
        return run_lengths(mask, where)
    if not isinstance(mask, list):
        raise DataError(f"{where}: must be contours or an RLE, got {type(mask).__name__}.")
    contours = tuple(tuple(_point(point, where) for point in contour) for contour in mask)
    return Polygons(tuple(contour for contour in contours if len(contour) > 2), where, size)


def _point(point: Any, where: str) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2:
        raise DataError(f"{where}: a point must be [x, y], got {point}.")
    x, y = read_numbers(point, where)
    return x, y
