"""Scores one batch of faces for the target ``au``: a map of each action unit that is present, against its own plane.

Each (face, action unit) pair is scored like a face of its own. One forward serves all, and as many backwards as the
face with most action units has: the j-th explains the j-th action unit of every face.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.engine import Key, MapResults, require_named
from interpfer.maps.several_targets import run_several
from interpfer.metrics.base import ModelMetric
from interpfer.results.batch_file import BatchResult
from interpfer.results.pictures import Bytes, ReportContent
from interpfer.results.plane_scores import PlaneScores
from interpfer.scoring.batch import (
    add_model_metrics,
    find_twins,
    keep_pictures,
    score_chunk,
)
from interpfer.scoring.chunk import Chunk, baseline_context, chunk_size
from interpfer.scoring.chunk_scores import ChunkScores, join_chunks, no_scores, repeat_twins
from interpfer.scoring.clips import class_logits, clip_results
from interpfer.scoring.session import ScoreSession
from interpfer.truth.base import Truth
from interpfer.truth.means import TruthMeans
from interpfer.truth.planes import Planes
from interpfer.types import Landmarks


@dataclass(frozen=True)
class _Pairs:
    """The (face, action unit) pairs of a batch.

    Attributes:
        parts: some faces, and the planes of their action units that the model has an output for, one per pair.
        face: (p,) place of each pair's face in the batch.
        output: (p,) number of its output of the model.
        turn: (p,) how many pairs of its face come before it.
    """

    parts: list[tuple[slice, Planes]]
    face: Int[Tensor, " p"]
    output: Int[Tensor, " p"]
    turn: Int[Tensor, " p"]

    def targets(self, faces: int) -> Int[Tensor, "n t"]:
        """Return the outputs to explain of each face, one column per backward; -1 for none."""
        turns = int(self.turn.max()) + 1 if len(self.turn) else 1
        targets = torch.full((faces, turns), -1, dtype=torch.long)
        targets[self.face, self.turn] = self.output
        return targets


def score_au_batch(
    session: ScoreSession, batch: Batch, means: TruthMeans | None, content: ReportContent
) -> BatchResult:
    """Run the model once on a batch, and score the maps of all action units that are present.

    Args:
        session: the open score.
        batch: images that could be read; there may be none.
        means: sums of the planes of each action unit over the whole data set, where a baseline needs them.
        content: what is kept for the report.
    """
    pairs = _list_pairs(session, batch)
    results, raw = _run(session, batch, pairs)
    twins = find_twins(session, raw) if len(pairs.face) else {}
    scored = _score(session, batch, pairs, raw, means, frozenset(twins), content)
    repeat_twins(session, scored, twins)
    faces, count, logits = pairs.face.numpy(), len(batch.rows), results.logits.cpu()
    valid = np.bincount(faces, minlength=count).astype(bool)
    predicted, confidence = session.predict(batch.faces.images)
    planes = PlaneScores(
        faces.astype(np.int64),
        np.arange(len(faces)),
        tuple(session.model.outputs[output] for output in pairs.output.tolist()),
        scored.scores,
        np.ones(scored.scores.shape[:2], np.bool_),
        scored.counts,
        scored.single,
        scored.profiles,
        (logits[pairs.face, pairs.output] > 0).numpy(),
    )
    return BatchResult(
        rows=np.array(batch.rows, np.int64),
        predicted=predicted,
        confidence=confidence,
        digests=batch.digests,
        scores=mean_per_face(scored.scores, faces, count),
        counts={},
        single={name: mean_per_face(values, faces, count) for name, values in scored.single.items()},
        profiles=mean_per_face(scored.profiles, faces, count),
        valid=valid,
        faceless=session.missing_notes(batch.rows, batch.landmarks, torch.from_numpy(valid)),
        skipped=batch.skipped,
        pictures=keep_pictures(session, batch, _mean_pictures(scored.small_maps, faces, count), content)
        if content.maps
        else None,
        refused=results.refused,
        unlike=frozenset(session.probe.duplicates) - set(twins) if len(faces) else frozenset(),
        partly_seen=batch.partly_seen,
        planes=planes,
        au_logits=logits.float().numpy(),
        **clip_results(session, batch, class_logits(session, batch)),
    )


def mean_per_face(values: NDArray[np.float64], face: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the means over the pairs of each face of what is defined; NaN for a face without.

    Args:
        values: (p, ...).
        face: (p,) place of each pair's face.
        count: number of faces.

    Examples:
        >>> mean_per_face(np.array([[1.0], [3.0], [np.nan]]), np.array([0, 0, 1]), 3)[:, 0].tolist()
        [2.0, nan, nan]
    """
    known = np.isfinite(values)
    sums, counts = np.zeros((count, *values.shape[1:])), np.zeros((count, *values.shape[1:]))
    np.add.at(sums, face, np.where(known, values, 0))
    np.add.at(counts, face, known)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def add_planes(session: ScoreSession, means: TruthMeans, rows: Sequence[int], landmarks: Landmarks) -> None:
    """Add the planes of some faces to the sums of each action unit."""
    planes = session.draw_planes(session.samples(rows), landmarks).of(session.model.outputs)
    valid = torch.ones(len(planes.maps), dtype=torch.bool, device=planes.maps.device)
    means.add(Truth(planes.maps, valid), _outputs(session, planes))


