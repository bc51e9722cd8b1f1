"""Scores one batch of faces: maps, heatmaps, metrics and evidence, a few faces at a time."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.au.means import HeatmapMeans
from interpfer.maps.base import BaselineMap, Surroundings
from interpfer.maps.engine import Shown, require_named, run_maps, same_maps
from interpfer.maps.resample import normalise, to_canvas
from interpfer.metrics.au_profile import profile
from interpfer.metrics.base import DatasetMetric, ModelMetric
from interpfer.metrics.trial import Trial
from interpfer.models.hooks import hooked
from interpfer.plan import Plan
from interpfer.results.folder import Part
from interpfer.stream import Batch
from interpfer.types import Landmarks

CPU_CHUNK = 8
"""Faces whose maps are held at canvas size at a time: they stay in the cache."""

COUNT = np.uint16
"""What counts of the pixels of one canvas fit into."""


def score_batch(plan: Plan, batch: Batch, means: HeatmapMeans | None) -> Part:
    """Run the model once on a batch, and score all its maps a few faces at a time."""
    image_metrics = [metric for metric in plan.metrics.values() if not isinstance(metric, DatasetMetric)]
    counters = {name: metric for name, metric in plan.metrics.items() if isinstance(metric, DatasetMetric)}
    rows, columns = len(batch.rows), len(plan.columns)
    scores = torch.full((rows, columns, len(image_metrics)), torch.nan, dtype=torch.float64)
    single = {name: torch.full((rows, columns), torch.nan, dtype=torch.float64) for name in counters}
    tables = {metric.count: name for name, metric in reversed(counters.items())}  # a table serves all that count alike
    counts: dict[str, NDArray[np.unsignedinteger]] = {}
    profiles = torch.full((rows, columns + 2, len(plan.evidence.names)), torch.nan, dtype=torch.float64)
    heat_valid = torch.zeros(rows, dtype=torch.bool)
    shown = _shown(plan, batch) if rows else Shown(torch.zeros(0, len(plan.model.classes)))
    logits, raw = shown.logits.cpu(), shown.maps
    twins = {key: twin for key, twin in plan.same.items() if rows and same_maps({twin: raw[twin], key: raw[key]})}
    told = plan.targets(batch.rows)
    targets = logits.argmax(1) if told is None else told
    step = CPU_CHUNK if plan.model.device.type == "cpu" else max(rows, 1)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        some = batch.rows[part]
        classes = plan.classes(some)
        landmarks = Landmarks(batch.landmarks.points[part], batch.landmarks.found[part])
        heat, valid = plan.heatmaps(landmarks, some)
        dealt = plan.shares(landmarks)
        for place, picture in ((-2, torch.ones_like(heat)), (-1, heat)):
            profiles[part, place] = profile(picture, dealt).cpu().double()
        heat_valid[part] = valid.cpu()
        around = Surroundings(
            heat,
            means.others(heat, valid) if means else None,
            means.classmates(heat, valid, classes) if means else None,
            some,
            plan.seed,
            batch.faces.images[part].to(heat.device),
        )
        trial = Trial(
            lambda images: _plain_logits(plan, images),
            batch.faces.images[part].to(heat.device),
            heat,
            targets[part].to(heat.device),
            some,
            plan.seed,
        )
        for column, key in enumerate(plan.columns):
            if key in twins:
                continue
            large, unit = _on_canvas(plan, key, raw, part, around)
            profiles[part, column] = profile(large, dealt).cpu().double()
            for index, metric in enumerate(image_metrics):
                if isinstance(metric, ModelMetric):
                    found = metric(unit, trial)
                else:
                    found = metric(unit if metric.unit else large, heat)
                scores[part, column, index] = torch.where(valid, found, torch.nan).cpu().double()
            for name, counter in counters.items():
                single[name][part, column] = counter.score(counter.count(unit, heat)).cpu()
            for count, name in tables.items():
                added = count(unit, heat).cpu().numpy()
                counts.setdefault(name, np.zeros((rows, columns, added.shape[1]), COUNT))[part, column] = added
    for key, twin in twins.items():
        column, original = plan.columns.index(key), plan.columns.index(twin)
        for table in (scores, profiles, *single.values()):
            table[:, column] = table[:, original]
        for counted in counts.values():
            counted[:, column] = counted[:, original]
    return Part(
        rows=np.array(batch.rows, np.int64),
        predicted=logits.argmax(1).numpy(),
        confidence=_confidence(logits).numpy(),
        digests=batch.digests,
        scores=scores.numpy(),
        counts=counts,
        single={name: value.numpy() for name, value in single.items()},
        profiles=profiles.numpy(),
        heat=heat_valid.numpy(),
        faceless={row: batch.landmarks.note(i) for i, row in enumerate(batch.rows) if not batch.landmarks.found[i]},
        skipped=batch.skipped,
        refused=shown.refused,
        unlike=frozenset(plan.same) - set(twins) if rows else frozenset(),
    )


def _shown(plan: Plan, batch: Batch) -> Shown:
    """Return the logits per image, and the raw map of each (map, layer) out of one forward and backward."""
    x = plan.model.normalise(batch.faces.images)
    shown = run_maps(plan.model, x, plan.maps, plan.layers, plan.targets(batch.rows), plan.seed)
    require_named(shown.refused, plan.maps, plan.layers, set(plan.named), plan.model.name)
    return shown


def _plain_logits(plan: Plan, images: Float[Tensor, "m 3 s s"]) -> Float[Tensor, "m k"]:
    with hooked(plan.model.module, {}), torch.no_grad():
        return plan.model.logits(plan.model.normalise(images))


def _confidence(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the probability of the predicted class; a model that gives probabilities is taken at its word."""
    values = logits.double()
    settled = (values >= 0).all(1) & ((values.sum(1) - 1).abs() < 1e-4)
    return torch.where(settled[:, None], values, values.softmax(1)).amax(1)


def _on_canvas(
    plan: Plan, key: tuple[str, str], raw: dict[tuple[str, str], Tensor], part: slice, around: Surroundings
) -> tuple[Float[Tensor, "n s s"], Float[Tensor, "n s s"]]:
    """Return maps as image metrics see them, and in [0, 1] as thresholds do."""
    method = plan.maps[key[0]]
    if isinstance(method, BaselineMap):
        drawn = method.compute(around)
        return drawn, drawn
    large, _ = to_canvas(raw[key][part], method.attention, plan.protocol)
    return large, normalise(large)[0] if method.attention else large
