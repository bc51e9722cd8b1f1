"""The only place where the streams meet: faces, landmarks, heatmaps, maps and metrics become a run."""

import hashlib
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer import __version__
from interpfer.au.means import HeatmapMeans
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import DataError, InterpferError
from interpfer.expressions import NEUTRAL
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps import DEFAULT_MAPS
from interpfer.maps.base import BaselineMap, LayerMap, Surroundings
from interpfer.maps.capture import capture
from interpfer.maps.resample import normalise, to_canvas
from interpfer.metrics import DEFAULT_METRICS
from interpfer.metrics.au_profile import profile, summarise_profiles
from interpfer.metrics.base import DatasetMetric, ModelMetric
from interpfer.metrics.classification import classify, wrong_order
from interpfer.metrics.faithfulness import Trial
from interpfer.models.hooks import hooked
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.plan import Plan
from interpfer.reports.leaderboard import append, leaderboard_rows
from interpfer.results.folder import Part, RunFolder
from interpfer.results.run import Run, load_run
from interpfer.results.tables import Tables
from interpfer.stream import Batch
from interpfer.types import Landmarks

CPU_CHUNK = 8
"""Faces whose maps are held at canvas size at a time: they stay in the cache."""

COUNT = np.uint16
"""What counts of the pixels of one canvas fit into."""

Progress = Callable[[str, int, int], None]


