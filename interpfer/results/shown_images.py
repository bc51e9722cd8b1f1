"""What the page of one run shows of the table of all images."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NAME = "image"


class _Texts:
    """A column of texts as categories, of which each block adds some rows."""

    def __init__(self) -> None:
        self._codes: list[NDArray[np.int32]] = []
        self._known: dict[str, int] = {}

    def add(self, texts: NDArray[np.object_]) -> None:
        codes, found = pd.factorize(texts)
        places = [self._known.setdefault(text, len(self._known)) for text in found]
        self._codes.append(np.array([*places, -1], np.int32)[codes])

    def finish(self) -> pd.Categorical:
        return pd.Categorical.from_codes(np.concatenate(self._codes), pd.Index(list(self._known), dtype=object))


def select_shown(blocks: Iterable[pd.DataFrame], texts: Sequence[str], images: Collection[str]) -> pd.DataFrame:
    """Return a table with its columns of text as categories; those of many images are its largest part.

    Args:
        blocks: the table, some rows after others; at least one.
        texts: names of the columns of text, of which some may be missing.
        images: names of images to keep; others become NaN.
    """
    columns: dict[str, _Texts | list[NDArray[Any]]] = {}
    for block in blocks:
        for name in map(str, block):
            column = columns.setdefault(name, _Texts() if name in texts else [])
            if isinstance(column, list):
                column.append(block[name].to_numpy())
                continue
            values = block[name].to_numpy(object)
            column.add(np.where(block[name].isin(images), values, np.nan) if name == NAME else values)
    return pd.DataFrame(
        {
            name: np.concatenate(column) if isinstance(column, list) else column.finish()
            for name, column in columns.items()
        }
    )
