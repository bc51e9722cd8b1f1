"""Tables of Hugging Face: parquet files, and folders of `save_to_disk`; read a row group at a time."""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from interpfer.datasets.base import ALL, require_root, require_split
from interpfer.datasets.stored import StoredDataset, split_of
from interpfer.errors import DataError, PluginError
from interpfer.labels import canonical
from interpfer.types import Sample

LABELS = ("label", "labels", "emotion", "expression", "class")
"""Columns that hold the class where the schema says nothing, in order."""

IMAGES = ("image", "img", "img_bytes", "bytes", "jpg", "png")
"""Columns that hold the picture where the schema says nothing, in order."""

SUBJECT = "subject"


class _Block(NamedTuple):
    """Rows of a file that are read together.

    Attributes:
        path: the file.
        group: row group of a parquet file; -1 for all of an Arrow stream.
        start: row of the data set with which it begins.
    """

    path: Path
    group: int
    start: int


class ParquetDataset(StoredDataset):
    """DIR/**/*.parquet with a column of pictures and one of labels, or a folder of ``save_to_disk``.

    Names of classes are those that the schema states, or texts; numbers without names are refused, because their order
    is not known. The split of a file is that of its name (``train-00000-of-00001.parquet``) or of its folder. Other
    columns of texts and numbers are attributes; ``subject`` is the person. A label of -1 is none.

    Args:
        samples: rows of the split.
        split: name of the split.
        root: folder of the data set.
        blocks: where the rows lie.
        column: name of the column of pictures.
    """

    name: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "tables of Hugging Face: *.parquet with names of classes in the schema, or save_to_disk"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        samples: Sequence[Sample],
        split: str,
        root: str | Path,
        blocks: Sequence[_Block] = (),
        column: str = "image",
    ) -> None:
        super().__init__(samples, split, root)
        self._blocks, self._column = tuple(blocks), column
        self._read = lru_cache(maxsize=2)(self._read_block)

    @classmethod
    def open(cls, root: str | Path | None, split: str, seed: int = 0) -> "ParquetDataset":  # noqa: ARG003
        """Read labels and names; no picture.

        Raises:
            DataError: there is no table, or its columns or the names of its classes are not known.
            PluginError: pyarrow is not installed.
        """
        folder = require_root(root, cls.name)
        files = _files_of(folder, split)
        columns = _Columns.find(_schema(files[0]), files[0])
        samples, blocks = list[Sample](), list[_Block]()
        for path in files:
            for index, table in _tables(path, columns.without_pictures):
                blocks.append(_Block(path, index, len(samples)))
                samples += columns.samples(table, len(samples), split, path)
        if len({sample.id for sample in samples}) < len(samples):
            samples = [Sample(f"{split}_{row:07d}", *_rest(sample)) for row, sample in enumerate(samples)]
        found = cls(samples, split if split_of(files[0], folder) else ALL, folder, blocks, columns.picture)
        if found.split == ALL:
            found.warn_no_splits(split, f"the files of {folder} name no split")
        return found

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that files name; "all" if none does."""
        folder = require_root(root, cls.name)
        return tuple(sorted({split_of(path, folder) for path in _all_files(folder)} - {""})) or (ALL,)

    def content(self, index: int) -> bytes:
        """Return the bytes of the file of a picture.

        Raises:
            DataError: the row holds none.
        """
        place = next(n for n in reversed(range(len(self._blocks))) if self._blocks[n].start <= index)
        cell = self._read(place)[index - self._blocks[place].start].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes) or not content:
            raise DataError(f"{self.samples[index].id}: the row of {self._blocks[place].path} holds no picture.")
        return content

    def _read_block(self, place: int) -> Any:
        block = self._blocks[place]
        return dict(_tables(block.path, [self._column], block.group))[block.group].column(0)


class _Columns(NamedTuple):
    """Columns of a table.

    Attributes:
        picture: name of the column of pictures.
        has_path: whether its cells have a path beside the bytes.
        label: name of the column of labels; "" for none.
        names: names of the classes by number; empty where labels are texts.
        others: names of columns of texts and numbers.
    """

    picture: str
    has_path: bool
    label: str
    names: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def find(cls, schema: Any, path: Path) -> "_Columns":
        """Find the columns of a schema.

        Raises:
            DataError: one is missing or not clear, or numbers of classes have no names.
        """
        types = importlib.import_module("pyarrow.types")
        features = _features(schema, path)
        pictures = [name for name in schema.names if features.get(name, {}).get("_type") == "Image"]
        pictures = pictures or [name for name in IMAGES if name in schema.names]
        classes = [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
        named = [name for name in LABELS if name in schema.names]
        labels = [name for name in named if name in classes] or (classes if len(classes) == 1 else named)
        if not pictures:
            raise DataError(f"{path}: no column holds pictures; it has {', '.join(schema.names)}.")
        if len(classes) > 1 and not labels:
            raise DataError(f"{path}: several columns hold classes ({', '.join(classes)}); rename one to label.")
        label = labels[0] if labels else ""
        names = tuple(features.get(label, {}).get("names") or ())
        if label and not names and types.is_integer(schema.field(label).type):
            raise DataError(
                f"{path}: the classes of the column '{label}' are numbers, and the schema does not name them; write it "
                "again with a ClassLabel, or with texts."
            )
        cell = schema.field(pictures[0]).type
        others = tuple(
            each.name for each in schema if each.name not in (pictures[0], label) and _is_plain(types, each.type)
        )
        return cls(pictures[0], types.is_struct(cell) and cell.get_field_index("path") >= 0, label, names, others)

    @property
    def without_pictures(self) -> list[str]:
        """What is read of all rows at once."""
        label = [self.label] if self.label else []
        return [*label, *self.others, *([f"{self.picture}.path"] if self.has_path else [])]

    def samples(self, table: Any, start: int, split: str, path: Path) -> Iterator[Sample]:
        """Yield the samples of a table that begins with row ``start`` of the data set.

        Raises:
            DataError: a label is not a class.
        """
        rows = table.num_rows
        labels = table.column(self.label).to_pylist() if self.label else [None] * rows
        paths = (
            table.column(self.picture).combine_chunks().field("path").to_pylist() if self.has_path else [None] * rows
        )
        cells = [table.column(name).to_pylist() for name in self.others]
        for row in range(rows):
            label, name = labels[row], paths[row] or f"{split}_{start + row:07d}"
            attributes = {
                other: str(cell[row]) for other, cell in zip(self.others, cells, strict=True) if cell[row] is not None
            }
            subject = attributes.pop(SUBJECT, None)
            yield Sample(name, self._label(label, path, start + row), None, subject, None, attributes)

    def _label(self, label: Any, path: Path, row: int) -> str:
        if label is None or label == -1 or label == "":
            return ""
        if self.names:
            if not isinstance(label, int) or not 0 <= label < len(self.names):
                raise DataError(f"{path}, row {row}: class {label} is none of the {len(self.names)} that are named.")
            label = self.names[label]
        try:
            return canonical(str(label))
        except DataError as error:
            raise DataError(f"{path}, row {row}: {error}") from error


def _rest(sample: Sample) -> tuple[Any, ...]:
    return sample.label, sample.path, sample.subject, sample.aus, sample.attributes


def _is_plain(types: Any, kind: Any) -> bool:
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return any(check(kind) for check in checks)


def _features(schema: Any, path: Path) -> Mapping[str, Any]:
    """Return the features that Hugging Face states in the schema, or beside an Arrow file; empty for none."""
    stated = (schema.metadata or {}).get(b"huggingface")
    try:
        if stated:
            return dict(json.loads(stated)["info"]["features"])
        info = path.parent / "dataset_info.json"
        return dict(json.loads(info.read_text("utf-8"))["features"]) if info.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the features of its schema cannot be read ({error}).") from error


def _all_files(root: Path) -> list[Path]:
    return sorted([*root.rglob("*.parquet"), *(path for path in root.rglob("*.arrow") if "cache-" not in path.name)])


def _files_of(root: Path, split: str) -> list[Path]:
    """Return the files of a split in order; all, where none names one.

    Raises:
        DataError: there are none, or rows were selected in a file beside them.
    """
    files = _all_files(root)
    if not files:
        raise ParquetDataset.missing_error(root, "*.parquet", "data-00000-of-0000N.arrow")
    by_split: dict[str, list[Path]] = {}
    for path in files:
        by_split.setdefault(split_of(path, root), []).append(path)
    if set(by_split) == {""}:
        chosen = files
    else:
        wanted = ParquetDataset.aliases.get(split, split)
        require_split(wanted, sorted(set(by_split) - {""}), f"data set parquet: {root}")
        chosen = by_split[wanted]
    for folder in {path.parent for path in chosen if path.suffix == ".arrow"}:
        state = folder / "state.json"
        if state.is_file() and json.loads(state.read_text("utf-8")).get("_indices_files"):
            raise DataError(
                f"{folder} holds a selection of its rows in a file of its own; write it again after flatten_indices()."
            )
    return chosen


def _schema(path: Path) -> Any:
    with _reading(path):
        if path.suffix == ".parquet":
            return _pyarrow("parquet").read_schema(path)
        with _pyarrow().memory_map(str(path)) as source:
            return _pyarrow().ipc.open_stream(source).schema


def _tables(path: Path, columns: list[str], only: int | None = None) -> Iterable[tuple[int, Any]]:
    """Yield the row groups of a file, or the one of them, with some columns."""
    with _reading(path):
        if path.suffix == ".parquet":
            file = _pyarrow("parquet").ParquetFile(path)
            for index in range(file.num_row_groups) if only is None else (only,):
                yield index, file.read_row_group(index, columns=columns)
        else:
            table = _pyarrow().ipc.open_stream(_pyarrow().memory_map(str(path))).read_all()
            yield -1, table.select(list(dict.fromkeys(name.partition(".")[0] for name in columns)))


class _reading:
    """Turns what pyarrow raises for a damaged file into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and type(error).__module__.startswith("pyarrow"):
            reason = " ".join(str(error).split())
            raise DataError(f"{self.path}: not a readable table ({reason}).") from error


def _pyarrow(module: str = "") -> Any:
    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise PluginError("tables need pyarrow: pip install 'interpfer[parquet]'.") from error