def score(
    model: Model | str | Path,
    dataset: Dataset | str,
    *,
    data_root: str | Path | None = None,
    split: str = "test",
    landmarks: LandmarkProvider | str | Path | None = None,
    maps: str | Sequence[str] = DEFAULT_MAPS,
    layers: str | Sequence[str] = "last",
    target: str = "label",
    protocol: str = "paper",
    codebook: str | None = None,
    geometry: str | None = None,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    out: str | Path | None = None,
    leaderboard: str | Path | None = None,
    batch_size: int = 32,
    device: str = "auto",
    seed: int = 0,
    limit: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    trust: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Score where a classifier looks.

    Args:
        model: a ``Model``, or a checkpoint for ``load_model``.
        dataset: a ``Dataset``, or the name of one.
        data_root: the folder of a data set given by name.
        split: the split of a data set given by name.
        landmarks: a provider, its name, or a landmark file; by default what the data set brings.
        maps: names or groups, a list or comma-separated.
        layers: "last", "all", or names.
        target: "label" or "predicted": the class that class-specific maps explain.
        protocol: "paper" or "corrected".
        codebook: overrides the protocol's.
        geometry: overrides the protocol's.
        metrics: names or "all".
        out: the run folder; None keeps the run in memory.
        leaderboard: a CSV to append one row per map and layer to.
        batch_size: faces per forward; results do not depend on it beyond rounding.
        device: "auto", "cpu", "cuda", ...
        seed: of the bootstrap, of ``limit`` and of drawn data sets.
        limit: score a seeded random sample of so many images.
        resume: continue an interrupted run in ``out``.
        overwrite: replace the run in ``out``.
        trust: as for ``load_model``.
        progress: called with (what, done, total).

    Raises:
        InterpferError: anything the user can mend; the message says how.
    """
    started = time.monotonic()
    if batch_size < 1:
        raise InterpferError(f"batch size {batch_size}: put at least one image into a batch.")
    if isinstance(dataset, str):
        dataset = DATASETS.get(dataset).open(Path(data_root) if data_root else None, split, seed)
    if not isinstance(model, Model):
        model = load_model(model, trust=trust)
    model.to(pick_device(device))
    plan = Plan.make(
        model, dataset, landmarks, maps, layers, metrics, target, protocol, codebook, geometry, seed, limit
    )
    folder = RunFolder(None if out is None else Path(out), plan.facts, resume, overwrite)
    if folder.complete and resume:
        run = load_run(Path(str(out)))
    else:
        try:
            _score_missing(plan, folder, batch_size, progress or (lambda *_: None))
            run = _conclude(plan, folder, started)
        except DataError:
            folder.discard()
            raise
    if leaderboard is not None:
        append(Path(leaderboard), leaderboard_rows(run))
    return run


def pick_device(name: str) -> torch.device:
    """Return a device; "auto" takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        InterpferError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InterpferError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error


def _score_missing(plan: Plan, folder: RunFolder, batch_size: int, tell: Progress) -> None:
    done = folder.done()
    todo = [row for row in plan.rows if row not in done]
    means = _sum_heatmaps(plan, tell) if plan.needs_means else None
    finished = len(plan.rows) - len(todo)
    tell("scoring", finished, len(plan.rows))
    for batch in plan.stream.batches(todo, batch_size):
        folder.add(_score_batch(plan, batch, means))
        finished += len(batch.rows) + len(batch.skipped)
        tell("scoring", finished, len(plan.rows))


def _sum_heatmaps(plan: Plan, tell: Progress) -> HeatmapMeans:
    """Sum the AU heatmaps of all images before any is scored.

    Raises:
        DataError: there is none.
    """
    means, faceless = HeatmapMeans(len(plan.dataset.classes)), 0
    for start in range(0, len(plan.rows), CPU_CHUNK):
        rows = plan.rows[start : start + CPU_CHUNK]
        landmarks = plan.stream.landmarks(rows)
        faceless += int((~landmarks.found).sum())
        means.add(*plan.heatmaps(landmarks, rows), plan.classes(rows))
        tell("AU heatmaps", start + len(rows), len(plan.rows))
    if not means.counts.any():
        raise DataError(_nothing_to_score(plan, f"{faceless} unreadable or without landmarks"))
    return means


def _score_batch(plan: Plan, batch: Batch, means: HeatmapMeans | None) -> Part:
    """Run the model once on a batch, and score all its maps a few faces at a time."""
    image_metrics = [metric for metric in plan.metrics.values() if not isinstance(metric, DatasetMetric)]
    counters = {name: metric for name, metric in plan.metrics.items() if isinstance(metric, DatasetMetric)}
    rows, columns = len(batch.rows), len(plan.columns)
    scores = torch.full((rows, columns, len(image_metrics)), torch.nan, dtype=torch.float64)
    single = {name: torch.full((rows, columns), torch.nan, dtype=torch.float64) for name in counters}
    tables = {metric.count: name for name, metric in reversed(counters.items())}  # a table serves all that count alike
    counts: dict[str, list[list[NDArray[np.unsignedinteger]]]] = {name: [] for name in tables.values()}
    profiles = torch.full((rows, columns + 2, len(plan.evidence.names)), torch.nan, dtype=torch.float64)
    heat_valid = torch.zeros(rows, dtype=torch.bool)
    logits, raw = _raw_maps(plan, batch) if rows else (torch.zeros(0, len(plan.model.classes)), {})
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
            batch.images[part].to(heat.device),
        )
        trial = Trial(
            lambda images: _plain_logits(plan, images),
            batch.images[part].to(heat.device),
            heat,
            targets[part].to(heat.device),
            some,
            plan.seed,
        )
        for chunks in counts.values():
            chunks.append([])
        for column, key in enumerate(plan.columns):
            large, unit = _on_canvas(plan, key, raw, part, around)
            profiles[part, column] = profile(large, dealt).cpu().double()
            for index, metric in enumerate(image_metrics):
                if isinstance(metric, ModelMetric):
                    found = metric(unit, trial)
                else:
                    found = metric(unit if metric.unit else large, heat)
                scores[part, column, index] = found.cpu().double()
            for name, counter in counters.items():
                single[name][part, column] = counter.score(counter.count(unit, heat)).cpu()
            for count, name in tables.items():
                counts[name][-1].append(count(unit, heat).cpu().numpy().astype(COUNT))
    return Part(
        rows=np.array(batch.rows, np.int64),
        predicted=logits.argmax(1).numpy(),
        confidence=_confidence(logits).numpy(),
        digests=batch.digests,
        scores=scores.numpy(),
        counts={
            name: np.concatenate([np.stack(chunk, 1) for chunk in chunks]) for name, chunks in counts.items() if chunks
        },
        single={name: value.numpy() for name, value in single.items()},
        profiles=profiles.numpy(),
        heat=heat_valid.numpy(),
        faceless=tuple(row for row, found in zip(batch.rows, batch.landmarks.found.tolist(), strict=True) if not found),
        skipped=batch.skipped,
    )


