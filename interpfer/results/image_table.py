"""The table of all images of a run, as CSV or Parquet: the one place where it is written and read."""

import importlib
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interpfer.errors import PluginError, RunError
from interpfer.files import DIGITS, csv_blocks
from interpfer.results.image_rows import ROWS_AT_ONCE, ImageRows
from interpfer.results.shown_images import select_shown

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


def table_blocks(name: str, table: pd.DataFrame | ImageRows) -> Iterator[bytes]:
    """Yield what ``table_bytes`` returns, in blocks; a table of all images may be in its compact form."""
    blocks = table.blocks() if isinstance(table, ImageRows) else iter([table])
    if name.endswith(".parquet"):
        yield _parquet_bytes(blocks)
        return
    for place, block in enumerate(blocks):
        yield from csv_blocks(block, has_header=place == 0)


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
    file = _find_table(path)
    if file.suffix == ".parquet":
        with _open_parquet(file) as opened:
            table: pd.DataFrame = opened.read().to_pandas()
        names = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]
        return table.assign(**{name: table[name].where(table[name].notna(), np.nan) for name in names})
    types: Any = dict.fromkeys([*IMAGE_TEXTS, *texts], str)
    table = pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=types)
    return table


def read_shown_images(path: str | Path, metric: str, images: Collection[str]) -> pd.DataFrame:
    """Read what the page of one run shows of the table of all images; that of many is not in memory.

    Args:
        path: the run folder.
        metric: the metric to read.
        images: names of images to keep; others become NaN.

    Returns:
        ``IMAGE_TEXTS`` as categories, and the metric.

    Raises:
        RunError: as ``read_images``.
    """
    file, wanted = _find_table(path), {*IMAGE_TEXTS, metric}
    if file.suffix == ".parquet":
        with _open_parquet(file) as opened:
            names = [name for name in opened.schema_arrow.names if name in wanted]
            is_empty = not opened.metadata.num_rows  # which has no batches
            batches = [opened.read(names)] if is_empty else opened.iter_batches(ROWS_AT_ONCE, columns=names)
            return select_shown((batch.to_pandas() for batch in batches), IMAGE_TEXTS, images)
    types: Any = dict.fromkeys(IMAGE_TEXTS, object)
    options: Any = {"keep_default_na": False, "na_values": [""], "usecols": wanted.__contains__}
    with pd.read_csv(file, dtype=types, chunksize=ROWS_AT_ONCE, **options) as blocks:
        return select_shown(blocks, IMAGE_TEXTS, images)


def _find_table(path: str | Path) -> Path:
    as_csv, as_parquet = (Path(path) / name for name in IMAGE_FILES.values())
    if not as_parquet.is_file() and not as_csv.is_file():
        raise RunError(f"{path} has neither {as_csv.name} nor {as_parquet.name}: score again.")
    return as_parquet if as_parquet.is_file() else as_csv


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    """Open a file of Parquet.

    Raises:
        RunError: it is damaged, or the package that reads it is missing.
    """
    if find_spec("pyarrow") is None:
        raise RunError(f"{path} needs pyarrow: pip install 'interpfer[parquet]'.")
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as opened:
            yield opened
    except (OSError, arrow.ArrowException) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error


def _parquet_bytes(blocks: Iterable[pd.DataFrame]) -> bytes:
    """Return a table as Parquet, each block a row group."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    buffer, writer = io.BytesIO(), None
    for table in blocks:
        numbers = [str(name) for name in table.select_dtypes("number")]
        rounded = table.assign(**{name: table[name].round(DIGITS) for name in numbers})
        others = [str(name) for name in table if name not in numbers]
        rounded = rounded.assign(**{name: table[name].astype(object).where(table[name] != "", None) for name in others})
        types = [arrow.from_numpy_dtype(table[name].dtype) if name in numbers else arrow.string() for name in table]
        schema = arrow.schema(list(zip(map(str, table), types, strict=True)))
        content = arrow.Table.from_pandas(rounded, schema, preserve_index=False).replace_schema_metadata()
        writer = writer or parquet.ParquetWriter(buffer, content.schema, compression="zstd")
        writer.write_table(content)
    if writer is not None:
        writer.close()
    return buffer.getvalue()
