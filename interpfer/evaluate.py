"""The only place where the streams meet: faces, landmarks, heatmaps, maps and metrics become a run."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from interpfer import __version__
from interpfer.au.heatmaps import au_heatmaps
from interpfer.datasets import DATASETS
from interpfer.datasets.base import Dataset
from interpfer.errors import DataError, InterpferError, PluginError, nearest
from interpfer.expressions import NEUTRAL
from interpfer.landmarks import PROVIDERS
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.files import FileLandmarks
from interpfer.maps import DEFAULT_MAPS, MAPS, select_maps
from interpfer.maps.base import BaselineMap, LayerMap, Surroundings
from interpfer.maps.capture import Capture, capture
from interpfer.maps.resample import PROTOCOLS, normalise, to_canvas
from interpfer.metrics import DEFAULT_METRICS, METRICS, select_metrics
from interpfer.metrics.base import DatasetMetric, ImageMetric
from interpfer.metrics.classification import Classification, classify
from interpfer.metrics.statistics import summarise
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.reports.leaderboard import append, leaderboard_rows
from interpfer.results import Part, Run, RunFolder, load_run
from interpfer.types import CANVAS, Landmarks

#: protocol -> codebook and geometry
PROTOCOL_DEFAULTS = {"paper": ("belharbi2024", "reference"), "corrected": ("martinez2017", "scaled")}
TARGETS = ("label", "predicted")

CPU_CHUNK = 8
"""Faces whose maps are held at canvas size at a time: they stay in the cache."""

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
    _check_choice("target", target, TARGETS)
    _check_choice("protocol", protocol, PROTOCOLS)
    if batch_size < 1 or (limit is not None and limit < 1):
        raise InterpferError("batch size and limit are numbers of images: at least 1.")
    if isinstance(dataset, str):
        dataset = DATASETS.get(dataset).open(Path(data_root) if data_root else None, split, seed)
    if not isinstance(model, Model):
        model = load_model(model, trust=trust)
    model.to(pick_device(device))
    book, place = PROTOCOL_DEFAULTS[protocol]
    setup = _Setup(
        model=model,
        dataset=dataset,
        provider=_provider(landmarks, dataset),
        maps={name: MAPS.get(name) for name in select_maps(maps)},
        layers=model.layers(layers if isinstance(layers, str) else list(layers)),
        metrics={name: METRICS.get(name) for name in select_metrics(metrics)},
        target=target,
        protocol=protocol,
        codebook=codebook or book,
        geometry=geometry or place,
        seed=seed,
        indices=_sample(len(dataset), limit, seed),
    )
    tell = progress or (lambda *_: None)
    folder = RunFolder(None if out is None else Path(out), setup.plan, resume, overwrite)
    if folder.complete and resume:
        run = load_run(Path(str(out)))
    else:
        run = _evaluate(setup, folder, batch_size, tell, started)
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


def _check_choice(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InterpferError(f"{what} '{value}' is none of {', '.join(known)}.{nearest(value, known)}")


def _provider(landmarks: LandmarkProvider | str | Path | None, dataset: Dataset) -> LandmarkProvider:
    if landmarks is None:
        own = dataset.landmarks()
        if own is None:
            raise DataError(f"data set {dataset.name} brings no landmarks; name a file or a provider with --landmarks.")
        return own
    if isinstance(landmarks, str | Path):
        if str(landmarks) in PROVIDERS and str(landmarks) != "file":
            return PROVIDERS.get(str(landmarks))()
        if not Path(landmarks).exists() and "/" not in str(landmarks) and "." not in str(landmarks):
            raise PluginError(
                f"'{landmarks}' is neither a landmark file nor a provider.{nearest(str(landmarks), PROVIDERS)} "
                f"Known providers: {', '.join(PROVIDERS)}."
            )
        return FileLandmarks(Path(landmarks))
    return landmarks


def _sample(total: int, limit: int | None, seed: int) -> tuple[int, ...]:
    if limit is None or limit >= total:
        return tuple(range(total))
    return tuple(sorted(np.random.default_rng(seed).choice(total, limit, replace=False).tolist()))


@dataclass(frozen=True)
class _Setup:
    """Everything that decides the result."""

    model: Model
    dataset: Dataset
    provider: LandmarkProvider
    maps: dict[str, LayerMap | BaselineMap]
    layers: tuple[str, ...]
    metrics: dict[str, ImageMetric | DatasetMetric]
    target: str
    protocol: str
    codebook: str
    geometry: str
    seed: int
    indices: tuple[int, ...]

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The (map, layer) pairs, in the order of the tables."""
        return tuple(
            (name, layer)
            for name, method in self.maps.items()
            for layer in (self.layers if isinstance(method, LayerMap) else ("-",))
        )

    @cached_property
    def image_metrics(self) -> dict[str, ImageMetric]:
        return {name: metric for name, metric in self.metrics.items() if isinstance(metric, ImageMetric)}

    @cached_property
    def dataset_metrics(self) -> dict[str, DatasetMetric]:
        return {name: metric for name, metric in self.metrics.items() if isinstance(metric, DatasetMetric)}

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one it continues."""
        listed = "\n".join(f"{self.dataset.samples[i].id},{self.dataset.samples[i].label}" for i in self.indices)
        return {
            "model": self.model.name,
            "checkpoint": self.model.sha256,
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "images": hashlib.sha256(listed.encode()).hexdigest(),
            "landmarks": self.provider.digest,
            "maps": list(self.maps),
            "layers": list(self.layers),
            "metrics": list(self.metrics),
            "target": self.target,
            "protocol": self.protocol,
            "codebook": self.codebook,
            "geometry": self.geometry,
            "seed": self.seed,
        }

    def label(self, index: int) -> str:
        return self.dataset.samples[index].label

    def heatmaps(self, points: Landmarks, labels: Sequence[str]) -> tuple[Float[Tensor, "n s s"], Bool[Tensor, " n"]]:
        return au_heatmaps(points.points.to(self.model.device), labels, CANVAS, self.codebook, self.geometry)


def _evaluate(setup: _Setup, folder: RunFolder, batch_size: int, tell: Progress, started: float) -> Run:
    done = folder.done()
    todo = [index for index in setup.indices if index not in done]
    batches = [todo[start : start + batch_size] for start in range(0, len(todo), batch_size)]
    means = _Means(setup, batch_size, tell) if any(_needs_means(method) for method in setup.maps.values()) else None
    if means is not None and not means.counts.any():
        folder.discard()
        raise DataError(_nothing_to_score(setup, len(means.faceless), 0))
    finished = len(setup.indices) - len(todo)
    for batch in _prefetched(setup, batches):
        folder.add(_score_batch(setup, batch, means))
        finished += len(batch.rows) + len(batch.skipped)
        tell("scoring", finished, len(setup.indices))
    return _conclude(setup, folder, started)


def _needs_means(method: LayerMap | BaselineMap) -> bool:
    return isinstance(method, BaselineMap) and method.heatmaps


@dataclass(frozen=True)
class _Batch:
    """Images read from disk, at the model's input size, and their landmarks on the canvas."""

    rows: list[int]
    images: Float[Tensor, "n 3 s s"]
    landmarks: Landmarks
    digests: list[str]
    skipped: dict[int, str]


