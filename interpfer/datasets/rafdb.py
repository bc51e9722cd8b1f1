"""RAF-DB, basic expressions."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import Counts, Dataset, require_root
from interpfer.datasets.class_folders import SPLIT_FOLDERS, find_class_folders
from interpfer.datasets.discovery import find, is_image
from interpfer.errors import DataError
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
"""Orders in which repacks number the folders."""

SAME, ALIKE = 0.02, 0.3
"""How far class shares may be from the published ones to be the same, and to be a part of the same, of at most 2."""


class RafDbDataset(Dataset):
    """The official layout, or folders per class.

    Official: ``EmoLabel/list_patition_label.txt`` with lines ``train_00001.jpg 5``, 1 to 7 in ``order``, and
    ``Image/aligned/train_00001_aligned.jpg`` (100 px); the original pictures serve where the aligned ones are not
    there. Repacks: ``train/1`` to ``train/7`` (or by name), and ``train_labels.csv`` with columns image, label. Numbers
    0 to 6 are told by their counts, because some repacks number in the order of AffectNet. An id is
    ``train_00001.jpg`` in all of them.
    """

    name: ClassVar[str] = "rafdb"
    summary: ClassVar[str] = "RAF-DB basic: EmoLabel/ and Image/aligned/, or folders train/1 .. test/7"
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "non-commercial research, by agreement; not to be passed on"
    request: ClassVar[str] = "http://www.whdeng.cn/raf/model1.html"
    published: ClassVar[Mapping[str, tuple[Counts, ...]]] = {
        "train": (dict(zip(ORDER, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),),
        "test": (dict(zip(ORDER, (329, 74, 160, 1185, 478, 162, 680), strict=True)),),
    }

    @classmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "RafDbDataset":  # noqa: ARG003
        """Read the list of labels, or list the folders.

        Raises:
            DataError: neither is there, a label is no class, or the numbering of a repack cannot be told.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve(split)
        if listing := find(folder, *(f"EmoLabel/{name}" for name in LISTS), *LISTS):
            return cls(cls._listed(listing, split), split, folder)
        if pack := find_class_folders(folder, SPLIT_FOLDERS[split]):
            order: tuple[str, ...] = ORDER
            first = 1
            if pack.numbered:
                counts = {int(name): len(images) for name, images in pack.images.items()}
                order, first = numbering(counts, split, str(pack.folder))
            samples = sorted(pack.samples(order, first, identify), key=lambda sample: sample.id)
            return cls(samples, split, folder)
        if table := find(folder, f"{split}_labels.csv"):
            return cls(cls._tabled(table, split), split, folder)
        raise cls.missing(folder, f"EmoLabel/{LISTS[0]}", f"folders {split}/1 to {split}/7", f"{split}_labels.csv")

    @classmethod
    def _listed(cls, listing: Path, split: str) -> list[Sample]:
        base = listing.parent.parent if listing.parent.name == "EmoLabel" else listing.parent
        places = [(base / name, first) for name in IMAGES if (first := _first_image(base / name))]
        if not places:
            raise cls.missing(base, "images in Image/aligned", "in Image/original")
        images, example = places[0]
        ending = ("_aligned" if "_aligned" in example else "") + Path(example).suffix
        samples = []
        for number, line in enumerate(listing.read_text("utf-8-sig").splitlines(), 1):
            if line.startswith(split):
                stem, label = _parse(line, f"{listing}, line {number}")
                samples.append(Sample(f"{stem}.jpg", ORDER[label - 1], images / f"{stem}{ending}"))
        return samples

    @classmethod
    def _tabled(cls, table: Path, split: str) -> list[Sample]:
        rows = []
        for number, line in enumerate(table.read_text("utf-8-sig").splitlines(), 1):
            name, _, label = line.strip().rpartition(",")
            if label.strip().isdigit():
                rows.append((name.strip().strip('"'), int(label)))
            elif line.strip() and number > 1:
                raise DataError(f"{table}, line {number}: '{label}' is not the number of a class.")
        counts = {label: sum(row[1] == label for row in rows) for label in sorted({row[1] for row in rows})}
        order, first = numbering(counts, split, str(table))
        places = [table.parent / "DATASET" / split, table.parent / split, table.parent / "images", table.parent]
        images = next((place for place in places if rows and (place / rows[0][0]).exists()), places[1])
        return [Sample(identify(Path(name).name), order[label - first], images / name) for name, label in rows]


def numbering(counts: Mapping[int, int], split: str, where: str) -> tuple[tuple[str, ...], int]:
    """Tell what the numbers of a repack mean by how many images each has.

    Returns:
        the classes in order, and the number of the first.

    Raises:
        DataError: a number is no class, or no order fits.
    """
    published = RafDbDataset.published[split][0]
    if set(counts) - set(range(8)) or {0, 7} <= set(counts):
        raise DataError(f"{where}: RAF-DB has seven classes, numbered from 0 or from 1; there are {sorted(counts)}.")
    first, total = int(0 not in counts), sum(counts.values())

    def distance(order: tuple[str, ...]) -> float:
        """Sum of the differences between the shares of the classes here and in the published counts."""
        here = [counts.get(i + first, 0) / max(total, 1) for i in range(7)]
        return sum(abs(a - published[name] / sum(published.values())) for a, name in zip(here, order, strict=True))

    ranked = sorted((distance(order), name) for name, order in NUMBERINGS.items())
    (best, name), (runner_up, _) = ranked[:2]
    if best < SAME or (first == 0 and best < min(ALIKE, runner_up / 2)):
        return NUMBERINGS[name], first
    if first == 1:
        return ORDER, 1
    raise DataError(
        f"{where}: the classes are numbered from 0, and their counts {dict(sorted(counts.items()))} fit no known order "
        f"({', '.join(NUMBERINGS)}): call the folders by their expressions."
    )


def identify(name: str) -> str:
    """Return the name that the official list has for an image of a repack."""
    match = re.match(r"((?:train|test)_\d+)(?:_aligned)?\.\w+$", name)
    return f"{match[1]}.jpg" if match else name


def _parse(line: str, where: str) -> tuple[str, int]:
    parts = line.split()
    if len(parts) != 2 or parts[1] not in ("1", "2", "3", "4", "5", "6", "7"):
        raise DataError(f"{where}: '{line.strip()}' is no name and class from 1 to 7, such as 'train_00001.jpg 5'.")
    return parts[0].rpartition(".")[0].removesuffix("_aligned"), int(parts[1])


def _first_image(folder: Path) -> str | None:
    if not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        return next((entry.name for entry in entries if is_image(entry.name)), None)
