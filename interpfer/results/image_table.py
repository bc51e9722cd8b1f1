"""The table of all images of a run, as CSV or Parquet: the one place where it is written and read."""

import importlib
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.errors import PluginError, RunError
from interpfer.files import DIGITS, csv_blocks

IMAGE_FILES = {"csv": "per_image.csv", "parquet": "per_image.parquet"}
"""Format -> name of the file."""

IMAGE_TEXTS = ("image", "label", "predicted", "map", "layer", "occlusion")
"""Columns of text in every such table that has them."""


def require_table_format(name: str) -> None:
    """Check that tables of a format can be written, before any work is done for them.

    Raises:
        PluginError: the package for it is not installed.
    """
    if name == "parquet" and find_spec("pyarrow") is None:
        raise PluginError("--tables parquet needs pyarrow: pip install 'interpfer[parquet]'.")


def table_bytes(name: str, table: pd.DataFrame) -> bytes:
    r"""Return the content of a file with a table; the end of its name is the format.

    Numbers have six decimals in either format.

    Examples:
        >>> table_bytes("scores.csv", pd.DataFrame({"map": ["gradcam"], "value": [0.25]}))
        b'map,value\ngradcam,0.250000\n'
    """
    return b"".join(table_blocks(name, table))


def table_blocks(name: str, table: pd.DataFrame) -> Iterator[bytes]:
    """Yield what ``table_bytes`` returns, in blocks."""
    if name.endswith(".parquet"):
        yield _parquet_bytes(table)
    else:
        yield from csv_blocks(table)


def read_images(path: str | Path, texts: Sequence[str] = ()) -> pd.DataFrame:
    """Read the table of all images in a run folder, in whichever format it was written.

    Args:
        path: the run folder.
        texts: columns of text beside ``IMAGE_TEXTS``.

    Returns:
        Text columns as text, NaN where empty; numbers as float64.

    Raises:
        RunError: there is no such table, it is damaged, or the package that reads it is missing.
    """
    as_csv, as_parquet = (Path(path) / name for name in IMAGE_FILES.values())
    try:
        if as_parquet.is_file():
            return _read_parquet(as_parquet)
        types: Any = dict.fromkeys([*IMAGE_TEXTS, *texts], str)
        return pd.read_csv(as_csv, keep_default_na=False, na_values=[""], dtype=types)
    except FileNotFoundError as error:
        raise RunError(f"{path} has neither {as_csv.name} nor {as_parquet.name}: score again.") from error


def _parquet_bytes(table: pd.DataFrame) -> bytes:
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    numbers = [str(name) for name in table.select_dtypes("number")]
    rounded = table.assign(**{name: table[name].round(DIGITS) for name in numbers})
    others = [str(name) for name in table if name not in numbers]
    rounded = rounded.assign(**{name: table[name].astype(object).where(table[name] != "", None) for name in others})
    schema = arrow.schema(
        [(name, arrow.from_numpy_dtype(table[name].dtype) if name in numbers else arrow.string()) for name in table]
    )
    buffer = io.BytesIO()
    content = arrow.Table.from_pandas(rounded, schema, preserve_index=False).replace_schema_metadata()
    parquet.write_table(content, buffer, compression="zstd")
    return buffer.getvalue()


def _read_parquet(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is None:
        raise RunError(f"{path} needs pyarrow: pip install 'interpfer[parquet]'.")
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    try:
        table: pd.DataFrame = parquet.read_table(path).to_pandas()
    except (OSError, arrow.ArrowException) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error
    texts = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].where(table[name].notna(), np.nan) for name in texts})


def repeat_texts(texts: Sequence[str], count: int) -> NDArray[np.object_]:
    """Return each text some times: the texts themselves, as an array of characters is as wide as the longest."""
    return np.repeat(np.array(texts, object), count)