def _prefetched(setup: _Setup, batches: Sequence[Sequence[int]]) -> Iterator[_Batch]:
    """Read the next batch while the present one is scored."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(_read_batch, setup, rows) for rows in batches[:2]]
        for following in [*batches[2:], None, None][: len(batches)]:
            ready = waiting.pop(0).result()
            if following is not None:
                waiting.append(pool.submit(_read_batch, setup, following))
            yield ready


def _read_batch(setup: _Setup, rows: Sequence[int]) -> _Batch:
    pictures: dict[int, Image.Image] = {}
    skipped: dict[int, str] = {}
    for row in rows:
        try:
            pictures[row] = setup.dataset.image(row)
        except DataError as error:
            skipped[row] = str(error)
    size = setup.model.card.input.size
    images = torch.empty(len(pictures), 3, size, size)
    digests = []
    for picture, target in zip(pictures.values(), images, strict=True):
        pixels = np.array(picture)
        digests.append(hashlib.sha256(pixels).hexdigest())
        target.copy_(setup.model.resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255))[0])
    return _Batch(list(pictures), images, _locate(setup, list(pictures), list(pictures.values())), digests, skipped)


def _locate(setup: _Setup, rows: Sequence[int], pictures: Sequence[Image.Image]) -> Landmarks:
    """Return the landmarks of pictures on the canvas."""
    ids = [setup.dataset.samples[row].id for row in rows]
    found = setup.provider.locate(ids, pictures if setup.provider.needs_images else None)
    sizes = torch.tensor([picture.size for picture in pictures], dtype=found.points.dtype).reshape(-1, 2)
    return found.scaled(sizes)


class _Means:
    """Sums of the AU heatmaps of the whole data set, so that the mean of all *other* images can be told.

    Attributes:
        sums: (classes, S, S) per class of the data set, float64.
        counts: (classes,) heatmaps in each sum.
        faceless: positions without landmarks.
    """

    def __init__(self, setup: _Setup, batch_size: int, tell: Progress) -> None:
        classes = setup.dataset.classes
        self.sums = torch.zeros(len(classes), CANVAS, CANVAS, dtype=torch.float64)
        self.counts = torch.zeros(len(classes))
        self.faceless: list[int] = []
        for start in range(0, len(setup.indices), CPU_CHUNK):
            rows = setup.indices[start : start + CPU_CHUNK]
            tell("AU heatmaps", start + len(rows), len(setup.indices))
            points = self._points(setup, rows)
            self.faceless += [row for row, found in zip(rows, points.found.tolist(), strict=True) if not found]
            heat, valid = setup.heatmaps(points, [setup.label(row) for row in rows])
            for picture, ok, row in zip(heat.cpu(), valid.tolist(), rows, strict=True):
                if ok:
                    self.sums[classes.index(setup.label(row))] += picture
                    self.counts[classes.index(setup.label(row))] += 1
        self.total = self.sums.sum(0)

    @staticmethod
    def _points(setup: _Setup, rows: Sequence[int]) -> Landmarks:
        """Return landmarks on the canvas; an unreadable image has none."""
        if setup.provider.needs_images:
            return _read_batch(setup, rows).landmarks  # pragma: no cover
        sizes = []
        for row in rows:
            try:
                sizes.append(setup.dataset.size(row))
            except DataError:
                sizes.append((0, 0))
        found = setup.provider.locate([setup.dataset.samples[row].id for row in rows], None)
        return Landmarks.of(found.scaled(torch.tensor(sizes, dtype=found.points.dtype)).points)

    def others(self, heat: Float[Tensor, "n s s"], valid: Bool[Tensor, " n"]) -> Float[Tensor, "n s s"]:
        """Return the mean heatmap of all images but each."""
        own = torch.where(valid[:, None, None], heat, 0).cpu().double()
        return _mean(self.total - own, self.counts.sum() - valid.cpu().float()).to(heat)

    def classmates(
        self, heat: Float[Tensor, "n s s"], valid: Bool[Tensor, " n"], classes: Sequence[int]
    ) -> Float[Tensor, "n s s"]:
        """Return the mean heatmap of the other images of each one's class; NaN where the class is unknown."""
        index = torch.tensor(classes)
        own = torch.where(valid[:, None, None], heat, 0).cpu().double()
        count = torch.where(index >= 0, self.counts[index] - valid.cpu().float(), 0)
        return _mean(self.sums[index] - own, count).to(heat)


