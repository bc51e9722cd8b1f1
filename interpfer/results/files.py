"""Writing files so that a reader never sees half of one."""

import os
from pathlib import Path

import pandas as pd

from interpfer.errors import RunError

DIGITS = 6


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV with six digits; an index with a name becomes the first column."""
    text: str = table.to_csv(index=table.index.name is not None, float_format=f"%.{DIGITS}f", lineterminator="\n")
    return text.encode()


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
