"""FERPlus: the pictures of FER2013 with the votes of ten people."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.discovery import find_path
from interpfer.datasets.fer2013 import TABLES, PixelDataset
from interpfer.datasets.pixel_csv import USAGES, PixelTable, image_name
from interpfer.errors import DataError
from interpfer.files import CsvRows
from interpfer.types import Sample

ORDER = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*ORDER, "unknown", "NF")
FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
Votes = NDArray[np.int64]


class FerPlusDataset(PixelDataset):
    """``fer2013new.csv`` next to ``fer2013.csv``, or the folders that Microsoft's script writes.

    The rows of the two tables are matched by their order, which is checked by Usage. Folders: ``FER2013Train``,
    ``FER2013Valid`` and ``FER2013Test`` with ``fer0000000.png``, and ``fer2013new.csv`` or a ``label.csv`` in each.
    The label is the class with more than half of the votes (the mode `majority` of Microsoft's reader), where single
    votes are ignored; a picture without a majority, or with one for unknown or no face, is left out.

    Attributes:
        probabilities: (n, 8) shares of the votes per class in ``order``.
    """

    name: ClassVar[str] = "ferplus"
    summary: ClassVar[str] = "FERPlus, majority label: fer2013new.csv next to fer2013.csv, or FER2013Train/ .."
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    aliases: ClassVar[Mapping[str, str]] = {**Dataset.aliases, **{usage: split for split, usage in USAGES.items()}}
    order: ClassVar[tuple[str, ...]] = ORDER
    licence: ClassVar[str] = "votes: MIT; pictures: as FER2013"
    request: ClassVar[str] = "https://github.com/microsoft/FERPlus (pictures: see fer2013)"
    probabilities: NDArray[np.float64]

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "FerPlusDataset":  # noqa: ARG003
        """Read the votes and find the pictures.

        Raises:
            DataError: votes or pictures are not found, or do not match.
        """
        folder = require_root(root, cls.name)
        split = cls.resolve_split(split)
        pictures = find_path(folder, FOLDERS[split])
        path = find_path(folder, *TABLES)
        if listing := find_path(folder, "fer2013new.csv"):
            rows, names, votes = _read_votes(listing, USAGES[split])
        elif pictures and (pictures / "label.csv").is_file():
            rows, names, votes = _read_labels(pictures / "label.csv")
            path = None
        else:
            raise cls.missing_error(folder, "fer2013new.csv", f"{FOLDERS[split]}/label.csv")
        table = None
        if path:
            table = PixelTable(path)
            _require_same_rows(table, listing or path, rows, split)
        elif not pictures:
            raise cls.missing_error(folder, *TABLES, FOLDERS[split])
        shares = cls.shares(votes)
        labelled = [i for i in range(len(rows)) if shares[i].any() and names[i]]
        samples = [
            Sample(names[i], ORDER[int(shares[i].argmax())], None if table or not pictures else pictures / names[i])
            for i in labelled
        ]
        dataset = cls(samples, split, folder, table, [rows[i] for i in labelled])
        dataset.probabilities = shares[labelled]
        if len(labelled) < len(rows):
            dataset.left_out = {"without agreement on an expression": len(rows) - len(labelled)}
        return dataset

    @classmethod
    def shares(cls, votes: Votes) -> NDArray[np.float64]:
        """Return (n, 8) shares per class from (n, 10) votes, all 0 for a picture to leave out."""
        return _apply_rule(votes, majority)


class FerPlusProbabilityDataset(FerPlusDataset):
    """FERPlus in the mode `probability`: up to three classes that together have three quarters of the votes.

    The label is the class with most votes, so that more pictures have one; ``probabilities`` has all of them.
    """

    name: ClassVar[str] = "ferplus-probability"
    summary: ClassVar[str] = "FERPlus, probabilities of up to three classes per picture, the largest as label"

    @classmethod
    def shares(cls, votes: Votes) -> NDArray[np.float64]:
        """Return (n, 8) shares per class from (n, 10) votes, all 0 for a picture to leave out."""
        return _apply_rule(votes, probability)


def majority(votes: Votes) -> NDArray[np.float64]:
    """Return 1 for the class with more than half of the votes, ignoring single votes; 0 everywhere if there is none.

    Examples:
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
    """Return the shares of the leading classes; 0 everywhere if there is no agreement.

    Examples:
        >>> probability(np.array([5, 0, 0, 4, 1, 0, 0, 0, 0, 0])).round(2)
        array([0.56, 0.  , 0.  , 0.44, 0.  , 0.  , 0.  , 0.  ])
    """
    votes = np.where(votes > 1, votes, 0)
    total, leading, count = votes.sum(), np.zeros(len(COLUMNS)), 0
    for value in sorted(set(votes[votes > 0].tolist()), reverse=True):
        if leading.sum() >= 0.75 * total or count >= 3:
            break
        columns = np.flatnonzero(votes == value)
        classes = columns[columns < len(ORDER)]
        leading[classes] = value
        count += len(classes)
        if len(classes) < len(columns):
            if not leading.any():
                return np.zeros(len(ORDER))
            break
    if count > 3 or 2 * leading.sum() <= total:
        return np.zeros(len(ORDER))
    return np.asarray(leading[: len(ORDER)] / leading.sum())


def _apply_rule(votes: Votes, rule: Callable[[Votes], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Apply a rule to each row of votes; equal rows are computed once."""
    distinct, index = np.unique(votes, axis=0, return_inverse=True)
    return np.array([rule(row) for row in distinct]).reshape(-1, len(ORDER))[index.reshape(-1)]


def _read_votes(path: Path, usage: str) -> tuple[list[int], list[str], Votes]:
    """Return the rows of a Usage, counted from 0, with names and votes."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = CsvRows(file, path)
        header = [cell.strip().lower() for cell in next(lines, [])]
        missing = [name for name in ("usage", *COLUMNS) if name.lower() not in header]
        if missing:
            raise DataError(f"{path}: the column '{missing[0]}' is missing; it has {', '.join(header)}.")
        vote_columns = [header.index(name.lower()) for name in COLUMNS]
        usage_column = header.index("usage")
        name_column = header.index("image name") if "image name" in header else None
        rows, names, votes = [], [], []
        for row, line in enumerate(lines):
            if line and line[usage_column].strip() == usage:
                rows.append(row)
                names.append(image_name(row) if name_column is None else line[name_column].strip())
                votes.append(_parse_votes([line[i] for i in vote_columns], f"{path}, line {row + 2}"))
    return rows, names, np.array(votes, dtype=np.int64).reshape(-1, len(COLUMNS))


def _read_labels(path: Path) -> tuple[list[int], list[str], Votes]:
    """Return rows, names and votes of the lines ``name,"(0, 0, 48, 48)",ten votes``; the box is optional."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [line for line in CsvRows(file, path) if line]
    votes = [_parse_votes(line[-10:], f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    return list(range(len(lines))), [line[0].strip() for line in lines], np.array(votes).reshape(-1, len(COLUMNS))


def _parse_votes(cells: Sequence[str], where: str) -> list[int]:
    try:
        return [int(float(cell or 0)) for cell in cells]
    except (ValueError, OverflowError):
        raise DataError(f"{where}: the votes must be ten numbers, got {', '.join(cells)}.") from None


def _require_same_rows(table: PixelTable, listing: Path, rows: Sequence[int], split: str) -> None:
    table_rows = [row for row, usage in enumerate(table.usages) if usage == USAGES[split]]
    if table_rows != list(rows):
        pairs = zip(table_rows, rows, strict=False)
        first = next((a for a, b in pairs if a != b), min(len(table_rows), len(rows)))
        raise DataError(
            f"data set ferplus: {listing} and {table.path} do not have the same rows: {len(rows)} and "
            f"{len(table_rows)} of {USAGES[split]}; the first difference is at row {first}."
        )