def _mean(sums: Float[Tensor, "n s s"], counts: Float[Tensor, " n"]) -> Float[Tensor, "n s s"]:
    return torch.where(counts > 0, 1 / counts, torch.nan)[:, None, None] * sums


def _score_batch(setup: _Setup, batch: _Batch, means: _Means | None) -> Part:
    rows, columns = len(batch.rows), len(setup.columns)
    labels = [setup.label(row) for row in batch.rows]
    classes = [setup.dataset.classes.index(name) if name else -1 for name in labels]
    scores = torch.full((rows, columns, len(setup.image_metrics)), torch.nan, dtype=torch.float64)
    single = {name: torch.full((rows, columns), torch.nan, dtype=torch.float64) for name in setup.dataset_metrics}
    counts: dict[str, Tensor] = {}
    predicted = torch.zeros(0, dtype=torch.long)
    heat_valid = torch.zeros(0, dtype=torch.bool)
    if rows:
        shown = _show(setup, batch, labels)
        raw = _raw_maps(setup, shown)
        predicted = shown.logits.argmax(1).cpu()
        step = CPU_CHUNK if setup.model.device.type == "cpu" else rows
        for start in range(0, rows, step):
            part = slice(start, start + step)
            points = Landmarks(batch.landmarks.points[part], batch.landmarks.found[part])
            heat, valid = setup.heatmaps(points, labels[part])
            heat_valid = torch.cat([heat_valid, valid.cpu()])
            around = Surroundings(
                heat,
                means.others(heat, valid) if means else None,
                means.classmates(heat, valid, classes[part]) if means else None,
                tuple(batch.rows[part]),
                setup.seed,
            )
            for column, (name, layer) in enumerate(setup.columns):
                large = _on_canvas(setup, name, raw.get((name, layer)), part, around)
                for index, metric in enumerate(setup.image_metrics.values()):
                    scores[part, column, index] = metric(large, heat).cpu().double()
                for key, counter in setup.dataset_metrics.items():
                    unit = normalise(large)[0] if setup.maps[name].attention and layer != "-" else large
                    found = counter.count(unit, heat).cpu()
                    single[key][part, column] = counter.score(found)
                    total = counts.setdefault(key, found.new_zeros(columns, len(setup.dataset.classes) + 1, found.shape[1]))
                    total[column].index_add_(0, torch.tensor(classes[part]) % total.shape[1], found)
    return Part(
        np.array(batch.rows, np.int64),
        predicted.numpy(),
        tuple(batch.digests),
        scores.numpy(),
        {name: value.to(torch.int32).numpy() for name, value in counts.items()},
        {name: value.numpy() for name, value in single.items()},
        heat_valid.numpy(),
        tuple(row for row, found in zip(batch.rows, batch.landmarks.found.tolist(), strict=True) if not found),
        batch.skipped,
    )


