"""Tables of data sets as xlsx or CSV."""

from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from interpfer.errors import DataError

QUOTES = " '\"\t"
"""Characters around headers and cells."""


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read a table as text, without quotes and blanks around the cells; columns in lower case.

    Args:
        path: file as xlsx, or as CSV, whose quotes are taken as characters.

    Raises:
        DataError: the file is not a table, or reading it needs a package that is not installed.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".xlsx":
            table = pd.read_excel(path, dtype=str, keep_default_na=False)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, quoting=3, encoding="utf-8-sig")
    except ImportError as error:
        raise DataError(f"{path}: reading xlsx needs openpyxl: pip install openpyxl, or save it as CSV.") from error
    except (ValueError, BadZipFile) as error:
        raise DataError(f"{path}: not a table ({error}).") from error
    table.columns = pd.Index([str(name).strip(QUOTES).lower() for name in table.columns])
    stripped: pd.DataFrame = table.apply(lambda column: column.str.strip(QUOTES))
    return stripped
