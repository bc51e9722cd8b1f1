"""The two releases of AffectNet: four small arrays per image, or one table."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.bundled_landmarks import hash_files
from interpfer.datasets.cropped import Box
from interpfer.datasets.discovery import image_names
from interpfer.errors import DataError
from interpfer.files import CsvRows
from interpfer.types import Sample

COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
"""Columns of the table, in order; some copies of validation.csv have no header."""

IMAGE_FOLDERS = (
    "Manually_Annotated_Images",
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated_compressed",
    "Manually_Annotated",
    "images",
    ".",
)
NO_EXPRESSION = {8: "none", 9: "uncertain", 10: "no face"}


@dataclass
class Release:
    """Files of a release.

    Attributes:
        samples: samples with one of the requested classes.
        boxes: face box of each sample; None for whole images.
        landmarks: id -> (68, 2) points; None if the release has no landmarks.
        digest: function that hashes the landmarks.
        left_out: reason -> number of images without a requested class.
    """

    samples: list[Sample]
    boxes: list[Box | None] | None = None
    landmarks: Callable[[str], NDArray[np.float64] | None] | None = None
    digest: Callable[[], str] = str
    left_out: dict[str, int] = field(default_factory=dict)


def read_arrays(annotations: Path, order: Sequence[str]) -> Release:
    """Read ``N_exp.npy`` of all images, in numerical order.

    Args:
        annotations: folder of the arrays.
        order: requested classes; their index is the number of the expression.

    Raises:
        DataError: an array cannot be read, or is not an expression.
    """
    folder = annotations.parent / "images"
    if not folder.is_dir():
        raise DataError(f"data set affectnet: folder not found next to {annotations.name}: {folder}.")
    names = {name.rpartition(".")[0]: name for name in image_names(folder)}
    stems = {path.removesuffix("_exp.npy") for path in _list_names(annotations) if path.endswith("_exp.npy")}
    samples, left_out = [], Counter({"without annotation": len(names.keys() - stems)})
    for stem in sorted(stems, key=lambda stem: (len(stem), stem) if stem.isdigit() else (99, stem)):
        path = annotations / f"{stem}_exp.npy"
        label = expression_of(_scalar(path), order, str(path))
        if label is None or label not in order:
            left_out[label or "of other classes"] += 1
        else:
            name = names.get(stem, f"{stem}.jpg")
            samples.append(Sample(name, label, folder / name))

    def landmark_file(name: str) -> Path:
        return annotations / f"{name.rpartition('.')[0]}_lnd.npy"

    def read_landmarks(name: str) -> NDArray[np.float64] | None:
        try:
            return np.asarray(np.load(landmark_file(name)), dtype=np.float64)
        except (OSError, ValueError, EOFError):
            return None

    return Release(
        samples,
        landmarks=read_landmarks if any(landmark_file(sample.id).exists() for sample in samples[:20]) else None,
        digest=lambda: hash_files(landmark_file(sample.id) for sample in samples),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def read_table(table: Path, root: Path, order: Sequence[str]) -> Release:
    """Read training.csv or validation.csv, in the order of its lines.

    Args:
        table: the file.
        root: folder of the data set.
        order: requested classes; their index is the number of the expression.

    Raises:
        DataError: a column or the pictures are missing, or an expression is not a number.
    """
    samples: list[Sample] = []
    boxes: list[Box | None] = []
    left_out: Counter[str] = Counter()
    folder: Path | None = None
    for number, row in _rows(table):
        where = f"{table}, line {number}"
        label = expression_of(row.get("expression"), order, where)
        if label is None or label not in order:
            left_out[label or "of other classes"] += 1
            continue
        name = row["subDirectory_filePath"].strip()
        folder = folder or _find_pictures(table, root, name)
        samples.append(Sample(name, label, folder / name))
        boxes.append(_box(row, where))

    points: dict[str, NDArray[np.float32]] = {}

    def read_landmarks(name: str) -> NDArray[np.float64] | None:
        if not points:
            points.update(_read_points(table, {s.id: box for s, box in zip(samples, boxes, strict=True)}))
        face = points.get(name)
        return None if face is None else face.astype(np.float64)

    def digest() -> str:
        with table.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return Release(samples, boxes, read_landmarks, digest, dict(left_out))


def expression_of(value: object, order: Sequence[str], where: str) -> str | None:
    """Return the class of a number.

    Args:
        value: number of the expression.
        order: requested classes.
        where: file and line, for messages.

    Returns:
        The class; for 8 to 10 the reason why there is none; None for a class that is not requested.

    Raises:
        DataError: the value is not a number from 0 to 10.
    """
    try:
        number = int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number <= 10:
        raise DataError(f"{where}: the expression must be a number from 0 to 10, got '{value}'.")
    return NO_EXPRESSION.get(number, order[number] if number < len(order) else None)


def _scalar(path: Path) -> object:
    try:
        value = np.load(path).reshape(-1)[0].item()
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise DataError(f"{path}: not a readable array ({error}).") from error
    return value.decode() if isinstance(value, bytes) else value


def _list_names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = CsvRows(file, table)
        header = [cell.strip() for cell in next(lines, [])]
        if "expression" not in header and len(header) == len(COLUMNS):
            yield 1, dict(zip(COLUMNS, header, strict=True))
            header = list(COLUMNS)
        missing = [name for name in ("subDirectory_filePath", "facial_landmarks", "expression") if name not in header]
        if missing:
            raise DataError(f"{table}: the column '{missing[0]}' is missing; it has {', '.join(header)}.")
        for line in lines:
            if line:
                yield lines.line_num, dict(zip(header, line, strict=False))


def _read_points(table: Path, boxes: Mapping[str, Box | None]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and landmarks of the pictures in ``boxes``, in pixels of the box; skips malformed landmarks."""
    for _, row in _rows(table):
        name = row["subDirectory_filePath"].strip()
        if name in boxes:
            values = row.get("facial_landmarks", "").split(";")
            try:
                points = np.array(values, dtype=np.float32).reshape(-1, 2)
            except (ValueError, OverflowError):
                continue
            box = boxes[name]
            yield name, points if box is None else points - np.array(box[:2], dtype=np.float32)


def _box(row: Mapping[str, str], where: str) -> Box | None:
    values = [row.get(name, "").strip() for name in COLUMNS[1:5]]
    if not any(values):
        return None
    try:
        left, top, width, height = (round(float(value)) for value in values)
    except (ValueError, OverflowError):
        raise DataError(f"{where}: the face box must be four numbers, got {', '.join(values)}.") from None
    return left, top, left + width, top + height


def _find_pictures(table: Path, root: Path, name: str) -> Path:
    """Return the folder of the pictures, given the name of one."""
    folders = [base / folder for base in (table.parent, table.parent.parent, root) for folder in IMAGE_FOLDERS]
    existing = [folder for folder in folders if (folder / name).parent.is_dir()]
    if not existing:
        raise DataError(
            f"data set affectnet: {table} lists {name}, which is not in a folder {IMAGE_FOLDERS[0]} next to it."
        )
    return existing[0]
