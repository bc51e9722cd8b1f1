"""Scores of a few faces, and how they become those of a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interpfer.maps.engine import Key
from interpfer.metrics.base import DatasetMetric
from interpfer.results.pictures import Bytes, ReportContent, empty_maps
from interpfer.results.plane_scores import PlaneScores
from interpfer.scoring.planes import join_planes, no_planes
from interpfer.scoring.session import ScoreSession


class ChunkScores(NamedTuple):
    """Scores of a few faces: as in ``BatchResult``, and the maps of ``Pictures``."""

    scores: NDArray[np.float64]
    counts: dict[str, NDArray[np.unsignedinteger]]
    single: dict[str, NDArray[np.float64]]
    profiles: NDArray[np.float64]
    valid: NDArray[np.bool_]
    small_maps: Bytes
    planes: PlaneScores | None


def no_scores(session: ScoreSession, content: ReportContent) -> ChunkScores:
    """Return what a batch gives of which no image could be read."""
    columns, pictures = len(session.columns), len(session.shown) + 1 if content.maps else 1
    counters = [name for name, metric in session.metrics.items() if isinstance(metric, DatasetMetric)]
    return ChunkScores(
        scores=np.zeros((0, columns, len(session.image_metrics))),
        counts={},
        single={name: np.zeros((0, columns)) for name in counters},
        profiles=np.zeros((0, columns + 2, len(session.truth.parts.names))),
        valid=np.zeros(0, np.bool_),
        small_maps=empty_maps(0, pictures),
        planes=no_planes(columns, len(session.image_metrics)) if session.truth.by_part else None,
    )


def join_chunks(chunks: Sequence[ChunkScores]) -> ChunkScores:
    """Return the scores of the parts of a batch as those of the batch."""

    def tables(kind: str) -> dict[str, NDArray[Any]]:
        first = getattr(chunks[0], kind)
        return {name: np.concatenate([getattr(chunk, kind)[name] for chunk in chunks]) for name in first}

    scores, profiles, valid, small_maps = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("scores", "profiles", "valid", "small_maps")
    )
    planes = [chunk.planes for chunk in chunks if chunk.planes is not None]
    joined = join_planes(planes) if planes else None
    return ChunkScores(scores, tables("counts"), tables("single"), profiles, valid, small_maps, joined)


def repeat_twins(session: ScoreSession, scored: ChunkScores, twins: dict[Key, Key]) -> None:
    """Copy the scores of maps to those that repeat them."""
    planes = [] if scored.planes is None else scored.planes.tables()
    for key, twin in twins.items():
        column, original = session.columns.index(key), session.columns.index(twin)
        for table in (scored.scores, scored.profiles, *scored.single.values(), *scored.counts.values(), *planes):
            table[:, column] = table[:, original]
