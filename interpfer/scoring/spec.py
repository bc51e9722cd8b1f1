"""What a score is of: everything that decides its bytes, as plain values with a hash."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from interpfer.choices import AU
from interpfer.datasets.base import Dataset
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.folder import FolderDataset
from interpfer.errors import PluginError
from interpfer.landmarks.absent import NoLandmarks
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.files import FileLandmarks
from interpfer.maps import for_truth, select_maps
from interpfer.maps.compute import default_maps
from interpfer.maps.refined import with_controls
from interpfer.metrics import ALL, DEFAULT_METRICS, METRICS, select_metrics
from interpfer.metrics.base import LandmarkMetric, ModelMetric
from interpfer.models.model import Model
from interpfer.occlusion.kinds import parse_occlusions
from interpfer.results.attributes import require_groups, resolve_columns
from interpfer.scoring.options import ScoreOptions
from interpfer.truth.base import TruthProvider
from interpfer.types import Sample


@dataclass(frozen=True)
class ScoreSpec:
    """What is scored, and by what rules.

    Attributes:
        model: name of the classifier.
        checkpoint: sha256 of its file.
        card: its model card, as text.
        dataset: name of the data set.
        split: its split.
        images: sha256 of the names and labels of the images.
        dataset_name: the data set's own name, such as that of its folder.
        landmarks: name of the landmark provider or file.
        landmarks_digest: digest of the landmark provider.
        maps: names, in the order of the tables.
        layers: of the maps that have one.
        metrics: names, in the order of the tables.
        target: "label" or "predicted".
        truth: name of the truth provider.
        truth_settings: what decides its maps.
        protocol: "paper" or "corrected".
        align: whether faces are aligned by their landmarks first.
        autocast: "off", "bf16" or "fp16".
        seed: of everything random.
        rows: positions in the data set of the images to score.
        occlusions: what the faces are covered with, in the order of the tables; a run without has no such entry.
        occlude_map: name of the map that ``guided`` follows, "" for the first of the classifier.
        by: attributes by which images are grouped; a run without has no such entry.
        least_group: smallest number of images of such a group.
    """

    model: str
    checkpoint: str
    card: str
    dataset: str
    split: str
    dataset_name: str
    images: str
    landmarks: str
    landmarks_digest: str
    maps: tuple[str, ...]
    layers: tuple[str, ...]
    metrics: tuple[str, ...]
    target: str
    truth: str
    truth_settings: Mapping[str, str]
    protocol: str
    align: bool
    autocast: str
    seed: int
    rows: Sequence[int]
    occlusions: tuple[str, ...] = ()
    occlude_map: str = ""
    by: tuple[str, ...] = ()
    least_group: int = 1

    def __post_init__(self) -> None:
        if clash := set(self.truth_settings) & {each.name for each in fields(self)}:
            raise PluginError(
                f"truth {self.truth} must rename its settings {', '.join(sorted(clash))}: a score has them too."
            )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that it continues, as run.json holds it."""
        return {
            "model": self.model,
            "checkpoint": self.checkpoint,
            "card": self.card,
            "dataset": self.dataset,
            "split": self.split,
            "dataset_name": self.dataset_name,
            "images": self.images,
            "landmarks": self.landmarks,
            "landmarks_digest": self.landmarks_digest,
            "maps": list(self.maps),
            "layers": list(self.layers),
            "metrics": list(self.metrics),
            "target": self.target,
            "truth": self.truth,
            "truth_settings": list(self.truth_settings),
            "protocol": self.protocol,
            **self.truth_settings,
            "align": self.align,
            "autocast": self.autocast,
            "seed": self.seed,
            **({"occlusions": list(self.occlusions), "occlude_map": self.occlude_map} if self.occlusions else {}),
            **({"by": list(self.by), "min_group": self.least_group} if self.by else {}),
        }

    @property
    def digest(self) -> str:
        """sha256 of ``identity``."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()


def make_spec(
    options: ScoreOptions, model: Model, dataset: Dataset, landmarks: LandmarkProvider, truth: TruthProvider
) -> ScoreSpec:
    """Resolve the names and groups of the options.

    Raises:
        InterpferError: a map, a metric or a layer is unknown.
    """
    rows = sample_images(dataset.samples, options.limit, options.sample_seed)
    images = hashlib.sha256()
    for place, row in enumerate(rows):
        sample = dataset.samples[row]
        images.update(b"\n" if place else b"")
        images.update(f"{sample.id},{sample.label}".encode())
    return ScoreSpec(
        model=model.name,
        checkpoint=model.sha256,
        card=model.card.identity,
        dataset=dataset.name,
        split=dataset.split,
        images=images.hexdigest(),
        dataset_name=options.dataset_name or default_name(dataset),
        landmarks=landmarks.path.name if isinstance(landmarks, FileLandmarks) else landmarks.name,
        landmarks_digest=landmarks.digest,
        maps=with_controls(
            for_truth(select_maps(default_maps(model) if options.maps is None else options.maps), truth.noun)
        ),
        layers=model.layers(options.layers),
        metrics=_metrics(options, landmarks, model),
        target=options.target,
        truth=truth.name,
        truth_settings=truth.settings,
        protocol=options.protocol,
        align=options.align,
        autocast=options.autocast,
        seed=options.seed,
        rows=rows,
        occlusions=tuple(each.identity for each in parse_occlusions(options.occlude)),
        occlude_map=options.occlude_map or "",
        by=_groups(options, dataset, rows),
        least_group=options.min_group,
    )


def _groups(options: ScoreOptions, dataset: Dataset, rows: Sequence[int]) -> tuple[str, ...]:
    """Return the attributes by which images are grouped.

    Raises:
        InterpferError: there is no such attribute, no group is large enough, or maps are of action units.
    """
    columns = resolve_columns(options.by, dataset.samples, dataset.name)
    if columns and options.target.strip() == AU:
        raise PluginError(f"--by compares groups of images, and --target {AU} scores action units: leave one out.")
    if clash := [name for name in columns if name in METRICS.names()]:
        raise PluginError(f"--by {clash[0]}: a metric is called so: rename the column in the data set.")
    require_groups(columns, [dataset.samples[row] for row in rows], options.min_group)
    return columns


def _metrics(options: ScoreOptions, landmarks: LandmarkProvider, model: Model) -> tuple[str, ...]:
    """Return the names of the metrics; the group of all leaves out those that cannot be measured.

    These need landmarks where there are none, or run a network of clips on single frames.
    """
    names = select_metrics(DEFAULT_METRICS if options.metrics is None else options.metrics)
    obstacles: list[tuple[type, str]] = []
    if isinstance(landmarks, NoLandmarks):
        obstacles.append((LandmarkMetric, "needs landmarks: leave it out, or pass --landmarks"))
    if model.frames > 1:
        reason = f"changes single pictures, and model {model.name} takes clips of {model.frames} frames: leave it out"
        obstacles.append((ModelMetric, reason))
    for kind, reason in obstacles:
        kept = tuple(name for name in names if not isinstance(METRICS.get(name), kind))
        if kept != names and ALL not in (options.metrics or ""):
            raise PluginError(f"metric {next(name for name in names if name not in kept)} {reason}.")
        names = kept
    return names


def default_name(dataset: Dataset) -> str:
    """Return the name of the folder of a data set that any folder can be, else that of its kind."""
    is_any_folder = dataset.name in (CsvDataset.name, FolderDataset.name)
    return dataset.root.resolve().name if is_any_folder and dataset.root is not None else dataset.name


def sample_images(samples: Sequence[Sample], limit: int | None, seed: int) -> Sequence[int]:
    """Return all positions, or those of a random sample of images, of clips with all their frames.

    Args:
        samples: those of the data set.
        limit: size of the sample, in images, or in clips; None for all positions.
        seed: random seed.

    Examples:
        >>> clips = [Sample(f"{clip}{frame}", "", clip=clip, frame=frame) for clip in "abc" for frame in range(2)]
        >>> sample_images(clips, 1, seed=0)
        (4, 5)
    """
    if limit is None:
        return range(len(samples))
    units: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        units.setdefault(f"clip {sample.clip}" if sample.clip else f"image {row}", []).append(row)
    members = list(units.values())
    chosen = sample_by_class([samples[own[0]].label for own in members], limit, seed)
    return tuple(sorted(row for place in chosen for row in members[place]))


def sample_by_class(labels: Sequence[str], limit: int | None, seed: int) -> tuple[int, ...]:
    """Return all positions, or a random sample of ``limit`` of them in order that holds each class in proportion.

    Each class has its share of the sample, rounded by the largest remainder, and at least one image where the sample
    has as many images as there are classes.

    Args:
        labels: class of each position.
        limit: size of the sample; None for all positions.
        seed: random seed.

    Examples:
        >>> labels = ["fear"] * 2 + ["happiness"] * 18
        >>> rows = sample_by_class(labels, 5, seed=0)
        >>> [labels[row] for row in rows]
        ['fear', 'happiness', 'happiness', 'happiness', 'happiness']
    """
    if limit is None or limit >= len(labels):
        return tuple(range(len(labels)))
    names, counts = np.unique(np.array(labels), return_counts=True)
    shares = limit * counts / len(labels)
    sizes = np.maximum(np.floor(shares), 1 if limit >= len(names) else 0)
    while sizes.sum() != limit:
        step = 1 if sizes.sum() < limit else -1
        missing = (shares - sizes) * step
        missing[sizes + step > counts] = -np.inf
        missing[sizes + step < (1 if limit >= len(names) else 0)] = -np.inf
        sizes[missing.argmax()] += step
    rng, positions = np.random.default_rng(seed), np.array(labels)
    rows = [
        rng.choice(np.flatnonzero(positions == name), int(size), replace=False)
        for name, size in zip(names, sizes, strict=True)
    ]
    return tuple(sorted(np.concatenate(rows).tolist()))


def sample_rows(total: int, limit: int | None, seed: int) -> tuple[int, ...]:
    """Return all positions, or a seeded random sample of ``limit`` of them in order."""
    if limit is None or limit >= total:
        return tuple(range(total))
    return tuple(sorted(np.random.default_rng(seed).choice(total, limit, replace=False).tolist()))
