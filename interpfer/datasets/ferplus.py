"""FERPlus: the pictures of FER2013 with ten votes each."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.discovery import find
from interpfer.datasets.fer2013 import TABLES, PixelDataset
from interpfer.datasets.pixel_csv import USAGES, PixelTable, image_name
from interpfer.errors import DataError
from interpfer.types import Sample

ORDER = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*ORDER, "unknown", "NF")
FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
Votes = NDArray[np.int64]


class FerPlusDataset(PixelDataset):
    """``fer2013new.csv`` beside ``fer2013.csv``, or the folders that Microsoft's script makes of them.

    The rows of the two tables belong together by their order, which is checked by Usage. Folders: ``FER2013Train``,
    ``FER2013Valid`` and ``FER2013Test`` with ``fer0000000.png``, and ``fer2013new.csv`` or a ``label.csv`` in each.
    The label is that of more than half of the votes (the mode `majority` of Microsoft's reader): single votes count
    as none, and what has no majority, or one for unknown or no face, is left out.

    Attributes:
        probabilities: (n, 8) share of the votes per class in ``order``.
    """

    name: ClassVar[str] = "ferplus"
    summary: ClassVar[str] = "FERPlus, label of the majority: fer2013new.csv beside fer2013.csv, or FER2013Train/ .."
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    aliases: ClassVar[Mapping[str, str]] = {**Dataset.aliases, **{usage: split for split, usage in USAGES.items()}}
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "votes: MIT; pictures: as FER2013"
    request: ClassVar[str] = "https://github.com/microsoft/FERPlus (the pictures where FER2013 is)"
    probabilities: NDArray[np.float64]

    @classmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "FerPlusDataset":  # noqa: ARG003
        """Read the votes and find the pictures.

        Raises:
            DataError: votes or pictures are not there, or do not belong together.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve(split)
        pictures = find(folder, FOLDERS[split])
        path = find(folder, *TABLES)
        if listing := find(folder, "fer2013new.csv"):
            rows, names, votes = _read_votes(listing, USAGES[split])
        elif pictures and (pictures / "label.csv").is_file():
            rows, names, votes = _read_labels(pictures / "label.csv")
            path = None
        else:
            raise cls.missing(folder, "fer2013new.csv", f"{FOLDERS[split]}/label.csv")
        table = None
        if path:
            table = PixelTable(path)
            _same_rows(table, listing or path, rows, split)
        elif not pictures:
            raise cls.missing(folder, *TABLES, FOLDERS[split])
        shares = cls.shares(votes)
        kept = [i for i in range(len(rows)) if shares[i].any() and names[i]]
        samples = [
            Sample(names[i], ORDER[int(shares[i].argmax())], None if table or not pictures else pictures / names[i])
            for i in kept
        ]
        dataset = cls(samples, split, folder, table, [rows[i] for i in kept])
        dataset.probabilities = shares[kept]
        if len(kept) < len(rows):
            dataset.left_out = {"without agreement on an expression": len(rows) - len(kept)}
        return dataset

    @classmethod
    def shares(cls, votes: Votes) -> NDArray[np.float64]:
        """Return (n, 8) shares per class out of (n, 10) votes, all 0 where the picture is left out."""
        return _each_once(votes, majority)


class FerPlusProbabilityDataset(FerPlusDataset):
    """The same in the mode `probability`: up to three classes that have three quarters of the votes between them.

    The label is the class with most votes, so more pictures are kept; ``probabilities`` holds all of them.
    """

    name: ClassVar[str] = "ferplus-probability"
    summary: ClassVar[str] = "FERPlus, up to three classes per picture as probabilities, the largest as label"

    @classmethod
    def shares(cls, votes: Votes) -> NDArray[np.float64]:
        """Return (n, 8) shares per class out of (n, 10) votes, all 0 where the picture is left out."""
        return _each_once(votes, probability)


def majority(votes: Votes) -> NDArray[np.float64]:
    """Return one 1 for the class with more than half of ten votes, single votes aside; else 0 everywhere.

    >>> majority(np.array([0, 6, 0, 3, 1, 0, 0, 0, 0, 0]))
    array([0., 1., 0., 0., 0., 0., 0., 0.])
    """
    votes = np.where(votes > 1, votes, 0)
    best = int(votes.argmax())
    shares = np.zeros(len(COLUMNS))
    if 2 * votes[best] > votes.sum():
        shares[best] = 1
    return shares[: len(ORDER)]


def probability(votes: Votes) -> NDArray[np.float64]:
    """Return the shares of the leading classes, or 0 everywhere where people did not agree.

    >>> probability(np.array([5, 0, 0, 4, 1, 0, 0, 0, 0, 0])).round(2)
    array([0.56, 0.  , 0.  , 0.44, 0.  , 0.  , 0.  , 0.  ])
    """
    votes = np.where(votes > 1, votes, 0)
    total, kept, count = votes.sum(), np.zeros(len(COLUMNS)), 0
    for value in sorted(set(votes[votes > 0].tolist()), reverse=True):
        if kept.sum() >= 0.75 * total or count >= 3:
            break
        level = np.flatnonzero(votes == value)
        faces = level[level < len(ORDER)]
        kept[faces] = value
        count += len(faces)
        if len(faces) < len(level):
            if not kept.any():
                return np.zeros(len(ORDER))
            break
    if count > 3 or 2 * kept.sum() <= total:
        return np.zeros(len(ORDER))
    return np.asarray(kept[: len(ORDER)] / kept.sum())


def _each_once(votes: Votes, rule: Callable[[Votes], NDArray[np.float64]]) -> NDArray[np.float64]:
    different, where = np.unique(votes, axis=0, return_inverse=True)
    return np.array([rule(row) for row in different]).reshape(-1, len(ORDER))[where.reshape(-1)]


def _read_votes(path: Path, usage: str) -> tuple[list[int], list[str], Votes]:
    """Return the rows of a Usage, counted from 0, with names and votes."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header = [cell.strip().lower() for cell in next(lines, [])]
        lost = [name for name in ("usage", *COLUMNS) if name.lower() not in header]
        if lost:
            raise DataError(f"{path}: there is no column '{lost[0]}'; it has {', '.join(header)}.")
        place = [header.index(name.lower()) for name in COLUMNS]
        use, name = header.index("usage"), header.index("image name") if "image name" in header else None
        rows, names, votes = [], [], []
        for row, line in enumerate(lines):
            if line and line[use].strip() == usage:
                rows.append(row)
                names.append(image_name(row) if name is None else line[name].strip())
                votes.append(_votes([line[i] for i in place], f"{path}, line {row + 2}"))
    return rows, names, np.array(votes, dtype=np.int64).reshape(-1, len(COLUMNS))


def _read_labels(path: Path) -> tuple[list[int], list[str], Votes]:
    """Return the lines ``name,"(0, 0, 48, 48)",ten votes``; the box may be absent."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [line for line in csv.reader(file) if line]
    votes = [_votes(line[-10:], f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    return list(range(len(lines))), [line[0].strip() for line in lines], np.array(votes).reshape(-1, len(COLUMNS))


def _votes(cells: Sequence[str], where: str) -> list[int]:
    try:
        return [int(float(cell or 0)) for cell in cells]
    except ValueError:
        raise DataError(f"{where}: the votes {', '.join(cells)} are not ten numbers.") from None


def _same_rows(table: PixelTable, listing: Path, rows: Sequence[int], split: str) -> None:
    own = [row for row, usage in enumerate(table.usages) if usage == USAGES[split]]
    if own != list(rows):
        different = next((a for a, b in zip(own, rows, strict=False) if a != b), min(len(own), len(rows)))
        raise DataError(
            f"data set ferplus: {listing} and {table.path} do not have the same rows: {len(rows)} and {len(own)} of "
            f"{USAGES[split]}, the first difference at row {different}."
        )
