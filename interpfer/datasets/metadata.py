"""Tables beside images: metadata.jsonl, .csv and .parquet of Hugging Face, and labels.csv; from their bytes."""

import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from interpfer.datasets.class_folders import SPLIT_FOLDERS, known_split
from interpfer.datasets.facs_text import parse_facs
from interpfer.datasets.parquet_columns import LABELS
from interpfer.datasets.parquet_files import pyarrow, reading
from interpfer.errors import DataError
from interpfer.files import parse_json
from interpfer.labels import canonical
from interpfer.types import Sample

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
FILE_NAMES = ("file_name", "image_file_name", "image")
"""Columns that hold the name of the image, in order."""

AUS = "aus"
"""Column of action units, in which an empty text means that none is present."""


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        line: number of the line in the file; of a parquet file, of the row, from 1.
        cells: column in lower case -> text.
    """

    line: int
    cells: dict[str, str]


def read_rows(content: bytes, name: str, where: str) -> list[Row]:
    """Return the rows of a table with texts, numbers and truth values as text, without lists and empty cells.

    Args:
        content: bytes of the file.
        name: name of the file, for its format.
        where: file, for messages.

    Raises:
        DataError: it is not such a table.
    """
    if name.endswith(".jsonl"):
        return [row for row in _json_lines(content, where) if any(row.cells.values())]
    if name.endswith(".parquet"):
        with reading(where):
            records = pyarrow("parquet").read_table(pyarrow().BufferReader(content)).to_pylist()
        return [Row(line, _plain(record, f"{where}, row {line}")) for line, record in enumerate(records, 1)]
    return _csv(content, where)


def samples_of(
    rows: Sequence[Row], folder: PurePosixPath, where: str, names: Sequence[str] = ()
) -> Iterator[tuple[Sample, str]]:
    """Yield the sample of each row, whose id is its path below the root, and the split that its row or path names.

    Args:
        rows: rows of the table.
        folder: folder of the table, relative to the root.
        where: file of the table, for messages.
        names: names of the classes by number; empty where numbers are refused.

    Raises:
        DataError: a row names no image, or one outside of the folder, or its label is not a class.
    """
    columns = {name for row in rows for name in row.cells}
    image = next((name for name in FILE_NAMES if name in columns), "")
    if not image:
        raise DataError(f"{where}: the column 'file_name' is missing; it has {', '.join(sorted(columns)) or 'none'}.")
    label = next((name for name in LABELS if name in columns), "")
    for line, cells in rows:
        at, cells = f"{where}, line {line}", dict(cells)
        name = cells.pop(image, "").replace("\\", "/").removeprefix("./")
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or ":" in parts[0] or "\0" in name:
            raise DataError(f"{at}: '{image}' must be a file below the folder of the table, got '{name}'.")
        path = folder / name
        split = known_split(cells.pop("split", "")) or split_of_folders(path)
        units = parse_facs(cells.pop(AUS), at) if AUS in cells else None
        subject = cells.pop("subject", None)
        yield Sample(path.as_posix(), _class(cells.pop(label, ""), names, at), None, subject, units, cells), split


def split_of_folders(path: PurePosixPath) -> str:
    """Return the split that the folders of a file name, the innermost first; "" for none.

    Examples:
        >>> split_of_folders(PurePosixPath("archive/Training/happy/1.jpg"))
        'train'
    """
    known = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
    return next((known[part.lower()] for part in reversed(path.parts[:-1]) if part.lower() in known), "")


def _class(label: str, names: Sequence[str], where: str) -> str:
    if label in ("", "-1"):
        return ""
    if names and label.isascii() and label.isdigit():
        if len(label) > 9 or int(label) >= len(names):
            raise DataError(f"{where}: class {label[:20]} is none of the {len(names)} that README.md names.")
        label = names[int(label)]
    try:
        return canonical(label)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _json_lines(content: bytes, where: str) -> Iterator[Row]:
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            found = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}, line {line}: not JSON ({str(error)[:100]}).") from error
        if not isinstance(found, dict):
            raise DataError(f"{where}, line {line}: not a JSON object.")
        yield Row(line, _plain(found, f"{where}, line {line}"))


def _csv(content: bytes, where: str) -> list[Row]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a line is longer than the header
            table = pd.read_csv(
                io.BytesIO(content),
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=False,
                index_col=False,
                encoding="utf-8-sig",
            ).fillna("")
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning, OverflowError) as error:
        raise DataError(f"{where}: not a CSV table ({' '.join(str(error).split())[:200]}).") from error
    records = table.to_dict("records")
    rows = [Row(line, _plain(record, f"{where}, line {line}")) for line, record in enumerate(records, 2)]
    return [row for row in rows if any(row.cells.values())]


def _plain(record: dict[Any, Any], where: str) -> dict[str, str]:
    """Return the cells that are texts, numbers or truth values; of empty ones only that of action units."""
    cells: dict[str, str] = {}
    for column, value in record.items():
        name = str(column).strip().lower()
        if name in cells:
            raise DataError(f"{where}: two columns are called '{name}'.")
        if isinstance(value, str | int | float) and ((text := str(value).strip()) or name == AUS):
            cells[name] = text
    return cells
