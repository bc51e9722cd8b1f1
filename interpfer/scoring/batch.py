"""Scores one batch of faces: maps, heatmaps, metrics and evidence, a few faces at a time."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interpfer.faces.stream import Batch
from interpfer.maps.base import BaselineContext, BaselineMap
from interpfer.maps.canvas import normalise, to_canvas
from interpfer.maps.engine import Key, Shown, find_duplicates, require_named, run_maps
from interpfer.metrics.au_profile import cells, profile
from interpfer.metrics.base import DatasetMetric, ImageMetric, ModelMetric
from interpfer.metrics.queries import ModelProbe
from interpfer.models.channels_last import channels_last
from interpfer.results.folder import BatchResult
from interpfer.results.pictures import Bytes, Pictures, ReportContent, nothing_shown, to_bytes
from interpfer.runtime.threads import side_by_side
from interpfer.scoring.mean_faces import sum_faces
from interpfer.scoring.spec import Plan
from interpfer.truth.means import TruthMeans
from interpfer.types import Landmarks

CPU_CHUNK = 4
"""Faces whose maps are held at canvas size at a time: they stay in the cache."""

COUNT = np.uint16
"""What counts of the pixels of one canvas fit into."""


class _Few(NamedTuple):
    """A few faces of a batch, with what their maps are scored against.

    Attributes:
        part: which of the batch they are.
        images: in RGB, in [0, 1], at the model's input size.
        heat: AU heatmaps on the canvas.
        valid: whether each has one.
        landmarks: on the canvas.
        around: what baselines are made of.
    """

    part: slice
    images: Float[Tensor, "n 3 r r"]
    heat: Float[Tensor, "n s s"]
    valid: Bool[Tensor, " n"]
    landmarks: Landmarks
    around: BaselineContext


class _Scored(NamedTuple):
    """What a few faces scored: arrays as in ``BatchResult``, and the maps of ``Pictures``."""

    scores: NDArray[np.float64]
    counts: dict[str, NDArray[np.unsignedinteger]]
    single: dict[str, NDArray[np.float64]]
    profiles: NDArray[np.float64]
    heat: NDArray[np.bool_]
    small: Bytes


def score_batch(plan: Plan, batch: Batch, means: TruthMeans | None, keep: ReportContent) -> BatchResult:
    """Run the model once on a batch, and score all its maps a few faces at a time."""
    rows = len(batch.rows)
    shown = _shown(plan, batch) if rows else Shown(torch.zeros(0, len(plan.model.classes)))
    logits, raw = shown.logits.cpu(), shown.maps
    twins = {key: twin for key, twin in plan.same.items() if rows and find_duplicates({twin: raw[twin], key: raw[key]})}
    on_cpu = plan.model.device.type == "cpu"
    step = CPU_CHUNK if on_cpu else max(rows, 1)
    parts = [slice(start, start + step) for start in range(0, rows, step)]

    def score_part(part: slice) -> _Scored:
        return _score_few(plan, _gather(plan, batch, part, means), raw, frozenset(twins), keep)

    found = side_by_side(score_part, parts) if on_cpu else [score_part(part) for part in parts]
    scored = _joined(found or [_nothing_scored(plan, keep)])
    if any(isinstance(metric, ModelMetric) for metric in plan.metrics.values()):
        told = plan.targets(batch.rows)
        targets = logits.argmax(1) if told is None else told
        with channels_last(plan.model) if scored.heat.any() else nullcontext():
            for part in parts:
                few = _gather(plan, batch, part, means)
                _try_few(plan, few, raw, targets, frozenset(twins), scored.scores)
    for key, twin in twins.items():
        column, original = plan.columns.index(key), plan.columns.index(twin)
        for table in (scored.scores, scored.profiles, *scored.single.values(), *scored.counts.values()):
            table[:, column] = table[:, original]
    return BatchResult(
        rows=np.array(batch.rows, np.int64),
        predicted=logits.argmax(1).numpy(),
        confidence=probabilities(logits).amax(1).numpy(),
        digests=batch.digests,
        scores=scored.scores,
        counts=scored.counts,
        single=scored.single,
        profiles=scored.profiles,
        heat=scored.heat,
        faceless={row: batch.landmarks.note(i) for i, row in enumerate(batch.rows) if not batch.landmarks.found[i]},
        skipped=batch.skipped,
        pictures=_pictures(plan, batch, scored.small, keep) if keep.maps else None,
        refused=shown.refused,
        unlike=frozenset(plan.same) - set(twins) if rows else frozenset(),
    )


def _gather(plan: Plan, batch: Batch, part: slice, means: TruthMeans | None) -> _Few:
    rows = batch.rows[part]
    landmarks = Landmarks(batch.landmarks.points[part], batch.landmarks.found[part])
    heat, valid = plan.heatmaps(landmarks, rows)
    images = batch.faces.images[part].to(heat.device)
    around = BaselineContext(
        heat,
        means.others(heat, valid) if means else None,
        means.class_mean_of_others(heat, valid, plan.classes(rows)) if means else None,
        rows,
        plan.seed,
        images,
    )
    return _Few(part, images, heat, valid, landmarks, around)


def _score_few(plan: Plan, few: _Few, raw: dict[Key, Tensor], twins: frozenset[Key], keep: ReportContent) -> _Scored:
    """Score all maps of a few faces by all metrics that need no model; columns of ``twins`` are left out."""
    n, columns = len(few.heat), len(plan.columns)
    scores = torch.full((n, columns, len(_image_metrics(plan))), torch.nan, dtype=torch.float64)
    counters = {name: metric for name, metric in plan.metrics.items() if isinstance(metric, DatasetMetric)}
    single = {name: np.full((n, columns), np.nan) for name in counters}
    tables = {metric.count: name for name, metric in reversed(counters.items())}  # a table serves all that count alike
    counts: dict[str, NDArray[np.unsignedinteger]] = {}
    profiles = torch.full((n, columns + 2, len(plan.evidence.names)), torch.nan, dtype=torch.float64)
    places = {key: place for place, key in enumerate(plan.shown)} if keep.maps else {}
    pictures = nothing_shown(n, len(places) + 1)
    dealt = plan.shares(few.landmarks)
    small = cells(few.heat)
    pictures[:, -1] = to_bytes(small)
    for place, picture in ((-2, torch.ones_like(small)), (-1, small)):
        profiles[:, place] = profile(picture, dealt).cpu().double()
    for column, key in enumerate(plan.columns):
        if key in twins:
            continue
        large, unit = on_canvas(plan, key, raw, few.part, few.around)
        small = cells(large)
        profiles[:, column] = profile(small, dealt).cpu().double()
        if key in places:
            pictures[:, places[key]] = to_bytes(small)
        for index, metric in enumerate(_image_metrics(plan)):
            if isinstance(metric, ImageMetric):
                value = metric(unit if metric.unit else large, few.heat)
                scores[:, column, index] = torch.where(few.valid, value, torch.nan).cpu().double()
        for name, counter in counters.items():
            single[name][:, column] = counter.score(counter.count(unit, few.heat)).cpu()
        for count, name in tables.items():
            added = count(unit, few.heat).cpu().numpy()
            counts.setdefault(name, np.zeros((n, columns, added.shape[1]), COUNT))[:, column] = added
    return _Scored(scores.numpy(), counts, single, profiles.numpy(), few.valid.cpu().numpy(), pictures)


def _nothing_scored(plan: Plan, keep: ReportContent) -> _Scored:
    """Return what a batch gives of which no image could be read."""
    columns, pictures = len(plan.columns), len(plan.shown) + 1 if keep.maps else 1
    counters = [name for name, metric in plan.metrics.items() if isinstance(metric, DatasetMetric)]
    return _Scored(
        scores=np.zeros((0, columns, len(_image_metrics(plan)))),
        counts={},
        single={name: np.zeros((0, columns)) for name in counters},
        profiles=np.zeros((0, columns + 2, len(plan.evidence.names))),
        heat=np.zeros(0, np.bool_),
        small=nothing_shown(0, pictures),
    )


def _joined(found: Sequence[_Scored]) -> _Scored:
    def tables(kind: str) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate([getattr(some, kind)[name] for some in found]) for name in getattr(found[0], kind)}

    scores, profiles, heat, small = (
        np.concatenate([getattr(some, name) for some in found]) for name in ("scores", "profiles", "heat", "small")
    )
    return _Scored(scores, tables("counts"), tables("single"), profiles, heat, small)


def _try_few(
    plan: Plan,
    few: _Few,
    raw: dict[Key, Tensor],
    targets: Int[Tensor, " rows"],
    twins: frozenset[Key],
    scores: NDArray[np.float64],
) -> None:
    """Fill the scores of a batch in with what the model has to be asked for: of a few faces that have a heatmap."""
    asked = targets[few.part].to(few.heat.device)
    chosen = (few.valid & (asked >= 0)).nonzero()[:, 0]
    if not len(chosen):
        return
    own = chosen.tolist()
    probe = ModelProbe(
        plan.model.predict_logits,
        few.images[chosen],
        few.heat[chosen],
        asked[chosen],
        tuple(few.around.rows[i] for i in own),
        plan.seed,
    )
    places = [few.part.start + i for i in own]
    for column, key in enumerate(plan.columns):
        if key in twins:
            continue
        unit = on_canvas(plan, key, raw, few.part, few.around)[1][chosen]
        for index, metric in enumerate(_image_metrics(plan)):
            if isinstance(metric, ModelMetric):
                scores[places, column, index] = metric(unit, probe).cpu().double()


def _image_metrics(plan: Plan) -> list[ImageMetric | ModelMetric]:
    return [metric for metric in plan.metrics.values() if not isinstance(metric, DatasetMetric)]


def _pictures(plan: Plan, batch: Batch, maps: Bytes, keep: ReportContent) -> Pictures:
    points = batch.landmarks.points.float()
    classes = plan.classes(batch.rows) if keep.faces else [-1] * len(batch.rows)
    return Pictures(maps, points.numpy(), *sum_faces(batch.faces.images, points, classes))


def _shown(plan: Plan, batch: Batch) -> Shown:
    """Return the logits per image, and the raw map of each (map, layer) out of one forward and backward."""
    x = plan.model.normalise(batch.faces.images)
    shown = run_maps(plan.model, x, plan.maps, plan.layers, plan.targets(batch.rows), plan.seed)
    require_named(shown.refused, plan.maps, plan.layers, set(plan.named), plan.model.name)
    return shown


def probabilities(logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return the probability of each class; a model that gives probabilities is taken at its word."""
    values = logits.double()
    resolve_recipe = (values >= 0).all(1) & ((values.sum(1) - 1).abs() < 1e-4)
    return torch.where(resolve_recipe[:, None], values, values.softmax(1))


def on_canvas(
    plan: Plan, key: tuple[str, str], raw: dict[tuple[str, str], Tensor], part: slice, around: BaselineContext
) -> tuple[Float[Tensor, "n s s"], Float[Tensor, "n s s"]]:
    """Return maps as image metrics see them, and in [0, 1] as thresholds do."""
    method = plan.maps[key[0]]
    if isinstance(method, BaselineMap):
        drawn = method.compute(around)
        return drawn, drawn
    large, _ = to_canvas(raw[key][part], method.attention, plan.protocol)
    return large, normalise(large)[0] if method.attention else large
