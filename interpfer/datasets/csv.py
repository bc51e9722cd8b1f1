"""A data set given by a CSV file of images and labels."""

import warnings
from pathlib import Path
from typing import ClassVar

import pandas as pd

from interpfer.datasets.base import ALL, Dataset, require_root, require_split
from interpfer.errors import DataError
from interpfer.labels import canonical
from interpfer.types import Sample


class CsvDataset(Dataset):
    """DIR/labels.csv with the columns image, label and optionally split and subject.

    Image names are relative to DIR/images if it exists, else to DIR. Without the column split, every row belongs to
    every split.
    """

    name: ClassVar[str] = "csv"
    summary: ClassVar[str] = "DIR/labels.csv with columns image,label[,split,subject]; images in DIR/images or DIR"

    @classmethod
    def open(cls, root: Path | None, split: str, seed: int = 0) -> "CsvDataset":  # noqa: ARG003
        """Read labels.csv.

        Raises:
            DataError: the file or a column is missing, or a split or label is unknown; the message names the line.
        """
        folder = require_root(root, cls.name)
        path = folder / "labels.csv"
        table = _read(path)
        for column in ("image", "label"):
            if column not in table:
                raise DataError(
                    f"{path}: the column '{column}' is missing; it has {', '.join(table.columns)}. "
                    "The first line must name the columns: image,label."
                )
        if "split" in table:
            require_split(split, sorted(set(table["split"].str.strip())), str(path))
            table = table[table["split"].str.strip() == split]
        images = folder / "images" if (folder / "images").is_dir() else folder
        subjects = table["subject"] if "subject" in table else [""] * len(table)
        samples = []
        for line, image, label, subject in zip(table.index + 2, table["image"], table["label"], subjects, strict=True):
            if not image.strip():
                raise DataError(f"{path}, line {line}: the name of the image is missing.")
            try:
                expression = canonical(label) if label.strip() else ""
            except DataError as error:
                raise DataError(f"{path}, line {line}: {error}") from error
            samples.append(Sample(image.strip(), expression, images / image.strip(), subject.strip() or None))
        if not samples:
            raise DataError(f"{path} has no rows; it needs the columns image and label, and one line per image.")
        dataset = cls(samples, split if "split" in table else ALL, folder)
        if "split" not in table:
            dataset.warn_no_splits(split, f"{path} has no column split")
        return dataset

    @classmethod
    def available_splits(cls, root: Path | None) -> tuple[str, ...]:
        """Return the splits named in the file; "all" if it has no column split."""
        table = _read(require_root(root, cls.name) / "labels.csv")
        return tuple(sorted(set(table["split"].str.strip()))) if "split" in table else (ALL,)


def _read(path: Path) -> pd.DataFrame:
    """Return the cells as text, with column names in lower case; row i is line i + 2 of the file."""
    if not path.is_file():
        raise DataError(f"data set csv: file not found: {path}; it needs the columns image and label.")
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
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV table ({error}).") from error
    table = table.fillna("")
    table.columns = table.columns.str.strip().str.lower()
    return table[(table != "").any(axis=1)]
