"""Bytes of CSV and JSON files, and atomic writing."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.errors import RunError

DIGITS = 6
"""Decimals in tables."""


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV with six decimals; an index with a name becomes the first column."""
    text: str = table.to_csv(index=table.index.name is not None, float_format=f"%.{DIGITS}f", lineterminator="\n")
    return text.encode()


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


def write_atomic(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace a file in one step, so that readers never see a partial one.

    Args:
        path: the file.
        content: new content.
        durable: wait until the content is on disk, so that it survives a power loss.

    Raises:
        RunError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error}.") from error
