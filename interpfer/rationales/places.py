"""Where the action units of the faces lie, a few thousand faces at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.base import LandmarkProvider
from interpfer.rationales.grounding import region_boxes
from interpfer.rationales.table import RationaleTable
from interpfer.runtime.progress import Progress
from interpfer.types import CANVAS, LANDMARKS

CHUNK = 2048
"""Faces whose boxes are in memory at a time."""

SHARES_UP_TO = 2.0
"""Largest corner of boxes that are taken for shares of the picture rather than for pixels."""

MOST_OUTSIDE = 0.01
"""Largest share of boxes that may lie outside of their pictures."""

FEW_BOXES, SMALL_REACH = 20, 0.6
"""Boxes below whose number their reach says nothing, and the reach that is doubtful."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """Landmarks and boxes of the faces of a table.

    Attributes:
        table: the rows.
        points: (n, 68, 2) landmarks on the canvas, NaN where no face was found.
        given: (b, 4) boxes of the texts, as shares of the picture.
        geometry: how regions are placed.
        unit: of the boxes, as it was stated or found.
    """

    table: RationaleTable
    points: Float[Tensor, "n 68 2"]
    given: Array
    geometry: str
    unit: str

    @property
    def reach(self) -> float:
        """Share of the pictures, from the upper left, that nearly all boxes lie in; NaN for few boxes.

        It is far below 1 where the boxes are in pixels of a smaller copy of the picture.
        """
        return float(np.quantile(self.given[:, 2:].max(1), 0.99)) if len(self.given) >= FEW_BOXES else np.nan

    @property
    def without_face(self) -> int:
        """Number of rows on whose picture no face was found."""
        return int((~self.points.isfinite().all(-1).all(-1)).sum())

    def chunks(self) -> Iterator[tuple[slice, Array]]:
        """Yield the rows of each chunk, and the boxes of their action units."""
        for start in range(0, len(self.table), CHUNK):
            rows = slice(start, min(start + CHUNK, len(self.table)))
            yield rows, region_boxes(self.points[rows], self.table.units[rows], self.table.aus, self.geometry)


def find_places(
    table: RationaleTable, dataset: Dataset, provider: LandmarkProvider, geometry: str, unit: str, progress: Progress
) -> Places:
    """Return where the action units of the faces lie, and the boxes of the texts in the same unit.

    Args:
        table: the rows.
        dataset: their images.
        provider: of landmarks.
        geometry: how regions are placed.
        unit: one of ``interpfer.rationales.options.BOX_UNITS``.
        progress: called with (what, done, total).

    Raises:
        DataError: the boxes do not lie in their pictures.
    """
    on_picture, sizes = _locate(dataset, provider, table.rows, progress)
    points = on_picture * torch.from_numpy(CANVAS / sizes)[:, None]
    chosen = unit if unit != "auto" else "relative" if table.boxes.max(initial=0.0) <= SHARES_UP_TO else "pixels"
    full = {"relative": np.ones_like(sizes), "thousandths": np.full_like(sizes, 1000), "pixels": sizes}[chosen]
    given = table.boxes / np.tile(full[table.box_rows], 2)
    outside = np.logical_or.reduce(np.column_stack([given[:, 2:] <= 0, given[:, :2] >= 1]), 1)
    if outside.sum() > MOST_OUTSIDE * len(given):
        first = int(np.argmax(outside))
        image = table.images[table.box_rows[first]]
        raise DataError(
            f"{outside.sum()} of {len(given)} boxes lie outside of their pictures as {chosen} (first: {image}, "
            f"{table.boxes[first].tolist()}): pass --boxes pixels, relative or thousandths."
        )
    return Places(table, points, given, geometry, chosen)


def _locate(
    dataset: Dataset, provider: LandmarkProvider, rows: Sequence[int], progress: Progress
) -> tuple[Float[Tensor, "n 68 2"], Array]:
    """Return landmarks in pixels of the pictures, NaN where there are none, and (n, 2) sizes of the pictures."""
    points = torch.full((len(rows), LANDMARKS, 2), torch.nan, dtype=torch.float64)
    sizes = np.ones((len(rows), 2))
    place = {row: index for index, row in enumerate(rows)}
    if provider.needs_images:
        for batch in FaceStream(dataset, provider, CANVAS).batches(rows, 32):
            scale = torch.tensor(batch.sizes, dtype=torch.float64) / CANVAS
            found = torch.where(batch.landmarks.found[:, None, None], batch.landmarks.points.double(), torch.nan)
            for index, row in enumerate(batch.rows):
                points[place[row]] = found[index] * scale[index]
                sizes[place[row]] = batch.sizes[index]
            progress("landmarks", max(place[row] for row in batch.rows or (rows[0],)) + 1, len(rows))
        return points, sizes
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        located = provider.locate([dataset.samples[row].id for row in chunk], None)
        points[start : start + len(chunk)] = torch.where(
            located.found[:, None, None], located.points.double(), torch.nan
        )
        for index, row in enumerate(chunk):
            try:
                sizes[start + index] = dataset.size(row)
            except DataError:
                points[start + index] = torch.nan
        progress("landmarks", start + len(chunk), len(rows))
    return points, sizes
