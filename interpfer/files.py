"""Bytes of CSV and JSON files, and atomic writing."""

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from yaml.scanner import Scanner

from interpfer.errors import DataError, InterpferError, RunError

DIGITS = 6
"""Decimals in tables."""

ROWS_AT_ONCE = 50_000
"""Rows of a table that are text in memory at a time."""

LONGEST_YAML = 200_000
"""Characters of the longest YAML that is read: parsing takes long, and nothing that people write is longer."""

MOST_NODES = 100_000
"""Most values of a YAML file with its repetitions: a few lines can stand for millions."""
DEEPEST_YAML = 250
"""Most brackets within another that are read of YAML."""


def read_text(path: str | Path, error: type[InterpferError] = DataError) -> str:
    """Return the content of a file in UTF-8, without the mark at its beginning that some systems write.

    Args:
        path: the file.
        error: what is raised where it cannot be read.

    Raises:
        InterpferError: it cannot be read, or is in another encoding.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror or cause}).") from cause
    except ValueError as cause:
        raise error(f"{path}: is not text in UTF-8 ({cause}); save it as UTF-8.") from cause


class CsvRows:
    """The rows of a table, as ``csv.reader`` reads them; what it cannot read is one line that names the file.

    Args:
        lines: lines of the file.
        where: the file, for messages.
        options: of ``csv.reader``.
    """

    def __init__(self, lines: Iterable[str], where: str | Path, **options: Any) -> None:
        self._rows, self._where = csv.reader(lines, **options), where

    @property
    def line_num(self) -> int:
        """Number of the line that was read last."""
        return self._rows.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._rows)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{self._where}, line {self.line_num}: not a CSV table ({error}).") from error


def parse_json(content: str | bytes) -> Any:
    """Return the value of JSON.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class _Shallow(Scanner):
    """Mixed into a loader of YAML: refuses deep nesting at once, as time grows with the square of its depth."""

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        if self.flow_level >= DEEPEST_YAML:
            raise RecursionError
        super().fetch_flow_collection_start(token_class)


def parse_yaml(text: str, loader: Any = yaml.SafeLoader) -> Any:
    """Return the value of YAML; tags of Python objects are refused.

    Args:
        text: content of the file.
        loader: a safe loader.

    Raises:
        ValueError: it is not YAML, too long, or repeats itself without bounds.

    Examples:
        >>> parse_yaml("{a: &x [1, 2], b: *x}")
        {'a': [1, 2], 'b': [1, 2]}
    """
    if len(text) > LONGEST_YAML:
        raise ValueError(f"it has {len(text)} characters, more than {LONGEST_YAML}")
    try:
        engine = type(loader.__name__, (_Shallow, loader), {})(text)
        try:
            node = engine.get_single_node()
            if node is None:
                return None
            if _count_nodes(node, {}) > MOST_NODES:
                raise ValueError(f"its repetitions (&, *) make more than {MOST_NODES} values")
            return engine.construct_document(node)
        finally:
            engine.dispose()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, OverflowError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _count_nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values below a node, those of a repetition each time."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES + 1  # while it is counted: one that contains itself
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]
        known[id(node)] = 1 + sum(_count_nodes(part, known) for part in parts)
    return known[id(node)]


def bounded_integer(digits: str) -> int:
    """Return an integer for a check of its range: any of more than 18 digits is 10**18, or that below zero.

    Python refuses to convert texts of more than 4,300 digits.

    Examples:
        >>> bounded_integer("12"), bounded_integer("9" * 5000) == 10**18
        (12, True)
    """
    if len(digits) <= 18:
        return int(digits)
    return -(10**18) if digits.startswith("-") else 10**18


def is_file(path: str | Path) -> bool:
    """Return whether there is such a file; False also for a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 that of pathlib raises for names that are too long


def exists(path: str | Path) -> bool:
    """Return whether there is such a file or folder; False also for a name that none can have."""
    return os.path.exists(path)  # noqa: PTH110 that of pathlib raises for names that are too long


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV with six decimals; an index with a name becomes the first column."""
    return b"".join(csv_blocks(table))


def csv_blocks(table: pd.DataFrame, rows: int = ROWS_AT_ONCE, has_header: bool = True) -> Iterator[bytes]:
    r"""Yield what ``csv_bytes`` returns, some rows at a time, so that a long table is not in memory as text.

    Args:
        table: the table.
        rows: number of rows of a block.
        has_header: whether the names of the columns come first.

    Examples:
        >>> list(csv_blocks(pd.DataFrame({"value": [0.5, 1.0, 2.0]}), rows=2))
        [b'value\n0.500000\n1.000000\n', b'2.000000\n']
    """
    options: Any = {"index": table.index.name is not None, "float_format": f"%.{DIGITS}f", "lineterminator": "\n"}
    for start in range(0, max(len(table), 1), rows):
        text: str = table.iloc[start : start + rows].to_csv(header=has_header and start == 0, **options)
        yield text.encode()


def json_bytes(value: Any) -> bytes:
    """Return JSON for strict parsers: a number that is not finite becomes null."""
    return (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require_free(out: Path, names: Iterable[str], overwrite: bool) -> None:
    """Check that results may be written into a folder.

    Args:
        out: the folder, which need not exist.
        names: of the files that are written.
        overwrite: whether they may be there already.

    Raises:
        RunError: it is a file, or a file is there that may not be.
    """
    if out.is_file():
        raise RunError(f"{out} is a file: pass a folder to --out.")
    if not overwrite and (existing := [name for name in names if (out / name).exists()]):
        raise RunError(f"{out} already holds {existing[0]}; pass --overwrite to replace it.")


def write_atomic(path: Path, content: bytes | Iterable[bytes], durable: bool = True) -> None:
    """Replace a file in one step, so that readers never see a partial one.

    Args:
        path: the file.
        content: new content; or its blocks, one after another.
        durable: wait until the content is on disk, so that it survives a power loss.

    Raises:
        RunError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):  # on a disk that is read only
            draft.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error}.") from error