def _outputs(session: ScoreSession, planes: Planes) -> list[int]:
    return [session.model.outputs.index(name) for name in planes.names]


def _list_pairs(session: ScoreSession, batch: Batch) -> _Pairs:
    count = len(batch.rows)
    step = chunk_size(session, count)
    parts = []
    for start in range(0, count, step):
        rows = slice(start, start + step)
        drawn = session.draw_planes(session.samples(batch.rows[rows]), batch.landmarks[rows])
        parts.append((rows, drawn.of(session.model.outputs)))
    faces = [row + rows.start for rows, planes in parts for row in planes.face.tolist()]
    outputs = [output for _, planes in parts for output in _outputs(session, planes)]
    turns = [place - faces.index(face) for place, face in enumerate(faces)]
    face, output, turn = (torch.tensor(values, dtype=torch.long) for values in (faces, outputs, turns))
    return _Pairs(parts, face, output, turn)


def _run(session: ScoreSession, batch: Batch, pairs: _Pairs) -> tuple[MapResults, dict[Key, Tensor]]:
    """Return the outputs for all action units, and the raw maps of the pairs."""
    spec, model = session.spec, session.model
    if not batch.rows:
        return MapResults(torch.zeros(0, len(model.outputs))), {}
    x = model.normalise(batch.faces.images)
    results = run_several(model, x, session.maps, spec.layers, pairs.targets(len(x)), spec.seed, batch.rows)
    require_named(results.refused, session.maps, spec.layers, set(session.requested), model.name)
    face, turn = pairs.face.to(x.device), pairs.turn.to(x.device)
    missing = torch.full((len(face), 2, 2), torch.nan, device=x.device)
    raw = {key: maps[face, turn] for key, maps in results.maps.items()}
    return results, raw | {key: missing for key in results.refused if key not in raw}


def _score(
    session: ScoreSession,
    batch: Batch,
    pairs: _Pairs,
    raw: dict[Key, Tensor],
    means: TruthMeans | None,
    twins: frozenset[Key],
    content: ReportContent,
) -> ChunkScores:
    """Score the maps of the pairs, a few faces at a time."""
    chunks, start = [], 0
    for rows, planes in pairs.parts:
        if len(planes.maps):
            chunks.append(_make_chunk(session, batch, rows, planes, means, start))
        start += len(planes.maps)
    scored = join_chunks(
        [score_chunk(session, chunk, raw, twins, content) for chunk in chunks] or [no_scores(session, content)]
    )
    if chunks and any(isinstance(metric, ModelMetric) for metric in session.metrics.values()):
        for chunk in chunks:
            add_model_metrics(session, chunk, raw, pairs.output, twins, scored.scores)
    return scored


def _make_chunk(
    session: ScoreSession, batch: Batch, rows: slice, planes: Planes, means: TruthMeans | None, start: int
) -> Chunk:
    """Return the pairs of some faces, each like a face of its own."""
    own = planes.face.cpu()
    part = batch.landmarks[rows]
    landmarks = Landmarks(part.points[own], part.found[own])
    images = batch.faces.images[rows][own].to(planes.maps.device)
    truth = Truth(planes.maps, torch.ones(len(own), dtype=torch.bool, device=planes.maps.device))
    places = tuple(batch.rows[rows][place] for place in own.tolist())
    context = baseline_context(session, truth, means, _outputs(session, planes), places, images)
    return Chunk(slice(start, start + len(own)), images, truth, landmarks, context)


def _mean_pictures(maps: Bytes, face: NDArray[np.int64], count: int) -> Bytes:
    means = mean_per_face(maps.astype(np.float64), face, count)
    result: Bytes = np.nan_to_num(means).round().astype(np.uint8)
    return result