def _raw_maps(plan: Plan, batch: Batch) -> tuple[Tensor, dict[tuple[str, str], Tensor]]:
    """Return the logits per image, and the raw map of each (map, layer) out of one forward and backward."""
    methods = {name: method for name, method in plan.maps.items() if isinstance(method, LayerMap)}
    layers = plan.layers if methods else ()
    x = plan.model.normalise(batch.images)
    shown = capture(plan.model, x, layers, plan.targets(batch.rows), plan.needs_gradients)
    maps = {(name, layer): method(shown.layers[layer]) for name, method in methods.items() for layer in layers}
    return shown.logits.cpu(), maps


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


def _conclude(plan: Plan, folder: RunFolder, started: float) -> Run:
    tables = Tables(list(folder.parts()), plan.dataset, plan.model.classes, plan.columns, plan.metrics, plan.seed)
    if not tables.heat.any():
        reason = f"{len(tables.skipped)} unreadable, {len(tables.faceless)} without landmarks"
        raise DataError(_nothing_to_score(plan, reason))
    outputs = plan.model.classes
    classification = classify(tables.labels, tables.predicted, plan.dataset.classes, outputs, tables.confidence)
    warnings = [wrong_order(classification.confusion, outputs)]
    scores, per_image = tables.scores(), tables.per_image()
    groupings = {"true": tables.labels, "predicted": tables.predicted}
    evidence = summarise_profiles(tables.profiles, groupings, plan.columns, plan.evidence, plan.book)
    confusion = classification.confusion.rename_axis("true")
    packages = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
    manifest: dict[str, Any] = {
        "plan": plan.facts,
        "seed": plan.seed,
        "device": str(plan.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in packages},
        "checkpoint_sha256": plan.model.sha256,
        "dataset_digest": _digest(tables),
        "landmarks_digest": plan.provider.digest,
        "counts": tables.counts(),
        "classification": classification.facts(),
        "intervals": "95 % bootstrap over " + ("images" if tables.subjects is None else "subjects"),
        "warnings": [warning for warning in warnings if warning],
        "seconds": round(time.monotonic() - started, 3),
    }
    written = {
        "scores.csv": scores,
        "per_image.csv": per_image,
        "confusion.csv": confusion,
        "au_profile.csv": evidence,
    }
    folder.finish(written, manifest)
    return Run(scores, per_image, confusion, manifest, folder.path, evidence)


def _digest(tables: Tables) -> str:
    """Hash the names, labels and pixels of the images that were read."""
    content = hashlib.sha256()
    digests = [digest for part in tables.parts for digest in part.digests]
    for row, label, digest in zip(tables.rows, tables.labels, digests, strict=True):
        content.update(f"{tables.dataset.samples[row].id},{label},{digest}\n".encode())
    return content.hexdigest()


def _nothing_to_score(plan: Plan, reason: str) -> str:
    labels = plan.labels(plan.rows)
    return (
        f"no image of the data set {plan.dataset.name} can be scored: of {len(labels)}, {reason}, "
        f"{labels.count(NEUTRAL)} neutral, {labels.count('')} without a label. "
        f"The names in a landmark file must be those of the images, such as {plan.dataset.samples[plan.rows[0]].id}."
    )
