"""Scores by action unit: tables whose rows are the (face, action unit) pairs of a run, not its faces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.metrics.base import DatasetMetric
from interpfer.results.plane_scores import PlaneScores
from interpfer.results.tables import Tables
from interpfer.statistics.subjects import number_subjects
from interpfer.truth.planes import plane_au

PLANES = "planes/"
"""Begins the name of the counts of planes in the file of a batch."""


@dataclass(frozen=True)
class PairTables(Tables):
    """The finished batches of a run, by the action units that are present on its faces.

    The classes of these tables are the action units: ``macro`` is the mean over them of the mean over the faces that
    show each, ``micro`` the mean over all pairs.

    Attributes:
        all_metrics: names of all metrics of the run with a score per image, in the order of the batches.
        has_own_maps: whether each pair has a map of its own, of the target ``au``; else the pairs of a face share its
            maps, and only metrics that compare a map with the truth are here.
    """

    all_metrics: tuple[str, ...] = ()
    has_own_maps: bool = False

    @cached_property
    def planes(self) -> list[PlaneScores]:
        """Scores of the planes, batch by batch."""
        return [part.planes for part in self.parts if part.planes is not None]

    @cached_property
    def _plane(self) -> NDArray[np.intp]:
        """Plane of each pair, over all batches."""
        starts = np.cumsum([0, *(len(part.face) for part in self.planes)])[: len(self.planes)]
        return _join([part.plane + start for part, start in zip(self.planes, starts, strict=True)]).astype(np.intp)

    @cached_property
    def face(self) -> NDArray[np.intp]:
        """Face of each pair, as its place among the images that were read."""
        sizes = [len(part.rows) for part in self.parts if part.planes is not None]
        starts = np.cumsum([0, *sizes])[: len(sizes)]
        faces = _join([part.face + start for part, start in zip(self.planes, starts, strict=True)])
        return faces[self._plane].astype(np.intp)

    @cached_property
    def labels(self) -> list[str]:
        """Name of the action unit of each pair."""
        return [name for part in self.planes for name in part.names]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The action units, by number."""
        return tuple(sorted(set(self.labels), key=plane_au))

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Per metric, the (pairs, columns) scores; of a data-set metric with shared maps, 0 where it is defined."""
        scores = _join([part.scores for part in self.planes])[self._plane]
        defined = _join([part.defined for part in self.planes])[self._plane]
        values: dict[str, NDArray[np.float64]] = {}
        for name, metric in self.metrics.items():
            if not isinstance(metric, DatasetMetric):
                values[name] = scores[:, :, self.all_metrics.index(name)]
            elif self.has_own_maps:
                values[name] = _join([part.single[name] for part in self.planes if len(part.face)])[self._plane]
            else:
                values[name] = np.where(defined, 0.0, np.nan)
        return values

    @cached_property
    def subjects(self) -> NDArray[np.intp] | None:
        """Person of each pair; where none is known and faces have several maps, the face."""
        people = number_subjects(self.unit_names)
        if people is not None:
            return np.asarray(people[self.face], np.intp)
        return self.face if self.has_own_maps else None

    @cached_property
    def halves(self) -> dict[str, NDArray[np.bool_]]:
        """Which pairs the model reports, and which it misses; none where it has no output for action units."""
        found = [part.found for part in self.planes if part.found is not None]
        if not found:
            return {}
        reported = _join(found)[self._plane]
        return {"correct": reported, "wrong": ~reported}

    @cached_property
    def pair_profiles(self) -> NDArray[np.float64]:
        """(pairs, maps + 2, regions) share of the energy, as ``profiles``, of maps of single action units."""
        return _join([part.profiles for part in self.planes if part.profiles is not None])[self._plane]

    def groups(self) -> pd.DataFrame:
        """Return ``scores`` of the single action units."""
        table = self.scores()
        return table[table["group"].isin(self.names)]

    def _counts(self, table: str, column: int) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the counts of the pairs batch by batch, completed by those of the faces."""
        metric = self.metrics[table]
        assert isinstance(metric, DatasetMetric)
        of_planes = iter(self.counts_of(PLANES + table, column))
        of_faces = iter(() if self.has_own_maps else self.counts_of(table, column))
        for part in self.parts:
            faces = next(of_faces, None) if len(part.rows) else None
            if part.planes is None or not len(part.planes.face):
                continue
            counts = next(of_planes)
            if faces is not None and metric.planes is not None:
                counts = metric.planes.complete(faces[part.planes.face], counts)
            yield counts[part.planes.plane]


def _join(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0)
