"""Masks from files of several formats: which one a path is, and its reader, one short file each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from interpfer.datasets.base import IMAGE_SUFFIXES
from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.truth.mask_files.chexlocalize import is_chexlocalize, read_chexlocalize
from interpfer.truth.mask_files.coco import read_coco
from interpfer.truth.mask_files.folder import read_folder
from interpfer.truth.mask_files.masks_csv import read_masks_csv
from interpfer.truth.mask_files.table import MaskTable
from interpfer.truth.mask_files.voc import read_voc
from interpfer.truth.mask_files.wsol import LIST, read_wsol

KNOWN = (
    "a folder of CLASS/IMAGE.png or IMAGE.png, a masks.csv with the column image, a JSON of COCO or CheXlocalize, XML "
    "of VOC, or the localization.txt of wsolevaluation"
)
"""What ``--masks`` may be, in words."""


def read_masks(path: str | Path) -> MaskTable:
    """Read the list of masks of a file or folder; which format it is follows from its content.

    Args:
        path: see ``KNOWN``.

    Raises:
        DataError: there is no such path, its format is unknown, or something in it is malformed; the message names the
            file and the row.
    """
    path = Path(path)
    if path.is_dir():
        table = _folder_reader(path)(path)
    elif path.is_file():
        table = _read_file(path)
    else:
        raise DataError(f"masks not found: {path}; pass {KNOWN}.")
    if not table.entries:
        raise DataError(f"{path} holds no mask.")
    return table


def _folder_reader(path: Path) -> Callable[[Path], MaskTable]:
    if (path / LIST).is_file():
        return lambda folder: read_wsol(folder / LIST)
    if (path / "masks.csv").is_file():
        return lambda folder: read_masks_csv(folder / "masks.csv")
    suffixes = {file.suffix.lower() for file in path.rglob("*")}
    if suffixes & IMAGE_SUFFIXES:
        return read_folder
    if ".xml" in suffixes:
        return read_voc
    raise DataError(f"{path} holds no masks that can be read; pass {KNOWN}.")


def _read_file(path: Path) -> MaskTable:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_masks_csv(path)
    if suffix == ".txt":
        return read_wsol(path)
    if suffix == ".xml":
        return read_voc(path)
    if suffix == ".json":
        content = _load(path)
        try:
            if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
                return read_coco(path, content)
            if is_chexlocalize(content):
                return read_chexlocalize(path, content)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{path}: is malformed ({type(error).__name__}: {error}).") from error
    raise DataError(f"{path} is no format of masks that is known; pass {KNOWN}.")


def _load(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from error
