"""What a score is of: everything that decides its bytes, as plain values with a hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from interpfer.datasets.base import Dataset
from interpfer.errors import PluginError
from interpfer.landmarks.base import LandmarkProvider
from interpfer.maps import select_maps
from interpfer.maps.compute import default_maps
from interpfer.metrics import DEFAULT_METRICS, select_metrics
from interpfer.models.model import Model
from interpfer.scoring.options import ScoreOptions
from interpfer.truth.base import TruthProvider


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
        landmarks: digest of the landmark provider.
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
    """

    model: str
    checkpoint: str
    card: str
    dataset: str
    split: str
    images: str
    landmarks: str
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
    rows: tuple[int, ...]

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
            "images": self.images,
            "landmarks": self.landmarks,
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
    rows = sample_rows(len(dataset), options.limit, options.seed)
    names = "\n".join(f"{dataset.samples[row].id},{dataset.samples[row].label}" for row in rows)
    return ScoreSpec(
        model=model.name,
        checkpoint=model.sha256,
        card=model.card.identity,
        dataset=dataset.name,
        split=dataset.split,
        images=hashlib.sha256(names.encode()).hexdigest(),
        landmarks=landmarks.digest,
        maps=select_maps(default_maps(model) if options.maps is None else options.maps),
        layers=model.layers(options.layers),
        metrics=select_metrics(DEFAULT_METRICS if options.metrics is None else options.metrics),
        target=options.target,
        truth=truth.name,
        truth_settings=truth.settings,
        protocol=options.protocol,
        align=options.align,
        autocast=options.autocast,
        seed=options.seed,
        rows=rows,
    )


def sample_rows(total: int, limit: int | None, seed: int) -> tuple[int, ...]:
    """Return all positions, or a seeded random sample of ``limit`` of them in order."""
    if limit is None or limit >= total:
        return tuple(range(total))
    return tuple(sorted(np.random.default_rng(seed).choice(total, limit, replace=False).tolist()))
