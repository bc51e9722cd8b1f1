"""Files of tables: parquet, and folders of ``save_to_disk``, which are Arrow streams with their list in state.json."""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interpfer.datasets.base import require_split
from interpfer.datasets.class_folders import known_split
from interpfer.datasets.stored import split_of
from interpfer.errors import DataError, PluginError
from interpfer.files import is_file, parse_json

STATE, SAVED_SPLITS = "state.json", "dataset_dict.json"
"""Files of ``save_to_disk``: beside the rows of a split, and above all of them."""

METADATA = "metadata.parquet"
"""Table of a folder of images, which holds no pictures."""

PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})")


def list_tables(root: Path) -> list[Path]:
    """Return the files of rows below a folder in order.

    Raises:
        DataError: a file that state.json lists is missing, or rows were selected in a file beside them.
    """
    found = [path for path in root.rglob("*.parquet") if path.name != METADATA]
    folders = {path.parent for path in root.rglob("*.arrow")}
    saved = {path.parent for path in root.rglob(STATE)}
    for folder in sorted(folders | saved):
        found += _saved_files(folder)
    return sorted(found)


def split_of_table(path: Path, root: Path) -> str:
    """Return the split of a file: its name in a folder of ``save_to_disk``, else as ``split_of``; "" for none."""
    if path.suffix == ".arrow":
        if (path.parent.parent / SAVED_SPLITS).is_file():
            return known_split(path.parent.name)
        if stated := _read_object(path.parent / STATE).get("_split"):
            return known_split(str(stated))
    return split_of(path, root)


def tables_of_split(root: Path, split: str, files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the files of a split in order, all where none names one; and notes on what is not there or not read.

    Args:
        root: folder of the data set.
        split: name of the split.
        files: all files, of ``list_tables``.

    Raises:
        SplitError: the files name other splits.
        DataError: those of the split are of several data sets.
    """
    by_split: dict[str, list[Path]] = {}
    for path in files:
        by_split.setdefault(split_of_table(path, root), []).append(path)
    if set(by_split) == {""}:
        chosen, notes = list(files), list[str]()
    else:
        require_split(split, sorted(set(by_split) - {""}), f"data set parquet: {root}")
        chosen, other = by_split[split], by_split.get("", [])
        notes = [f"{len(other)} files name no split and are not read, such as {other[0]}"] if other else []
    folders = sorted({path.parent for path in chosen})
    apart = [folder for folder in folders if folders[0] not in (folder, *folder.parents)]
    if apart and (split in by_split or any(path.suffix == ".arrow" for path in chosen)):
        raise DataError(
            f"data set parquet: {folders[0]} and {apart[0]} both hold rows of the split '{split}'; pass one of them "
            "with --data-root."
        )
    return chosen, notes + missing_parts(chosen)


def missing_parts(files: Sequence[Path]) -> list[str]:
    """Return a sentence for each table of which parts are missing, by names such as ``train-00000-of-00005``.

    Examples:
        >>> missing_parts([Path("d/train-00000-of-00002.parquet")])
        ['only 1 of the 2 parts of d/train-*-of-00002.parquet is there, and the others are not scored']
    """
    counts: dict[tuple[Path, str, str, str], int] = {}
    for path in files:
        if part := PART.fullmatch(path.stem):
            key = path.parent, part["stem"], part["count"], path.suffix
            counts[key] = counts.get(key, 0) + 1
    return [
        f"only {count} of the {int(total)} parts of {folder / stem}-*-of-{total}{suffix} "
        f"{'is' if count == 1 else 'are'} there, and the others are not scored"
        for (folder, stem, total, suffix), count in counts.items()
        if count != int(total)
    ]


def read_schema(path: Path) -> Any:
    """Return the schema of a file.

    Raises:
        DataError: it is not a readable table.
    """
    with reading(path):
        if path.suffix == ".parquet":
            return pyarrow("parquet").read_schema(path)
        with pyarrow().memory_map(str(path)) as source:
            return pyarrow().ipc.open_stream(source).schema


def read_tables(path: Path, columns: Sequence[str], only: int | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the row groups of a file with some columns; an Arrow stream, which stays on disk, is one with number -1.

    Args:
        path: the file.
        columns: names of columns, and of fields in them.
        only: number of the only row group to read; None for all.

    Raises:
        DataError: it is not a readable table.
    """
    with reading(path):
        if path.suffix == ".parquet":
            file = pyarrow("parquet").ParquetFile(path)
            for index in range(file.num_row_groups) if only is None else (only,):
                yield index, _validated(file.read_row_group(index, columns=list(columns)))
        else:
            table = pyarrow().ipc.open_stream(pyarrow().memory_map(str(path))).read_all()
            yield -1, _validated(table.select(list(dict.fromkeys(name.partition(".")[0] for name in columns))))


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn what pyarrow raises for a damaged file into one line."""
    try:
        yield
    except (DataError, PluginError):
        raise
    except (OSError, ValueError, LookupError, TypeError, MemoryError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a readable table ({reason}).") from error


def _validated(table: Any) -> Any:
    """Return a table whose offsets and texts are as its types need: Arrow files are read without that check."""
    table.validate(full=True)
    return table


def pyarrow(module: str = "") -> Any:
    """Return pyarrow, or a module of it.

    Raises:
        PluginError: it is not installed.
    """
    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise PluginError("tables need pyarrow: pip install 'interpfer[parquet]'.") from error


def _saved_files(folder: Path) -> list[Path]:
    """Return the files of rows in a folder of ``save_to_disk``; without state.json, all Arrow files in it."""
    state = _read_object(folder / STATE)
    selection = [name for name, value in state.items() if name.startswith("_indices") and value]
    if selection or any(folder.glob("indices*.arrow")):
        raise DataError(
            f"{folder} holds a selection of its rows in a file of its own; write it again after flatten_indices()."
        )
    listed = state.get("_data_files")
    if not listed:
        return [path for path in folder.glob("*.arrow") if not path.name.startswith("cache-")]
    names = [each.get("filename") if isinstance(each, Mapping) else each for each in _as_list(listed)]
    if not all(isinstance(name, str) and name == Path(name).name and name.endswith(".arrow") for name in names):
        raise DataError(f"{folder / STATE}: _data_files must list Arrow files of this folder.")
    if missing := [name for name in names if not is_file(folder / str(name))]:
        raise DataError(f"{folder}: {missing[0]} is missing, which {STATE} lists; copy the whole folder.")
    return [folder / str(name) for name in names]


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        found = parse_json(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON ({error}).") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a JSON object.")
    return found
