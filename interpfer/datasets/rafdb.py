"""RAF-DB with basic expressions."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.class_folders import SPLIT_FOLDERS, find_class_folders
from interpfer.datasets.discovery import find_path, is_image
from interpfer.errors import DataError
from interpfer.files import bounded_integer, exists, read_text
from interpfer.labels import EXPRESSIONS
from interpfer.types import Sample

LISTS = ("list_patition_label.txt", "list_partition_label.txt")
IMAGES = ("Image/aligned/aligned", "Image/aligned", "aligned", "Image/original/original", "Image/original", "original")
ORDER = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
NUMBERINGS = {
    "RAF-DB": ORDER,
    "AffectNet": ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"),
    "FER2013": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "alphabetical": tuple(sorted(set(EXPRESSIONS) - {"contempt"})),
}
"""Name -> order of classes by which repacked copies number their folders."""

MANUAL = "Annotation/manual"
"""Folder with a file per picture: five points, then numbers of gender, race and age, as RAF-DB annotates them."""

POINTS = 5
"""Points in such a file."""

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""Attribute -> what its numbers mean, in the order of the file."""

MAX_DISTANCE, MAX_SUBSET_DISTANCE = 0.02, 0.3
"""Largest sum of differences (0 to 2) from the published class shares, for all images of a split and for a subset."""


