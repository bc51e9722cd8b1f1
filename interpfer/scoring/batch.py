"""Scores one batch of faces: maps, truth, metrics and the shares of its parts, a few faces at a time."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.base import BaselineContext, BaselineMap
from interpfer.maps.canvas import normalise, resize, to_canvas
from interpfer.maps.engine import Key, MapResults, find_duplicates, require_named, run_maps
from interpfer.maps.refined import RefinedBaseline
from interpfer.metrics.au_profile import cells, profile
from interpfer.metrics.base import DatasetMetric, ImageMetric, LandmarkMetric, ModelMetric
from interpfer.metrics.queries import ModelProbe, zero_color
from interpfer.results.batch_file import BatchResult
from interpfer.results.pictures import Bytes, Pictures, ReportContent, empty_maps, to_bytes
from interpfer.runtime.threads import parallel_map
from interpfer.scoring.chunk import Chunk, chunk_size, make_chunk
from interpfer.scoring.chunk_scores import ChunkScores, join_chunks, no_scores, repeat_twins
from interpfer.scoring.clips import clip_results, leave_clips_out
from interpfer.scoring.hidden import Hidden, is_own
from interpfer.scoring.mean_faces import sum_faces
from interpfer.scoring.planes import COUNT, PlaneScorer
from interpfer.scoring.session import ScoreSession
from interpfer.truth.means import TruthMeans


def score_batch(
    session: ScoreSession,
    batch: Batch,
    means: TruthMeans | None,
    content: ReportContent,
    results: MapResults | None = None,
    hidden: Hidden | None = None,
) -> BatchResult:
    """Run the model once on a batch, and score all its maps a few faces at a time.

    Args:
        session: the open score.
        batch: images that could be read; there may be none.
        means: sums of the truth of the whole data set, where a baseline needs them.
        content: what is kept for the report.
        results: those of ``run_model`` on the batch; None to run the model.
        hidden: what hides the faces; its values become further scores. None for faces as they are.
    """
    count, results = len(batch.rows), results or run_model(session, batch)
    logits, raw = results.logits.cpu(), results.maps
    twins = find_twins(session, raw) if count else {}
    on_cpu, step = session.model.device.type == "cpu", chunk_size(session, count)
    slices = [slice(start, start + step) for start in range(0, count, step)]
    means = leave_clips_out(session, batch, means)

    def score_slice(rows: slice) -> ChunkScores:
        return score_chunk(session, make_chunk(session, batch, rows, means, hidden), raw, frozenset(twins), content)

    chunks = parallel_map(score_slice, slices) if on_cpu else [score_slice(rows) for rows in slices]
    scored = join_chunks(chunks or [no_scores(session, content)])
    if any(isinstance(metric, ModelMetric) for metric in session.metrics.values()):
        label_targets = session.targets(batch.rows)
        targets = logits.argmax(1) if label_targets is None else label_targets
        for rows in slices:
            chunk = make_chunk(session, batch, rows, means, hidden)
            add_model_metrics(session, chunk, raw, targets, frozenset(twins), scored.scores)
    if hidden is not None:
        scored = scored._replace(scores=np.concatenate([scored.scores, hidden.values], 2))
    repeat_twins(session, scored, twins)
    return BatchResult(
        rows=np.array(batch.rows, np.int64),
        predicted=logits.argmax(1).numpy(),
        confidence=session.model.probabilities(logits.double()).amax(1).numpy(),
        digests=batch.digests,
        scores=scored.scores,
        counts=scored.counts,
        single=scored.single,
        profiles=scored.profiles,
        valid=scored.valid,
        faceless=session.missing_notes(batch.rows, batch.landmarks, torch.from_numpy(scored.valid)),
        skipped=batch.skipped,
        pictures=keep_pictures(session, batch, scored.small_maps, content) if content.maps else None,
        refused=results.refused,
        unlike=frozenset(session.probe.duplicates) - set(twins) if count else frozenset(),
        partly_seen=batch.partly_seen,
        planes=scored.planes,
        **clip_results(session, batch, logits),
    )


def find_twins(session: ScoreSession, raw: dict[Key, Tensor]) -> dict[Key, Key]:
    """Return the maps of a batch that repeat another one there, as they do in general."""
    duplicates = session.probe.duplicates.items()
    return {key: twin for key, twin in duplicates if find_duplicates({twin: raw[twin], key: raw[key]})}


def score_chunk(
    session: ScoreSession, chunk: Chunk, raw: dict[Key, Tensor], twins: frozenset[Key], content: ReportContent
) -> ChunkScores:
    """Score all maps of a few faces by all metrics that need no model; columns of ``twins`` are left out."""
    heat, valid, ignore = chunk.truth.maps, chunk.truth.valid, chunk.truth.ignore
    n, columns = len(heat), len(session.columns)
    scores = torch.full((n, columns, len(session.image_metrics)), torch.nan, dtype=torch.float64)
    counters = {name: metric for name, metric in session.metrics.items() if isinstance(metric, DatasetMetric)}
    single = {name: np.full((n, columns), np.nan) for name in counters}
    tables = {metric.count: name for name, metric in reversed(counters.items())}  # a table serves all that count alike
    counts: dict[str, NDArray[np.unsignedinteger]] = {}
    profiles = torch.full((n, columns + 2, len(session.truth.parts.names)), torch.nan, dtype=torch.float64)
    places = {key: place for place, key in enumerate(session.shown)} if content.maps else {}
    pictures = empty_maps(n, len(places) + 1)
    parts = None if chunk.planes is None else PlaneScorer(chunk.planes, heat, session.metrics, columns)
    landmarks = chunk.landmarks.to(session.model.device)
    grids = {-1: cells(heat)}
    grids[-2] = torch.ones_like(grids[-1])
    pictures[:, -1] = to_bytes(grids[-1])
    for column, key in enumerate(session.columns):
        if key in twins:
            continue
        large, unit = on_canvas(session, key, raw, chunk.rows, chunk.context)
        grids[column] = cells(large)
        if key in places:
            pictures[:, places[key]] = to_bytes(grids[column])
        if chunk.hidden is not None:
            _add_hidden(session, chunk, column, large)
        for index, metric in enumerate(session.image_metrics):
            if isinstance(metric, ImageMetric):
                value = metric(unit if metric.unit else large, heat, ignore)
            elif isinstance(metric, LandmarkMetric):
                value = metric(large, landmarks.points)
            else:
                continue
            scores[:, column, index] = torch.where(valid, value, torch.nan).cpu().double()
        for name, counter in counters.items():
            single[name][:, column] = counter.score(counter.count_kept(unit, heat, ignore)).cpu()
        for name in tables.values():
            added = counters[name].count_kept(unit, heat, ignore).cpu().numpy()
            counts.setdefault(name, np.zeros((n, columns, added.shape[1]), COUNT))[:, column] = added
        if parts is not None:
            parts.add(column, large, unit)
    shares = session.truth.shares(landmarks)
    for place, grid in grids.items():
        profiles[:, place] = profile(grid, shares).cpu().double()
    of_parts = None if parts is None else parts.result(chunk.rows.start)
    return ChunkScores(scores.numpy(), counts, single, profiles.numpy(), valid.cpu().numpy(), pictures, of_parts)


def _add_hidden(session: ScoreSession, chunk: Chunk, column: int, large: Float[Tensor, "n s s"]) -> None:
    """Score a map of hidden faces by how much of it lies in the hole, and how far it has moved."""
    assert chunk.hidden is not None
    key, clean = session.columns[column], chunk.hidden.clean
    is_known = is_own(session, key) and key in clean
    before = on_canvas(session, key, clean, chunk.rows, chunk.context)[0] if is_known else None
    chunk.hidden.add(column, chunk.rows, large, before)


def add_model_metrics(
    session: ScoreSession,
    chunk: Chunk,
    raw: dict[Key, Tensor],
    targets: Int[Tensor, " rows"],
    twins: frozenset[Key],
    scores: NDArray[np.float64],
) -> None:
    """Fill in, of a few faces that have a truth, the scores of metrics that run the model."""
    own_targets = targets[chunk.rows].to(chunk.truth.maps.device)
    chosen = (chunk.truth.valid & (own_targets >= 0)).nonzero()[:, 0]
    if not len(chosen):
        return
    own = chosen.tolist()
    probe = ModelProbe(
        session.model.predict_probabilities,
        chunk.images[chosen],
        chunk.truth.maps[chosen],
        own_targets[chosen],
        tuple(chunk.context.rows[i] for i in own),
        session.spec.seed,
        zero_color(session.model.card.input),
        None if chunk.truth.ignore is None else chunk.truth.ignore[chosen],
    )
    places = [chunk.rows.start + i for i in own]
    for column, key in enumerate(session.columns):
        if key in twins:
            continue
        unit = on_canvas(session, key, raw, chunk.rows, chunk.context)[1][chosen]
        own_probe = replace(probe, again=partial(_map_again, session, key, probe, chunk.context))
        if isinstance(session.maps[key[0]], BaselineMap):
            own_probe = probe
        for index, metric in enumerate(session.image_metrics):
            if isinstance(metric, ModelMetric):
                scores[places, column, index] = metric(unit, own_probe).cpu().double()


def _map_again(
    session: ScoreSession, key: Key, probe: ModelProbe, context: BaselineContext, images: Float[Tensor, "n 3 s s"]
) -> Float[Tensor, "n h w"]:
    """Return a map in [0, 1] of altered images; NaN where it is undefined."""
    x, method = session.model.normalise(images), {key[0]: session.maps[key[0]]}
    layers = session.spec.layers
    results = run_maps(session.model, x, method, layers, probe.targets, session.spec.seed, probe.rows)
    return on_canvas(session, key, results.maps, slice(None), context)[1]


def keep_pictures(session: ScoreSession, batch: Batch, maps: Bytes, content: ReportContent) -> Pictures:
    """Return the small pictures of a batch for the report."""
    points = batch.landmarks.points.float()
    classes = session.classes(batch.rows) if content.faces else [-1] * len(batch.rows)
    return Pictures(maps, points.numpy(), *sum_faces(batch.faces.images, points, classes))


def run_model(session: ScoreSession, batch: Batch) -> MapResults:
    """Return the logits per image, and the raw map of each (map, layer) out of one forward and backward."""
    spec, model = session.spec, session.model
    if not batch.rows:
        return MapResults(torch.zeros(0, len(model.classes)))
    x = model.normalise(batch.faces.images)
    results = run_maps(model, x, session.maps, spec.layers, session.targets(batch.rows), spec.seed, batch.rows)
    require_named(results.refused, session.maps, spec.layers, set(session.requested), model.name)
    return results


def on_canvas(
    session: ScoreSession, key: Key, raw: dict[Key, Tensor], rows: slice, context: BaselineContext
) -> tuple[Float[Tensor, "n s s"], Float[Tensor, "n s s"]]:
    """Return maps as image metrics see them, and in [0, 1] as thresholds do."""
    method = session.maps[key[0]]
    if isinstance(method, RefinedBaseline):
        drawn = resize(raw[key][rows], context.heat.shape[-1])
        return drawn, drawn / drawn.amax((1, 2), keepdim=True).clamp(min=1)
    if isinstance(method, BaselineMap):
        drawn = method.compute(context)
        return drawn, drawn
    large, _ = to_canvas(raw[key][rows], method.attention, session.spec.protocol)
    return large, normalise(large)[0] if method.attention else large
