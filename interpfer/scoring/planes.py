"""Scores the maps of a few faces against each action unit that is present on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.metrics.base import DatasetMetric, ImageMetric, Metric
from interpfer.results.plane_scores import PlaneScores
from interpfer.truth.planes import Planes

COUNT = np.uint16
"""What counts of the pixels of one canvas fit into."""


def metrics_of_planes(metrics: dict[str, Metric]) -> dict[str, Metric]:
    """Return the metrics that compare a map with the truth: the others do not change with the action unit."""
    return {name: metric for name, metric in metrics.items() if isinstance(metric, ImageMetric | DatasetMetric)}


class PlaneScorer:
    """Fills in the scores of a few faces for their planes, map by map.

    Args:
        planes: what is drawn on the faces, part by part.
        heat: (n, S, S) their whole truths.
        metrics: all metrics of the run, in the order of the tables.
        columns: number of maps.
    """

    def __init__(self, planes: Planes, heat: Float[Tensor, "n S S"], metrics: dict[str, Metric], columns: int) -> None:
        self._planes, self._heat = planes, heat
        images = [metric for metric in metrics.values() if not isinstance(metric, DatasetMetric)]
        self._images = {place: each for place, each in enumerate(images) if isinstance(each, ImageMetric)}
        counters = {name: each for name, each in metrics.items() if isinstance(each, DatasetMetric)}
        first = {each.count: name for name, each in reversed(counters.items())}
        self._counters = {name: counters[name] for name in first.values()}
        count = len(planes.maps)
        self._scores = np.full((count, columns, len(images)), np.nan)
        self._defined = np.zeros((count, columns), np.bool_)
        self._counts: dict[str, NDArray[np.unsignedinteger]] = {}

    def add(self, column: int, large: Float[Tensor, "n S S"], unit: Float[Tensor, "n S S"]) -> None:
        """Score a map of the faces.

        Args:
            column: of the map in the tables.
            large: as image metrics see it.
            unit: in [0, 1].
        """
        planes = self._planes
        self._defined[:, column] = large[:, 0, 0].isfinite()[planes.face].cpu().numpy()
        spread: dict[int, Tensor] = {}

        def of_planes(maps: Tensor) -> Tensor:
            return spread.setdefault(id(maps), maps[planes.face])

        for place, metric in self._images.items():
            maps = unit if metric.unit else large
            if metric.on_planes is not None and maps.device.type == "cpu":
                value = metric.on_planes(maps, planes)
            else:
                value = metric(of_planes(maps), planes.maps)
            self._scores[:, column, place] = value.cpu().double()
        for name, counter in self._counters.items():
            if counter.planes is None:
                counted = counter.count(of_planes(unit), planes.maps)
            else:
                counted = counter.planes.count_planes(unit, self._heat, planes)
            added = counted.cpu().numpy()
            room = self._counts.setdefault(name, np.zeros((len(added), self._defined.shape[1], added.shape[1]), COUNT))
            room[:, column] = added

    def result(self, start: int) -> PlaneScores:
        """Return the scores; ``start`` is the place of the first face in its batch."""
        face, plane = (each.cpu().numpy() for each in (self._planes.face, self._planes.plane))
        return PlaneScores(face + start, plane, self._planes.names, self._scores, self._defined, self._counts)


def join_planes(parts: Sequence[PlaneScores]) -> PlaneScores:
    """Return the scores of the parts of a batch as those of the batch."""
    starts = np.cumsum([0, *(len(part.face) for part in parts)]).tolist()

    filled = [part for part in parts if len(part.face)]

    def tables(kind: str) -> dict[str, NDArray[Any]]:
        names: list[str] = list(getattr(filled[0], kind)) if filled else []
        return {name: np.concatenate([getattr(part, kind)[name] for part in filled]) for name in names}

    face, scores, defined = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("face", "scores", "defined")
    )
    return PlaneScores(
        face,
        np.concatenate([part.plane + start for part, start in zip(parts, starts, strict=False)]),
        tuple(name for part in parts for name in part.names),
        scores,
        defined,
        tables("counts"),
        tables("single"),
    )


def no_planes(columns: int, metrics: int) -> PlaneScores:
    """Return what a batch without faces gives."""
    empty = np.zeros(0, np.int64)
    return PlaneScores(empty, empty, (), np.zeros((0, columns, metrics)), np.zeros((0, columns), np.bool_))
