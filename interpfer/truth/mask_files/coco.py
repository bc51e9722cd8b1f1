"""COCO's JSON: polygons, run lengths, boxes and keypoints, matched by the names of images and categories.

Of an annotation its segmentation counts, else its keypoints, else its box; ``category_id`` is looked up, since ids have
gaps. Crowds (``iscrowd``) are masks as all others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpfer.errors import DataError
from interpfer.truth.mask_files.numbers import pairs, read_numbers, read_size
from interpfer.truth.mask_files.shapes import Box, Points, Polygons, RunLengths, Shape, Size
from interpfer.truth.mask_files.table import Entry, MaskTable, class_key


def read_coco(path: Path, content: Mapping[str, Any]) -> MaskTable:
    """Return the annotations of a COCO file.

    Args:
        path: the file, for messages.
        content: its JSON.

    Raises:
        DataError: an annotation names no image or category of the file, has no mask, or a malformed one.
    """
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"]: str(category["name"]) for category in content.get("categories", ())}
    entries = []
    for place, annotation in enumerate(content["annotations"], 1):
        where = f"{path}, annotation {annotation.get('id', place)}"
        image = images.get(annotation.get("image_id"))
        if image is None:
            raise DataError(f"{where}: image_id {annotation.get('image_id')} is no image of the file.")
        category = annotation.get("category_id")
        if categories and category not in categories:
            raise DataError(f"{where}: category_id {category} is no category of the file.")
        size = read_size(image.get("width"), image.get("height"), where)
        name = str(image["file_name"]).replace("\\", "/")
        entries.append(Entry(name, class_key(categories.get(category, "")), _shape(annotation, size, where)))
    return MaskTable(tuple(entries))


def _shape(annotation: Mapping[str, Any], size: Size | None, where: str) -> Shape:
    outline = annotation.get("segmentation")
    if isinstance(outline, Mapping):
        return run_lengths(outline, where)
    if outline:
        polygons = outline if isinstance(outline[0], list) else [outline]
        corners = tuple(pairs(polygon, where) for polygon in polygons)
        if short := next((len(each) for each in corners if len(each) < 3), None):
            raise DataError(f"{where}: a polygon needs at least 3 points, got {short}.")
        return Polygons(corners, where, size)
    if keypoints := annotation.get("keypoints"):
        numbers = read_numbers(keypoints, where)
        points = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        labelled = tuple((x, y) for x, y, seen in points if seen > 0)
        if labelled:
            return Points(labelled, where, size)
    if box := annotation.get("bbox"):
        left, top, width, height = read_numbers(box, where)
        return Box((left, top, left + width, top + height), where, size)
    raise DataError(f"{where}: has neither segmentation nor keypoints nor bbox.")


def run_lengths(outline: Mapping[str, Any], where: str) -> RunLengths:
    """Return the mask of a ``{"size": [height, width], "counts": ...}``, checked when it is drawn.

    Raises:
        DataError: size or counts are missing.
    """
    size, counts = outline.get("size"), outline.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, list | str):
        raise DataError(f"{where}: an RLE needs size [height, width] and counts.")
    wide_high = read_size(size[1], size[0], where)
    if wide_high is None:
        raise DataError(f"{where}: an RLE needs size [height, width] and counts.")
    return RunLengths(tuple(counts) if isinstance(counts, list) else counts, where, wide_high)
