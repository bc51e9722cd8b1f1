"""masks.csv: the columns image and class, and path, or x0,y0,x1,y1 of a box, or x,y of a point.

An empty class is any class, the class ``ignore`` marks pixels to ignore. Boxes reach from the outer corner (x0, y0) to
the outer corner (x1, y1), which is x0 + width; several lines of an image are one mask. Paths are relative to the file.
"""

from collections.abc import Mapping
from pathlib import Path

from interpfer.datasets.images import existing_path
from interpfer.errors import DataError
from interpfer.files import CsvRows, is_file, read_text
from interpfer.truth.mask_files.numbers import read_numbers
from interpfer.truth.mask_files.shapes import Box, Picture, Points, Shape
from interpfer.truth.mask_files.table import Entry, MaskTable, class_key

BOX, POINT = ("x0", "y0", "x1", "y1"), ("x", "y")


def read_masks_csv(path: Path) -> MaskTable:
    """Read the lines of a masks.csv; files of masks are looked for, not opened.

    Raises:
        DataError: a column is missing, a line has no mask or more than one, or a file is not there.
    """
    rows = CsvRows(read_text(path).splitlines(), path, skipinitialspace=True)
    header = [name.strip().lower() for name in next(rows, [])]
    if "image" not in header or not ("path" in header or {*BOX} <= {*header} or {*POINT} <= {*header}):
        raise DataError(
            f"{path}: the first line must name the columns image,class,path, or image,class,x0,y0,x1,y1, or "
            f"image,class,x,y; it is {','.join(header) or 'empty'}."
        )
    entries = []
    for cells in rows:
        if any(cell.strip() for cell in cells):
            where = f"{path}, line {rows.line_num}"
            if len(cells) > len(header):
                raise DataError(f"{where}: {len(cells)} cells for {len(header)} columns.")
            row = dict(zip(header, map(str.strip, cells), strict=False))
            if not row.get("image"):
                raise DataError(f"{where}: the name of the image is missing.")
            image = row["image"].replace("\\", "/")
            entries.append(Entry(image, class_key(row.get("class", "")), _shape(path, row, where)))
    return MaskTable(tuple(entries))


def _shape(path: Path, row: Mapping[str, str], where: str) -> Shape:
    kinds = {"path": ("path",), "box": BOX, "point": POINT}
    given = [kind for kind, columns in kinds.items() if all(row.get(column) for column in columns)]
    if len(given) != 1:
        found = " and ".join(f"a {kind}" for kind in given) or "none"
        raise DataError(f"{where}: needs one of path, x0,y0,x1,y1 and x,y; it has {found}.")
    if given == ["path"]:
        file = existing_path(path.parent / row["path"].replace("\\", "/"))
        if not is_file(file):
            raise DataError(f"{where}: no such mask file: {file}.")
        return Picture(file, where)
    if given == ["box"]:
        left, top, right, bottom = read_numbers([row[name] for name in BOX], where)
        return Box((left, top, right, bottom), where)
    x, y = read_numbers([row[name] for name in POINT], where)
    return Points(((x, y),), where)
