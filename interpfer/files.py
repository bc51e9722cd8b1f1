"""Writing files so that a reader never sees half of one."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interpfer.errors import RunError

DIGITS = 6


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV with six digits; an index with a name becomes the first column."""
    text: str = table.to_csv(index=table.index.name is not None, float_format=f"%.{DIGITS}f", lineterminator="\n")
    return text.encode()


def json_bytes(value: Any) -> bytes:
    """Return JSON that strict parsers take: what is not a finite number is null."""
    return (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomic(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace a file at once: readers see the old or the new one, never half of it; ``durable`` survives power loss."""
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