def _show(setup: _Setup, batch: _Batch, labels: Sequence[str]) -> Capture:
    outputs = setup.model.classes
    targets = None
    if setup.target == "label":
        targets = torch.tensor([outputs.index(name) if name in outputs else -1 for name in labels])
    gradients = any(method.gradient for method in setup.maps.values())
    layers = setup.layers if any(isinstance(method, LayerMap) for method in setup.maps.values()) else ()
    return capture(setup.model, setup.model.normalise(batch.images), layers, targets, gradients)


def _raw_maps(setup: _Setup, shown: Capture) -> dict[tuple[str, str], Tensor]:
    return {
        (name, layer): method(shown.layers[layer])
        for name, method in setup.maps.items()
        if isinstance(method, LayerMap)
        for layer in setup.layers
    }


def _on_canvas(
    setup: _Setup, name: str, raw: Tensor | None, part: slice, around: Surroundings
) -> Float[Tensor, "n s s"]:
    method = setup.maps[name]
    if isinstance(method, BaselineMap):
        return method.compute(around)
    assert raw is not None
    return to_canvas(raw[part], method.attention, setup.protocol)[0]


def _conclude(setup: _Setup, folder: RunFolder, started: float) -> Run:
    parts = list(folder.parts())
    rows = np.concatenate([part.rows for part in parts])
    skipped = {row: why for part in parts for row, why in part.skipped.items()}
    faceless = [row for part in parts for row in part.faceless]
    heat = np.concatenate([part.heat for part in parts])
    if not heat.any():
        folder.discard()
        raise DataError(_nothing_to_score(setup, len(faceless), len(skipped)))
    labels = [setup.label(row) for row in rows.tolist()]
    predicted = [setup.model.classes[index] for part in parts for index in part.predicted.tolist()]
    classification = classify(labels, predicted, setup.dataset.classes, setup.model.classes)
    per_image = _per_image(setup, parts, rows, labels, predicted)
    scores = _scores(setup, parts, labels)
    confusion = classification.confusion.rename_axis("true")
    manifest = _manifest(setup, parts, classification, started)
    manifest["counts"] = _counts(setup, parts, labels, heat, skipped, faceless)
    folder.finish({"scores.csv": scores, "per_image.csv": per_image, "confusion.csv": confusion}, manifest)
    return Run(scores, per_image, confusion, manifest, folder.path)


def _per_image(
    setup: _Setup, parts: Sequence[Part], rows: np.ndarray, labels: Sequence[str], predicted: Sequence[str]
) -> pd.DataFrame:
    columns = len(setup.columns)
    table = {
        "image": np.repeat([setup.dataset.samples[row].id for row in rows.tolist()], columns),
        "label": np.repeat(labels, columns),
        "predicted": np.repeat(predicted, columns),
        "map": np.tile([name for name, _ in setup.columns], len(rows)),
        "layer": np.tile([layer for _, layer in setup.columns], len(rows)),
    }
    scores = np.concatenate([part.scores for part in parts]).reshape(len(rows) * columns, -1)
    values = dict(zip(setup.image_metrics, scores.T, strict=True))
    values |= {name: np.concatenate([part.single[name] for part in parts]).ravel() for name in setup.dataset_metrics}
    return pd.DataFrame(table | {name: values[name] for name in setup.metrics})