class RafDbDataset(Dataset):
    """The official layout, or one folder per class.

    Official: ``EmoLabel/list_patition_label.txt`` with lines ``train_00001.jpg 5``, 1 to 7 in ``order``, and
    ``Image/aligned/train_00001_aligned.jpg`` (100 px), or the original pictures if there are no aligned ones. Repacked
    copies: ``train/1`` to ``train/7`` (or by name), and ``train_labels.csv`` with the columns image and label. The
    order of numbers from 0 to 6 is inferred from the counts, because some copies number in the order of AffectNet. An
    id is ``train_00001.jpg`` in all layouts.
    """

    name: ClassVar[str] = "rafdb"
    summary: ClassVar[str] = "RAF-DB basic: EmoLabel/ and Image/aligned/, or folders train/1 .. test/7"
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "non-commercial research, by agreement; no redistribution"
    request: ClassVar[str] = "http://www.whdeng.cn/raf/model1.html"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": (dict(zip(ORDER, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),),
        "test": (dict(zip(ORDER, (329, 74, 160, 1185, 478, 162, 680), strict=True)),),
    }

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "RafDbDataset":  # noqa: ARG003
        """Read the list of labels, or list the folders.

        Raises:
            DataError: neither is found, a label is not a class, or the numbering of a copy cannot be inferred.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        if listing := find_path(folder, *(f"EmoLabel/{name}" for name in LISTS), *LISTS):
            return cls(cls._read_list(listing, split), split, folder)
        if class_folders := find_class_folders(folder, SPLIT_FOLDERS[split]):
            order: tuple[str, ...] = ORDER
            first = 1
            if class_folders.is_numbered:
                counts = {int(name): len(images) for name, images in class_folders.images.items()}
                order, first = infer_numbering(counts, split, str(class_folders.folder))
            samples = sorted(class_folders.samples(order, first, official_name), key=lambda sample: sample.id)
            return cls(samples, split, folder)
        if table := find_path(folder, f"{split}_labels.csv"):
            return cls(cls._read_table(table, split), split, folder)
        layouts = f"EmoLabel/{LISTS[0]}", f"folders {split}/1 to {split}/7", f"{split}_labels.csv"
        raise cls.missing_error(folder, *layouts)

    @classmethod
    def _read_list(cls, listing: Path, split: str) -> list[Sample]:
        base = listing.parent.parent if listing.parent.name == "EmoLabel" else listing.parent
        folders = [(base / name, first) for name in IMAGES if (first := _first_image(base / name))]
        if not folders:
            raise cls.missing_error(base, "images in Image/aligned", "in Image/original")
        images, example = folders[0]
        notes = base / MANUAL
        is_annotated = notes.is_dir()
        ending = ("_aligned" if "_aligned" in example else "") + Path(example).suffix
        samples = []
        for number, line in enumerate(read_text(listing).splitlines(), 1):
            if line.startswith(split):
                stem, label = _parse(line, f"{listing}, line {number}")
                attributes = read_attributes(notes / f"{stem}_manu_attri.txt") if is_annotated else {}
                picture = images / f"{stem}{ending}"
                samples.append(Sample(f"{stem}.jpg", ORDER[label - 1], picture, attributes=attributes))
        return samples

    @classmethod
    def _read_table(cls, table: Path, split: str) -> list[Sample]:
        rows = []
        for number, line in enumerate(read_text(table).splitlines(), 1):
            name, _, label = line.strip().rpartition(",")
            if label.strip().isdigit():
                rows.append((name.strip().strip('"'), bounded_integer(label)))
            elif line.strip() and number > 1:
                raise DataError(f"{table}, line {number}: the label must be the number of a class, got '{label}'.")
        counts = {label: sum(row[1] == label for row in rows) for label in sorted({row[1] for row in rows})}
        order, first = infer_numbering(counts, split, str(table))
        folders = [table.parent / "DATASET" / split, table.parent / split, table.parent / "images", table.parent]
        images = next((folder for folder in folders if rows and exists(folder / rows[0][0])), folders[1])
        return [Sample(official_name(Path(name).name), order[label - first], images / name) for name, label in rows]


def read_attributes(path: Path) -> dict[str, str]:
    """Return the attributes that RAF-DB annotates on a picture; none where there is no file.

    Raises:
        DataError: the file has another form.
    """
    if not path.is_file():
        return {}
    lines = [line.strip() for line in path.read_text("utf-8-sig", errors="replace").splitlines() if line.strip()]
    values = dict(zip(ATTRIBUTES, lines[POINTS:], strict=False))
    if len(lines) != POINTS + len(ATTRIBUTES):
        raise DataError(f"{path}: must have {POINTS} points and {len(ATTRIBUTES)} numbers, got {len(lines)} lines.")
    for place, (name, text) in enumerate(values.items(), POINTS + 1):
        if not text.isdecimal() or bounded_integer(text) >= len(ATTRIBUTES[name]):
            raise DataError(
                f"{path}, line {place}: {name} must be a number from 0 to {len(ATTRIBUTES[name]) - 1}, got '{text}'."
            )
    return {name: ATTRIBUTES[name][bounded_integer(text)] for name, text in values.items()}


def infer_numbering(counts: Mapping[int, int], split: str, where: str) -> tuple[tuple[str, ...], int]:
    """Infer the classes of the numbers in a repacked copy from the counts of images.

    Args:
        counts: number -> images.
        split: "train" or "test".
        where: folder or file, for messages.

    Returns:
        The classes in order, and the number of the first.

    Raises:
        DataError: a number is not a class, or no order fits.
    """
    published = RafDbDataset.published[split][0]
    if set(counts) - set(range(8)) or {0, 7} <= set(counts):
        raise DataError(
            f"{where}: classes must be numbered from 0 to 6 or from 1 to 7, "
            f"got {', '.join(str(number) for number in sorted(counts))}."
        )
    first, total = int(0 not in counts), sum(counts.values())

    def distance(order: tuple[str, ...]) -> float:
        """Return the sum of the differences between the shares of the classes and the published ones."""
        shares = [counts.get(i + first, 0) / max(total, 1) for i in range(7)]
        return sum(abs(a - published[name] / sum(published.values())) for a, name in zip(shares, order, strict=True))

    ranked = sorted((distance(order), name) for name, order in NUMBERINGS.items())
    (best, name), (runner_up, _) = ranked[:2]
    if best < MAX_DISTANCE or (first == 0 and best < min(MAX_SUBSET_DISTANCE, runner_up / 2)):
        return NUMBERINGS[name], first
    if first == 1:
        return ORDER, 1
    raise DataError(
        f"{where}: the classes are numbered from 0, and their counts {dict(sorted(counts.items()))} fit no known order "
        f"({', '.join(NUMBERINGS)}): name the folders after the expressions."
    )


def official_name(name: str) -> str:
    """Return the name of an image in the official list.

    Examples:
        >>> official_name("train_00001_aligned.jpg")
        'train_00001.jpg'
    """
    match = re.match(r"((?:train|test)_\d+)(?:_aligned)?\.\w+$", name)
    return f"{match[1]}.jpg" if match else name


def _parse(line: str, where: str) -> tuple[str, int]:
    parts = line.split()
    if len(parts) != 2 or parts[1] not in ("1", "2", "3", "4", "5", "6", "7"):
        raise DataError(
            f"{where}: a line must be a name and a class from 1 to 7 such as 'train_00001.jpg 5', got '{line.strip()}'."
        )
    return parts[0].rpartition(".")[0].removesuffix("_aligned"), bounded_integer(parts[1])


def _first_image(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        return next((entry.name for entry in entries if is_image(entry.name)), None)
