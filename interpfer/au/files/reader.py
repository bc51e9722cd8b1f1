"""Action units of images from files: FACS text in a table, or what OpenFace 2, py-feat and LibreFace write.

A table names its images in a column such as ``image`` or ``input`` (py-feat). OpenFace and LibreFace write one table
per picture, without its name: of a folder of such tables, each belongs to the image of its own name.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from interpfer.datasets.facs_text import LARGEST, parse_facs
from interpfer.errors import DataError
from interpfer.types import CodedAU, CodedAUs

IMAGE_COLUMNS = ("image", "input", "file", "filename", "image_path", "img_path", "name")
"""Columns that may name the image, in lower case; the first one that there is does."""

FACE_SCORES = ("confidence", "facescore")
"""Columns, in lower case, that say which of several faces on a picture is the surest."""


@dataclass(frozen=True)
class AUColumn:
    """A column of an action unit.

    Attributes:
        pattern: of its name; the group is the FACS number.
        scale: value of the largest intensity; None where it holds presence, 0 or 1.
        present: smallest value of a present unit, where no other column holds its presence.
    """

    pattern: re.Pattern[str]
    scale: float | None
    present: float


COLUMNS = (
    AUColumn(re.compile(r"AU0*(\d+)_c", re.IGNORECASE), None, 1),  # OpenFace 2, presence
    AUColumn(re.compile(r"AU0*(\d+)_r", re.IGNORECASE), 5, 1),  # OpenFace 2, intensity
    AUColumn(re.compile(r"AU0*(\d+)", re.IGNORECASE), 1, 0.5),  # py-feat
    AUColumn(re.compile(r"au_(\d+)", re.IGNORECASE), None, 1),  # LibreFace, presence
    AUColumn(re.compile(r"au_(\d+)_intensity", re.IGNORECASE), 5, 1),  # LibreFace, intensity
)


@dataclass(frozen=True)
class AUTable:
    """Action units by image.

    Attributes:
        codes: name of an image as written -> its action units; None where it is listed and not coded.
        by_name: the same by the last part of the name, with and without its ending, where it is of one image alone.
    """

    codes: Mapping[str, CodedAUs | None]
    by_name: Mapping[str, CodedAUs | None] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[str, CodedAUs | None] = {}
        repeated: set[str] = set()
        for key, codes in self.codes.items():
            path = PurePosixPath(key)
            for name in {path.name, path.stem}:
                repeated |= {name} & found.keys()
                found[name] = codes
        object.__setattr__(self, "by_name", {key: codes for key, codes in found.items() if key not in repeated})

    def find(self, image: str) -> CodedAUs | None:
        """Return the action units of an image; None where it is not listed or not coded."""
        path = PurePosixPath(image.replace("\\", "/"))
        if str(path) in self.codes:
            return self.codes[str(path)]
        return self.by_name.get(path.name, self.by_name.get(path.stem))


def read_aus(path: Path, threshold: float = 0.0) -> AUTable:
    """Read the action units of images.

    Args:
        path: a table (CSV, or TSV by its ending), or a folder of tables, one per image.
        threshold: smallest intensity in [0, 1] of a present unit; 0 for the rule of the file: the presence that it
            holds, else intensity A (1 of 5), or .5 of a value from 0 to 1.

    Raises:
        DataError: there is no such file, it has no column that names images or none of action units, or a cell is not a
            number or FACS text; the message names the row.
    """
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in (".csv", ".tsv"))
        if not files:
            raise DataError(f"{path} holds no CSV of action units; pass a table, or a folder of one table per image.")
        return AUTable({each.stem: _best_face(each, _read(each), threshold) for each in files})
    if not path.is_file():
        raise DataError(f"file of action units not found: {path}.")
    table = _read(path)
    name = next((column for column in IMAGE_COLUMNS if column in table), None)
    if name is None:
        raise DataError(
            f"{path} names no image: it has no column {', '.join(IMAGE_COLUMNS)}. Add one, or pass a folder of one "
            "table per image, each with the name of its image."
        )
    names = table[name].str.strip().str.replace("\\", "/")
    if (names == "").any():
        raise DataError(f"{path}, line {int(table.index[names == ''][0]) + 2}: the name of the image is missing.")
    return AUTable({str(image): _best_face(path, rows, threshold) for image, rows in table.groupby(names, sort=False)})


def _best_face(path: Path, table: pd.DataFrame, threshold: float) -> CodedAUs | None:
    """Return the action units of the surest face of one picture."""
    if "aus" in table:
        if len(table) > 1:
            raise DataError(f"{path}, line {int(table.index[1]) + 2}: the image stands on several lines.")
        codes = parse_facs(str(table["aus"].iloc[0]), f"{path}, line {int(table.index[0]) + 2}")
        return codes and codes.at_least(threshold)
    columns = _columns(path, table)
    score = next((name for name in FACE_SCORES if name in table), None)
    row = 0 if score is None else int(pd.to_numeric(table[score], errors="coerce").fillna(-1).to_numpy().argmax())
    cells = table.iloc[row]
    if str(cells.get("success", "1")).strip() in ("0", "0.0"):
        return None
    values = {key: _number(path, table, row, column) for key, column in columns.items()}
    return _decide(values, threshold)


def _columns(path: Path, table: pd.DataFrame) -> dict[tuple[int, int], str]:
    """Return (AU, place in ``COLUMNS``) -> name of the column."""
    columns = {}
    for name in map(str, table):
        for place, kind in enumerate(COLUMNS):
            match = kind.pattern.fullmatch(name)
            if match and 1 <= int(match[1]) <= LARGEST:
                columns[int(match[1]), place] = name
    if not columns:
        raise DataError(
            f"{path} has no action units: no column aus (FACS text), AU01_r and AU01_c (OpenFace 2), AU01 (py-feat) or "
            "au_1 (LibreFace)."
        )
    return columns


def _decide(values: Mapping[tuple[int, int], float], threshold: float) -> CodedAUs | None:
    """Return which units are present, out of (AU, place in ``COLUMNS``) -> value, NaN where not coded."""
    active, coded = [], set()
    for au in sorted({au for au, _ in values}):
        known = {place: value for place, value in _of_unit(values, au) if not math.isnan(value)}
        if not known:
            continue
        coded.add(au)
        grades = [value / (COLUMNS[place].scale or 1) for place, value in known.items() if COLUMNS[place].scale]
        intensity = min(max(grades[0], 0.0), 1.0) if grades else math.nan
        decisive = min(known, key=lambda place: COLUMNS[place].scale is not None)
        is_present = known[decisive] >= COLUMNS[decisive].present
        if intensity >= threshold if threshold > 0 and grades else is_present:
            active.append(CodedAU(au, intensity))
    return CodedAUs(tuple(active), frozenset(coded)) if coded else None


def _of_unit(values: Mapping[tuple[int, int], float], wanted: int) -> Iterator[tuple[int, float]]:
    return ((place, value) for (au, place), value in values.items() if au == wanted)


def _number(path: Path, table: pd.DataFrame, row: int, column: str) -> float:
    text = str(table[column].iloc[row]).strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        line = int(table.index[row]) + 2
        raise DataError(f"{path}, line {line}: {column} must be a number, got '{text}'.") from None


def _read(path: Path) -> pd.DataFrame:
    """Return the cells as text; names of columns in lower case, without blanks around them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a line is longer than the header
            table = pd.read_csv(
                path,
                sep="\t" if path.suffix.lower() == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
                encoding="utf-8-sig",
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a table ({error}).") from error
    table.columns = table.columns.str.strip().str.lower()
    if table.empty:
        raise DataError(f"{path} has no rows; it needs a line for each image.")
    return table.replace({"nan": "", "NaN": ""})