def _scores(setup: _Setup, parts: Sequence[Part], labels: Sequence[str]) -> pd.DataFrame:
    names = setup.dataset.classes
    classes = np.array([names.index(label) if label else -1 for label in labels])
    by_image = np.concatenate([part.scores for part in parts])
    rows: list[tuple[Any, ...]] = []
    for column, (name, layer) in enumerate(setup.columns):
        for metric in setup.metrics:
            if metric in setup.image_metrics:
                values = by_image[:, column, list(setup.image_metrics).index(metric)]
                summaries: list[tuple[Any, ...]] = [*summarise(values, classes, names, setup.seed)]
            else:
                single = np.concatenate([part.single[metric][:, column] for part in parts])
                summaries = _pooled(setup, parts, metric, column, single, classes)
            rows += [(name, layer, metric, *summary) for summary in summaries]
    return pd.DataFrame(rows, columns=["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"])


def _pooled(
    setup: _Setup, parts: Sequence[Part], metric: str, column: int, single: np.ndarray, classes: np.ndarray
) -> list[tuple[Any, ...]]:
    """Score the added counts of all images (micro), of each class, and their mean over classes (macro)."""
    counted = np.isfinite(single)
    total = torch.from_numpy(np.sum([p.counts[metric][column] for p in parts if metric in p.counts], 0, dtype=np.int64))
    score_of = setup.dataset_metrics[metric].score
    by_class = score_of(total[:-1]).numpy()
    known = by_class[np.isfinite(by_class)]
    n = int(counted.sum())
    macro = ("macro", known.mean() if len(known) else np.nan, np.nan, np.nan, n)
    micro = ("micro", float(score_of(total.sum(0))), np.nan, np.nan, n)
    sizes = [int((counted & (classes == index)).sum()) for index in range(len(by_class))]
    each = [
        (name, value, np.nan, np.nan, size)
        for name, value, size in zip(setup.dataset.classes, by_class, sizes, strict=True)
    ]
    return [macro, micro, *each]


def _counts(
    setup: _Setup,
    parts: Sequence[Part],
    labels: Sequence[str],
    heat: np.ndarray,
    skipped: dict[int, str],
    faceless: Sequence[int],
) -> dict[str, Any]:
    first = np.concatenate([part.scores[:, :, :1] for part in parts])
    undefined = {}
    for column, (name, layer) in enumerate(setup.columns):
        lost = int((heat & ~np.isfinite(first[:, column]).all(1)).sum()) if first.shape[2] else 0
        if lost:
            undefined[name if layer == "-" else f"{name}@{layer}"] = lost
    ids = [sample.id for sample in setup.dataset.samples]
    return {
        "images": len(setup.indices),
        "scored": int(heat.sum()),
        "neutral": sum(label == NEUTRAL for label in labels),
        "unlabelled": sum(not label for label in labels),
        "skipped": {
            "unreadable": {ids[row]: why for row, why in sorted(skipped.items())},
            "no landmarks": [ids[row] for row in sorted(faceless)],
        },
        "undefined_maps": undefined,
    }


def _manifest(
    setup: _Setup, parts: Sequence[Part], classification: Classification, started: float
) -> dict[str, Any]:
    content = hashlib.sha256()
    for part in parts:
        for row, digest in zip(part.rows.tolist(), part.digests, strict=True):
            content.update(f"{setup.dataset.samples[row].id},{setup.label(row)},{digest}\n".encode())
    packages = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pillow")
    return {
        "plan": setup.plan,
        "classes": list(setup.dataset.classes),
        "model_classes": list(setup.model.classes),
        "seed": setup.seed,
        "device": str(setup.model.device),
        "versions": {"interpfer": __version__} | {name: version(name) for name in packages},
        "checkpoint_sha256": setup.model.sha256,
        "dataset_digest": content.hexdigest(),
        "landmarks_digest": setup.provider.digest,
        "classification": {
            "n": classification.n,
            "accuracy": classification.accuracy,
            "macro_f1": classification.macro_f1,
            "recall": classification.recall,
        },
        "seconds": round(time.monotonic() - started, 3),
    }


def _nothing_to_score(setup: _Setup, faceless: int, unreadable: int) -> str:
    labels = [setup.label(index) for index in setup.indices]
    return (
        f"no image of {setup.dataset.name} can be scored: of {len(labels)}, {unreadable} unreadable, {faceless} without "
        f"landmarks, {labels.count(NEUTRAL)} neutral, {labels.count('')} without a label. Landmark names must be those "
        f"of the images, such as {setup.dataset.samples[setup.indices[0]].id}."
    )
