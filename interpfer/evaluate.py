"""The only place where the streams meet: faces, landmarks, heatmaps, maps and metrics become a run."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from interpfer import __version__
from interpfer.au.means import HeatmapMeans
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import DataError, InterpferError
from interpfer.expressions import NEUTRAL
from interpfer.landmarks.base import NO_FACE, UNREADABLE, LandmarkProvider
from interpfer.maps import DEFAULT_MAPS
from interpfer.maps.memory import auto_batch_size
from interpfer.maps.resample import conventions
from interpfer.metrics import DEFAULT_METRICS
from interpfer.metrics.au_profile import summarise_profiles
from interpfer.metrics.classification import classify, wrong_order
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.plan import Plan
from interpfer.reports.leaderboard import append, leaderboard_rows
from interpfer.results.folder import RunFolder
from interpfer.results.run import Run, load_run
from interpfer.results.tables import Tables
from interpfer.scoring import CPU_CHUNK, score_batch

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
    batch_size: int | str = 32,
    device: str = "auto",
    seed: int = 0,
    limit: int | None = None,
    align: bool = False,
    autocast: str = "off",
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
        landmarks: a provider, its name, or a landmark file; by default what the data set brings, else `embedded`.
        maps: names or groups, a list or comma-separated.
        layers: "last", "all", or names.
        target: "label" or "predicted": the class that class-specific maps explain.
        protocol: "paper" or "corrected".
        codebook: overrides the protocol's.
        geometry: overrides the protocol's.
        metrics: names or "all".
        out: the run folder; None keeps the run in memory.
        leaderboard: a CSV to append one row per map and layer to.
        batch_size: faces per forward, or "auto" for as many as fit into memory; results do not depend on it beyond
            rounding.
        device: "auto", "cpu", "cuda", ...
        seed: of the bootstrap, of ``limit`` and of drawn data sets.
        limit: score a seeded random sample of so many images.
        align: turn, scale and move each face by its landmarks first.
        autocast: "bf16" or "fp16" lets the network compute in half precision where it can: faster, but maps of early
            layers move.
        resume: continue an interrupted run in ``out``.
        overwrite: replace the run in ``out``.
        trust: as for ``load_model``.
        progress: called with (what, done, total).

    Raises:
        InterpferError: anything the user can mend; the message says how.
    """
    started = time.monotonic()
    if isinstance(batch_size, str) and batch_size != "auto":
        raise InterpferError(f"batch size '{batch_size}' is neither a number nor auto.")
    if isinstance(batch_size, int) and batch_size < 1:
        raise InterpferError(f"batch size {batch_size}: put at least one image into a batch.")
    if isinstance(dataset, str):
        dataset = DATASETS.get(dataset).open(Path(data_root) if data_root else None, split, seed)
    if not isinstance(model, Model):
        model = load_model(model, trust=trust)
    model.to(pick_device(device))
    plan = Plan.make(
        model,
        dataset,
        landmarks,
        maps,
        layers,
        metrics,
        target,
        protocol,
        codebook,
        geometry,
        seed,
        limit,
        align,
        autocast,
    )
    with model.autocast(autocast):
        if isinstance(batch_size, str):
            batch_size = auto_batch_size(model, plan.layers, plan.needs_gradients, len(plan.rows))
        _ = plan.columns  # a map that cannot be made is told before a folder is begun
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
        folder.add(score_batch(plan, batch, means))
        finished += len(batch.rows) + len(batch.skipped)
        tell("scoring", finished, len(plan.rows))


def _sum_heatmaps(plan: Plan, tell: Progress) -> HeatmapMeans:
    """Sum the AU heatmaps of all images before any is scored.

    Raises:
        DataError: there is none.
    """
    means, missing = HeatmapMeans(len(plan.dataset.classes)), dict[int, str]()
    for start in range(0, len(plan.rows), CPU_CHUNK):
        rows = plan.rows[start : start + CPU_CHUNK]
        landmarks = plan.stream.landmarks(rows)
        missing |= {row: landmarks.note(i) for i, row in enumerate(rows) if not landmarks.found[i]}
        means.add(*plan.heatmaps(landmarks, rows), plan.classes(rows))
        tell("AU heatmaps", start + len(rows), len(plan.rows))
    if not means.counts.any():
        raise DataError(_nothing_to_score(plan, missing))
    return means


def _conclude(plan: Plan, folder: RunFolder, started: float) -> Run:
    tables = Tables(
        list(folder.parts()),
        folder.counts,
        plan.dataset,
        plan.model.classes,
        plan.columns,
        plan.metrics,
        plan.seed,
    )
    if not tables.heat.any():
        raise DataError(_nothing_to_score(plan, tables.missing))
    outputs = plan.model.classes
    classification = classify(tables.labels, tables.predicted, plan.dataset.classes, outputs, tables.confidence)
    warnings = [*plan.dataset.remarks, wrong_order(classification.confusion, outputs)]
    scores, per_image = tables.scores(), tables.per_image()
    groupings = {"true": tables.labels, "predicted": tables.predicted}
    evidence = summarise_profiles(tables.profiles, groupings, plan.columns, plan.evidence, plan.book)
    confusion = classification.confusion.rename_axis("true")
    packages = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
    manifest: dict[str, Any] = {
        "arguments": plan.facts,
        "seed": plan.seed,
        "device": str(plan.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in packages},
        "checkpoint_sha256": plan.facts["checkpoint"],
        "dataset_digest": _digest(tables),
        "landmarks_digest": plan.provider.digest,
        "conventions": conventions(plan.protocol),
        "counts": tables.counts(),
        "classification": classification.facts(),
        "intervals": "95 % bootstrap over " + ("images" if tables.subjects is None else "subjects"),
        "warnings": [warning for warning in warnings if warning],
        "same": {"@".join(key): "@".join(twin) for key, twin in plan.same.items() if key not in tables.unlike},
        "refused": {"@".join(key): reason for key, reason in (plan.refused | tables.refused).items()},
        "timings": {"seconds": round(time.monotonic() - started, 3)},
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


def _nothing_to_score(plan: Plan, missing: Mapping[int, str]) -> str:
    """Say what became of every image; ``missing`` tells why one has no landmarks."""

    def fate(row: int, label: str) -> str:
        if missing.get(row, "").startswith(UNREADABLE):
            return "unreadable"
        if label in ("", NEUTRAL):
            return label or "without a label"
        return "without landmarks" if row in missing else f"with no action units in {plan.codebook}"

    fates = {row: fate(row, label) for row, label in zip(plan.rows, plan.labels(plan.rows), strict=True)}
    counts = ", ".join(f"{count} {what}" for what, count in Counter(fates.values()).most_common())
    first = next((row for row, what in fates.items() if what in ("without landmarks", "unreadable")), None)
    example = "" if first is None else f" {plan.dataset.samples[first].id}: {missing[first] or NO_FACE}."
    return f"no image of the data set {plan.dataset.name} can be scored: of {len(fates)}, {counts}.{example}"
