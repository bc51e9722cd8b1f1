"""A data set given by a CSV file of images and labels."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from interpfer.datasets.base import ALL, Dataset, require_root, require_split
from interpfer.datasets.facs_text import parse_facs
from interpfer.datasets.images import existing_path
from interpfer.errors import DataError
from interpfer.files import exists, is_file
from interpfer.labels import canonical
from interpfer.types import Sample

COLUMNS = ("image", "label", "split", "subject", "aus")
"""Columns with a meaning of their own."""

SAMPLE = 20
"""Images of a table that are looked for before all are."""


class CsvDataset(Dataset):
    """DIR/labels.csv with the columns image, label and optionally split, subject and aus (FACS text).

    Any other column is an attribute of the images.

    Image names are relative to DIR/images or to DIR, with slashes or backslashes; of a path that does not exist, such
    as one of another machine, the longest end that does is used. Without the column split, every row belongs to every
    split.
    """

    name: ClassVar[str] = "csv"
    action_units: ClassVar[str] = "the column aus"
    summary: ClassVar[str] = "DIR/labels.csv with columns image,label[,split,subject,aus]; images in DIR/images or DIR"

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "CsvDataset":  # noqa: ARG003
        """Read labels.csv.

        Raises:
            DataError: the file or a column is missing, or a split or label is unknown; the message names the line.
        """
        folder = require_root(root, cls.name)
        path = folder / "labels.csv"
        table = read_table(path)
        for column in ("image", "label"):
            if column not in table:
                raise DataError(
                    f"{path}: the column '{column}' is missing; it has {', '.join(table.columns)}. "
                    "The first line must name the columns: image,label."
                )
        if "split" in table:
            require_split(split, sorted(set(table["split"].str.strip())), str(path))
            table = table[table["split"].str.strip() == split]
        names = [image.strip() for image in table["image"]]
        paths, note = find_images(folder, names, path)
        subjects = table["subject"] if "subject" in table else [""] * len(table)
        codes = table["aus"] if "aus" in table else ["?"] * len(table)
        samples = []
        columns = table.index + 2, names, paths, table["label"], subjects, codes, read_attributes(table)
        for line, name, image, label, subject, aus, attributes in zip(*columns, strict=True):
            if not name:
                raise DataError(f"{path}, line {line}: the name of the image is missing.")
            try:
                expression = canonical(label) if label.strip() else ""
            except DataError as error:
                raise DataError(f"{path}, line {line}: {error}") from error
            units = parse_facs(aus, f"{path}, line {line}")
            samples.append(Sample(name, expression, image, subject.strip() or None, units, attributes))
        if not samples:
            raise DataError(f"{path} has no rows; it needs the columns image and label, and one line per image.")
        dataset = cls(samples, split if "split" in table else ALL, folder)
        if "split" not in table:
            dataset.warn_no_splits(split, f"{path} has no column split")
        dataset.notes = (*dataset.notes, note) if note else dataset.notes
        return dataset

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits named in the file; "all" if it has no column split."""
        table = read_table(require_root(root, cls.name) / "labels.csv")
        return tuple(sorted(set(table["split"].str.strip()))) if "split" in table else (ALL,)


def find_images(folder: Path, names: Sequence[str], table: Path) -> tuple[list[Path], str]:
    """Return the file of each image of a table, and a note if names were found by their ends alone.

    Files are looked for one by one only if some of a sample are not where they are expected.

    Args:
        folder: folder of the data set.
        names: names in the table.
        table: the table, for messages.

    Raises:
        DataError: two names end in the same file.
    """
    places = [folder / "images", folder] if (folder / "images").is_dir() else [folder]
    expected = [places[0] / name for name in names]
    if all(exists(existing_path(path)) for path in expected[:: max(len(expected) // SAMPLE, 1)]):
        return expected, ""
    paths, by_end = [], dict[Path, str]()
    for name, default in zip(names, expected, strict=True):
        path, is_end = _find(places, name)
        if path is not None and is_end and by_end.setdefault(path, name) != name:
            raise DataError(f"{table}: {by_end[path]} and {name} both end in {path}; give names below {folder}.")
        paths.append(path or default)
    if not by_end:
        return paths, ""
    path, name = next(iter(by_end.items()))
    return paths, f"{table}: {len(by_end)} images were found by the ends of their names, such as {name} as {path}."


def _find(places: Sequence[Path], name: str) -> tuple[Path | None, bool]:
    """Return the file that a name stands for, and whether only an end of the name led to it."""
    plain = name.replace("\\", "/").removeprefix("./")
    parts = [part for part in plain.split("/") if part]
    ends = ["/".join(parts[i:]) for i in range(len(parts))]
    for option in dict.fromkeys([name, plain, *ends]):
        for place in places:
            if option and is_file(existing_path(place / option)):
                return place / option, option not in (name, plain)
    return None, False


def read_attributes(table: pd.DataFrame, columns: Sequence[str] = COLUMNS) -> list[dict[str, str]]:
    """Return the cells of each row in the columns that have no meaning of their own, without empty ones."""
    names = [name for name in table.columns if name not in columns]
    cells = [table[name].str.strip().tolist() for name in names]
    rows = zip(*cells, strict=True) if names else ((),) * len(table)
    return [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]


def read_table(path: Path, name: str = "csv", needed: str = "image and label") -> pd.DataFrame:
    """Return the cells of a CSV file as text, with column names in lower case; row i is line i + 2 of the file.

    Args:
        path: the file.
        name: data set, for messages.
        needed: columns it needs, for messages.

    Raises:
        DataError: there is no such file, or it is no table.
    """
    if not path.is_file():
        raise DataError(f"data set {name}: file not found: {path}; it needs the columns {needed}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a line is longer than the header
            table = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                skipinitialspace=True,
                skip_blank_lines=False,
                index_col=False,
                encoding="utf-8-sig",
            )
    except (ValueError, pd.errors.ParserWarning, OverflowError) as error:  # those of pandas are ValueErrors
        raise DataError(f"{path}: not a CSV table ({error}).") from error
    table = table.fillna("")
    table.columns = table.columns.str.strip().str.lower()
    return table[(table != "").any(axis=1)]
