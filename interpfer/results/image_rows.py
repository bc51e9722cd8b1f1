"""The table of all images of a run in a compact form: that of many images is made some rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS_AT_ONCE = 20_000
"""Rows of a table that are made at a time."""


@dataclass(frozen=True)
class ImageRows:
    """What the table of all images consists of: one row per image and (map, layer).

    Attributes:
        images: column -> one value per image.
        columns: the k (map, layer) pairs.
        values: metric -> (images, k) scores.
    """

    images: Mapping[str, Sequence[Any]]
    columns: Sequence[tuple[str, str]]
    values: Mapping[str, NDArray[np.float64]]

    def frame(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Return the rows of some images: the columns of the images, ``map``, ``layer``, then one per metric.

        Args:
            start: the first image.
            stop: the one after the last; None for all.
        """
        count = len(self.columns)
        table: dict[str, Any] = {name: _repeat(values[start:stop], count) for name, values in self.images.items()}
        images = len(next(iter(self.images.values()))[start:stop])
        for place, name in enumerate(("map", "layer")):
            table[name] = np.tile(np.array([key[place] for key in self.columns], object), images)
        return pd.DataFrame(table | {name: values[start:stop].ravel() for name, values in self.values.items()})

    def blocks(self, rows: int = ROWS_AT_ONCE) -> Iterator[pd.DataFrame]:
        """Yield the table, some rows at a time; an empty one once.

        Examples:
            >>> table = ImageRows({"image": ["a", "b", "c"]}, [("gradcam", "last")], {"cosine": np.ones((3, 1))})
            >>> [block["image"].tolist() for block in table.blocks(rows=2)]
            [['a', 'b'], ['c']]
        """
        count = len(next(iter(self.images.values())))
        step = max(rows // max(len(self.columns), 1), 1)
        for start in range(0, max(count, 1), step):
            yield self.frame(start, start + step)


def _repeat(values: Sequence[Any], count: int) -> NDArray[Any]:
    """Return each value some times; texts themselves, as an array of characters is as wide as the longest."""
    return np.repeat(np.array(values, object if not values or isinstance(values[0], str) else None), count)
