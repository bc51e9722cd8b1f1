"""Tables of Hugging Face: parquet files, and folders of `save_to_disk`; read a row group at a time."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from interpfer.datasets.base import ALL, require_root
from interpfer.datasets.parquet_columns import TableColumns
from interpfer.datasets.parquet_files import (
    list_tables,
    read_schema,
    read_tables,
    reading,
    split_of_table,
    tables_of_split,
)
from interpfer.datasets.stored import StoredDataset
from interpfer.errors import DataError
from interpfer.types import Sample


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
        folder, wanted = require_root(root, cls.name), cls.aliases.get(split, split)
        tables = list_tables(folder)
        if not tables:
            raise cls.missing_error(folder, "*.parquet", "data-00000-of-0000N.arrow")
        files, notes = tables_of_split(folder, wanted, tables)
        columns = _columns(files[0], folder)
        samples, blocks = list[Sample](), list[_Block]()
        for path in files:
            if _columns(path, folder) != columns:
                raise DataError(f"{path}: its columns or the names of its classes are not those of {files[0]}.")
            for index, table in read_tables(path, columns.without_pictures):
                blocks.append(_Block(path, index, len(samples)))
                with reading(path):
                    samples += columns.samples(table, len(samples), split, path)
        if len({sample.id for sample in samples}) < len(samples):
            samples = [replace(sample, id=f"{split}_{row:07d}") for row, sample in enumerate(samples)]
        has_split = bool(split_of_table(files[0], folder))
        found = cls(samples, split if has_split else ALL, folder, blocks, columns.picture)
        if not has_split:
            found.warn_no_splits(split, f"the files of {folder} name no split")
        found.notes = (*found.notes, *notes)
        return found

    @classmethod
    def available_splits(cls, root: str | Path | None) -> tuple[str, ...]:
        """Return the splits that files name; "all" if none does."""
        folder = require_root(root, cls.name)
        return tuple(sorted({split_of_table(path, folder) for path in list_tables(folder)} - {""})) or (ALL,)

    def content(self, index: int) -> bytes:
        """Return the bytes of the file of a picture.

        Raises:
            DataError: the row holds none.
        """
        place = next(n for n in reversed(range(len(self._blocks))) if self._blocks[n].start <= index)
        rows, row = self._read(place), index - self._blocks[place].start
        with reading(self._blocks[place].path):
            cell = rows[row].as_py() if row < len(rows) else None
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes) or not content:
            raise DataError(f"{self.samples[index].id}: the row of {self._blocks[place].path} holds no picture.")
        return content

    def _read_block(self, place: int) -> Any:
        block = self._blocks[place]
        return dict(read_tables(block.path, [self._column], block.group))[block.group].column(0)


def _columns(path: Path, root: Path) -> TableColumns:
    schema = read_schema(path)
    with reading(path):  # names may be in no encoding
        return TableColumns.find(schema, path, root)
