"""What is to be scored, and how: everything that decides the bytes of a run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.au.codebook import Codebook, load_codebook
from interpfer.au.drawing import au_heatmaps
from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError
from interpfer.faces.stream import FaceStream
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import MAPS, named_maps, select_maps
from interpfer.maps.base import ONE_PASS, AnyMap, BaselineMap, LayerMap, layers_of
from interpfer.maps.canvas import PROTOCOLS
from interpfer.maps.compute import default_maps
from interpfer.maps.engine import Key, find_duplicates, require_named, run_maps, unsupported_maps
from interpfer.metrics import DEFAULT_METRICS, METRICS, select_metrics
from interpfer.metrics.au_profile import AURegions, evidence, shares
from interpfer.metrics.base import Metric
from interpfer.models.model import AUTOCAST, Model
from interpfer.types import CANVAS, Landmarks
from interpfer.validation import require_choice

PROTOCOL_DEFAULTS = {"paper": ("belharbi2024", "reference"), "corrected": ("martinez2017", "scaled")}
"""Codebook and geometry of each protocol."""

TARGETS = ("label", "predicted")

PROBED = 4
"""Images on which it is found out which maps cannot be made, and which are the same."""

SHOWN_MAPS = 24
"""(map, layer) pairs that a report shows as pictures at most, so that it stays small."""


@dataclass(frozen=True)
class Plan:
    """A score that is about to be made.

    Attributes:
        model: the classifier.
        dataset: the faces.
        provider: their landmarks.
        maps: by name, in the order of the tables.
        layers: of the maps that have one.
        metrics: by name, in the order of the tables.
        target: "label" or "predicted".
        protocol: "paper" or "corrected".
        codebook: name or file.
        geometry: name.
        seed: of everything random.
        rows: positions in the data set of the images to score.
        named: maps asked for by their own names: that one cannot be made is an error.
        align: whether faces are aligned by their landmarks first.
        autocast: "off", "bf16" or "fp16".
    """

    model: Model
    dataset: Dataset
    provider: LandmarkProvider
    maps: dict[str, AnyMap]
    layers: tuple[str, ...]
    metrics: dict[str, Metric]
    target: str
    protocol: str
    codebook: str
    geometry: str
    seed: int
    rows: tuple[int, ...]
    align: bool = False
    autocast: str = "off"
    named: frozenset[str] = frozenset()

    @classmethod
    def make(
        cls,
        model: Model,
        dataset: Dataset,
        *,
        landmarks: LandmarkProvider | str | Path | None = None,
        maps: str | Sequence[str] | None = None,
        layers: str | Sequence[str] = "last",
        metrics: str | Sequence[str] = DEFAULT_METRICS,
        target: str = "label",
        protocol: str = "paper",
        codebook: str | None = None,
        geometry: str | None = None,
        seed: int = 0,
        limit: int | None = None,
        align: bool = False,
        autocast: str = "off",
    ) -> "Plan":
        """Resolve names and defaults; see ``interpfer.score`` for the arguments.

        Raises:
            InterpferError: a name is unknown.
        """
        require_choice("target", target, TARGETS)
        require_choice("protocol", protocol, PROTOCOLS)
        require_choice("autocast", autocast, tuple(AUTOCAST))
        if limit is not None and limit < 1:
            raise InterpferError(f"limit {limit}: score at least one image.")
        book, place = PROTOCOL_DEFAULTS[protocol]
        maps = default_maps(model) if maps is None else maps
        return cls(
            model=model,
            dataset=dataset,
            provider=resolve_landmarks(landmarks, dataset.landmarks()),
            maps={name: MAPS.get(name) for name in select_maps(maps)},
            layers=model.layers(layers),
            metrics={name: METRICS.get(name) for name in select_metrics(metrics)},
            target=target,
            protocol=protocol,
            codebook=codebook or book,
            geometry=geometry or place,
            seed=seed,
            rows=sample_rows(len(dataset), limit, seed),
            named=frozenset(named_maps(maps)),
            align=align,
            autocast=autocast,
        )

    @cached_property
    def columns(self) -> tuple[Key, ...]:
        """The (map, layer) pairs that can be made; a baseline has the layer "-"."""
        pairs = ((name, layer) for name, method in self.maps.items() for layer in layers_of(method, self.layers))
        return tuple(pair for pair in pairs if pair not in self.refused)

    @property
    def refused(self) -> dict[Key, str]:
        """(map, layer) -> why it cannot be made; of maps of many passes this is only known when they are tried."""
        return self._probe[1]

    @cached_property
    def same(self) -> dict[Key, Key]:
        """(map, layer) -> the (map, layer) that it repeats for this model."""
        return self._probe[0]

    @cached_property
    def shown(self) -> tuple[Key, ...]:
        """The pairs that a report shows as pictures: no baseline and no repetition, deeper layers first in need."""
        own = [key for key in self.columns if not isinstance(self.maps[key[0]], BaselineMap) and key not in self.same]
        depth = {layer: place for place, layer in enumerate(self.layers)}
        kept = sorted(own, key=lambda key: -depth.get(key[1], len(depth)))[:SHOWN_MAPS]
        return tuple(key for key in own if key in kept)

    @cached_property
    def _probe(self) -> tuple[dict[Key, Key], dict[Key, str]]:
        """Make the quick maps of a few images: which are the same, and which cannot be made.

        Raises:
            ModelError: a map that was asked for by its name cannot be made.
        """
        sealed = unsupported_maps(self.model, self.maps, self.layers)
        require_named(sealed, self.maps, self.layers, set(self.named), self.model.name)
        methods = {name: method for name, method in self.maps.items() if method.cost == ONE_PASS}
        batch = self.stream.read(self.rows[:PROBED])
        if not batch.rows or all(isinstance(method, BaselineMap) for method in methods.values()):
            return {}, sealed
        x = self.model.normalise(batch.faces.images)
        shown = run_maps(self.model, x, methods, self.layers, None, self.seed)
        require_named(shown.refused, methods, self.layers, set(self.named), self.model.name)
        shared = {key: raw for key, raw in shown.maps.items() if isinstance(methods[key[0]], LayerMap)}
        return find_duplicates(shared), sealed | shown.refused

    @cached_property
    def book(self) -> Codebook:
        """The codebook that ``codebook`` names."""
        return load_codebook(self.codebook)

    @cached_property
    def stream(self) -> FaceStream:
        """The images at the model's input size."""
        return FaceStream(self.dataset, self.provider, self.model.card.input.size, self.align)

    @property
    def needs_means(self) -> bool:
        """Whether a baseline asks for the AU heatmaps of the whole data set."""
        return any(isinstance(method, BaselineMap) and method.heatmaps for method in self.maps.values())

    @property
    def needs_gradients(self) -> bool:
        """Whether any map needs the backward."""
        return any(method.gradient for method in self.maps.values())

    def labels(self, rows: Sequence[int]) -> list[str]:
        """Return the canonical label of each row, "" where unknown."""
        return [self.dataset.samples[row].label for row in rows]

    def classes(self, rows: Sequence[int]) -> list[int]:
        """Return the class index of each row in the data set, -1 where unknown."""
        names = self.dataset.classes
        return [names.index(label) if label else -1 for label in self.labels(rows)]

    def targets(self, rows: Sequence[int]) -> Tensor | None:
        """Return the model's output per row that class-specific maps explain, -1 for none; None for the predicted."""
        if self.target == "predicted":
            return None
        outputs = self.model.classes
        return torch.tensor([outputs.index(name) if name in outputs else -1 for name in self.labels(rows)])

    def heatmaps(self, landmarks: Landmarks, rows: Sequence[int]) -> tuple[Float[Tensor, "n s s"], Bool[Tensor, " n"]]:
        """Draw the AU heatmaps of the labels of ``rows``."""
        points = landmarks.points.to(self.model.device)
        return au_heatmaps(points, self.labels(rows), CANVAS, self.book, self.geometry)

    @cached_property
    def evidence(self) -> AURegions:
        """The regions over which the energy of maps is dealt out."""
        return evidence(self.book, self.geometry)

    def shares(self, landmarks: Landmarks) -> Float[Tensor, "n g 28 28"]:
        """Deal the cells of a 28 x 28 grid out to the regions of action units."""
        return shares(landmarks.points.to(self.model.device), self.evidence, self.geometry)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one it continues."""
        listed = "\n".join(f"{self.dataset.samples[row].id},{self.dataset.samples[row].label}" for row in self.rows)
        return {
            "model": self.model.name,
            "checkpoint": self.model.sha256,
            "card": self.model.card.identity,
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
            "codebook_digest": hashlib.sha256(repr(self.book).encode()).hexdigest(),
            "geometry": self.geometry,
            "align": self.align,
            "autocast": self.autocast,
            "seed": self.seed,
        }


def sample_rows(total: int, limit: int | None, seed: int) -> tuple[int, ...]:
    """Return all positions, or a seeded random sample of ``limit`` of them in order."""
    if limit is None or limit >= total:
        return tuple(range(total))
    return tuple(sorted(np.random.default_rng(seed).choice(total, limit, replace=False).tolist()))
