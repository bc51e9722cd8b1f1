"""A data set of clips given by a CSV file."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from interpfer.datasets.base import ALL, QUIET_SPLITS, require_root, require_split
from interpfer.datasets.clip_dataset import ClipDataset
from interpfer.datasets.clip_files import Clip, Listing
from interpfer.datasets.csv import read_attributes, read_table
from interpfer.datasets.images import existing_path
from interpfer.datasets.sampling import Sampling
from interpfer.errors import DataError
from interpfer.files import exists

TABLE = "clips.csv"
COLUMNS = ("clip", "label", "split", "subject", "start", "end")
"""Columns with a meaning of their own."""


class ClipsDataset(ClipDataset):
    """DIR/clips.csv with the columns clip, label and optionally split, subject, start and end (seconds of a video).

    A clip is a video or a folder of frames, relative to DIR/clips or to DIR. Any other column is an attribute of the
    clip. Without the column split, every clip belongs to every split. A row with a wrong label, time or file is left
    out, counted and named.
    """

    name: ClassVar[str] = "clips"
    summary: ClassVar[str] = "DIR/clips.csv with columns clip,label[,split,subject,start,end]; videos or frame folders"
    any_class: ClassVar[bool] = True
    aliases: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def resolve_split(cls, split: str) -> str:
        """Return the name of a split, which the file defines."""
        return split

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """Read clips.csv.

        Raises:
            DataError: the file or a column is missing, or the split is unknown.
        """
        path = root / TABLE
        table = read_table(path, cls.name, "clip and label")
        for column in ("clip", "label"):
            if column not in table:
                raise DataError(
                    f"{path}: the column '{column}' is missing; it has {', '.join(table.columns)}. "
                    "The first line must name the columns: clip,label."
                )
        notes: tuple[str, ...] = ()
        if "split" in table:
            require_split(split, sorted(set(table["split"].str.strip())), str(path))
            table = table[table["split"].str.strip() == split]
        elif split not in QUIET_SPLITS:
            notes = (f"{path} has no column split: all {len(table)} clips are used instead of the split '{split}'.",)
        clips, damaged = list[Clip](), dict[str, str]()
        rows = zip(table.index + 2, table.to_dict("records"), read_attributes(table, COLUMNS), strict=True)
        for line, row, attributes in rows:
            cells = {str(key): str(value).strip() for key, value in row.items()}
            name = cells["clip"].replace("\\", "/").removeprefix("./").rstrip("/")
            try:
                if not name:
                    raise DataError("the name of the clip is missing")
                start, end = (_seconds(cells.get(column, ""), column) for column in ("start", "end"))
            except DataError as error:
                damaged[name or f"line {line}"] = f"{path}, line {line}: {error}"
                continue
            part = "" if start is None and end is None else f"@{cells.get('start', '')}-{cells.get('end', '')}"
            clips.append(
                Clip(
                    f"{name}{part}",
                    cells["label"],
                    _find(root, name),
                    cells.get("subject") or None,
                    attributes,
                    start,
                    end,
                )
            )
        return Listing(clips, split if "split" in table else ALL, notes, damaged)

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits named in the file; "all" if it has no column split."""
        table = read_table(require_root(root, cls.name) / TABLE, cls.name, "clip and label")
        return tuple(sorted(set(table["split"].str.strip()))) if "split" in table else (ALL,)


def _find(root: Path, name: str) -> Path:
    """Return the path of a clip below ``root``/clips, else below ``root``."""
    inner = existing_path(root / "clips" / name)
    return inner if exists(inner) else existing_path(root / name)


def _seconds(cell: str, column: str) -> float | None:
    """Return a time in seconds; None for an empty cell."""
    if not cell:
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{column} must be seconds from 0, got '{cell}'")
    return value
