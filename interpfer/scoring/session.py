"""What is open while a score runs: the classifier, the faces, the truth, the maps and the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.choices import AU, TARGETS
from interpfer.datasets.base import Dataset
from interpfer.errors import InterpferError, ModelError, nearest
from interpfer.faces.check import check_landmarks
from interpfer.faces.clip_batches import require_frames
from interpfer.faces.stream import FaceStream
from interpfer.labels import canonical, class_indices
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.reasons import OFF_PICTURE
from interpfer.landmarks.resolve import resolve_landmarks
from interpfer.maps import MAPS, for_truth, named_maps
from interpfer.maps.base import ONE_PASS, AnyMap, BaselineMap, LayerMap, layers_of
from interpfer.maps.compute import default_maps
from interpfer.maps.engine import Key, detached_maps, find_duplicates, require_named, run_maps, unsupported_maps
from interpfer.metrics import METRICS
from interpfer.metrics.base import DatasetMetric, ImageMetric, LandmarkMetric, Metric, ModelMetric
from interpfer.models.model import Model
from interpfer.occlusion.kinds import Occlusion
from interpfer.runtime.threads import count_readers
from interpfer.scoring.class_match import require_shared
from interpfer.scoring.occlusions import rank_by, resolve_occlusions
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.spec import ScoreSpec, make_spec
from interpfer.truth import open_truth
from interpfer.truth.base import Truth, TruthProvider
from interpfer.truth.planes import Planes
from interpfer.types import Landmarks, Sample

PROBED = 4
"""Images on which it is found out which maps fail, and which are duplicates."""

SHOWN_MAPS = 24
"""(map, layer) pairs that a report shows as pictures at most, so that it stays small."""


class MapProbe(NamedTuple):
    """Facts about the maps, from a few images.

    Attributes:
        columns: the (map, layer) pairs that can be computed; a baseline has the layer "-".
        duplicates: (map, layer) -> the (map, layer) that it repeats for this model.
        failed: (map, layer) -> why it cannot be computed; for maps of many passes this is only known
            when they are tried.
    """

    columns: tuple[Key, ...]
    duplicates: dict[Key, Key]
    failed: dict[Key, str]


@dataclass(frozen=True)
class ScoreSession:
    """An open score.

    Attributes:
        spec: what is scored, as plain values.
        model: the classifier whose maps are made: of classes, or for the target ``au`` of action units.
        dataset: the faces.
        stream: their images at the model's input size, with their landmarks.
        truth: what maps are compared with.
        maps: by name, in the order of the tables.
        metrics: by name, in the order of the tables.
        requested: maps asked for by their own names: one that cannot be computed is an error.
        probe: which maps can be made, and which are duplicates.
        classifier: the classifier whose predictions are compared with the labels; it may have no classes.
        occlusions: what the faces are covered with in turn, after they have been scored as they are.
        ranking_key: the (map, layer) that the occluder ``guided`` follows and the report shows; None for none.
    """

    spec: ScoreSpec
    model: Model
    dataset: Dataset
    stream: FaceStream
    truth: TruthProvider
    maps: dict[str, AnyMap]
    metrics: dict[str, Metric]
    requested: frozenset[str]
    probe: MapProbe
    classifier: Model
    occlusions: tuple[Occlusion, ...] = ()
    ranking_key: Key | None = None

    @property
    def columns(self) -> tuple[Key, ...]:
        """The (map, layer) pairs of the tables."""
        return self.probe.columns

    @property
    def shown(self) -> tuple[Key, ...]:
        """The pairs that a report shows as pictures: no baseline and no duplicate; the deeper layers, if too many."""
        own = [
            key
            for key in self.columns
            if not isinstance(self.maps[key[0]], BaselineMap) and key not in self.probe.duplicates
        ]
        depth = {layer: place for place, layer in enumerate(self.spec.layers)}
        kept = sorted(own, key=lambda key: -depth.get(key[1], len(depth)))[:SHOWN_MAPS]
        return tuple(key for key in own if key in kept)

    @property
    def image_metrics(self) -> list[ImageMetric | ModelMetric | LandmarkMetric]:
        """The metrics with one score per image, in the order of the tables."""
        return [metric for metric in self.metrics.values() if not isinstance(metric, DatasetMetric)]

    @property
    def needs_means(self) -> bool:
        """Whether a baseline needs the truth of the whole data set."""
        return any(isinstance(method, BaselineMap) and method.heatmaps for method in self.maps.values())

    @property
    def needs_gradients(self) -> bool:
        """Whether any map needs the backward."""
        return any(method.gradient for method in self.maps.values())

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """Return the samples at ``rows``."""
        return [self.dataset.samples[row] for row in rows]

    def labels(self, rows: Sequence[int]) -> list[str]:
        """Return the canonical label of each row, "" where unknown."""
        return [sample.label for sample in self.samples(rows)]

    def classes(self, rows: Sequence[int]) -> list[int]:
        """Return the class index of each row in the data set, -1 where unknown."""
        return class_indices(self.labels(rows), self.dataset.classes)

    def targets(self, rows: Sequence[int]) -> Tensor | None:
        """Return the model's output per row that class-specific maps explain, -1 for none; None for the predicted."""
        if self.spec.target in ("predicted", AU):
            return None
        names = self.labels(rows) if self.spec.target == "label" else [self.spec.target] * len(rows)
        return torch.tensor(class_indices(names, self.model.classes), dtype=torch.long)

    def predict(self, images: Float[Tensor, "n 3 s s"]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the predicted class of images of the input size and its probability; -1 of a model without classes."""
        if not self.classifier.classes or not len(images):
            return np.full(len(images), -1), np.full(len(images), np.nan)
        logits = self.classifier.predict_logits(images).cpu()
        confidence = self.classifier.probabilities(logits.double()).amax(1)
        return logits.argmax(1).numpy(), confidence.numpy()

    def missing_notes(self, rows: Sequence[int], landmarks: Landmarks, valid: Bool[Tensor, " n"]) -> dict[int, str]:
        """Return row -> why it has no landmarks, or why what is drawn of it has no truth.

        Args:
            rows: positions of n faces.
            landmarks: on the canvas.
            valid: which faces have a truth.
        """
        if not self.truth.needs_landmarks:
            pairs = zip(rows, self.samples(rows), valid.tolist(), strict=True)
            faults = {row: "" if is_valid else self.truth.fault(sample) for row, sample, is_valid in pairs}
            return {row: fault for row, fault in faults.items() if fault}
        notes = {row: landmarks.note(i) for i, row in enumerate(rows) if not landmarks.found[i]}
        drawn = zip(rows, self.labels(rows), valid.tolist(), strict=True)
        return notes | {
            row: OFF_PICTURE
            for row, label, is_valid in drawn
            if not is_valid and row not in notes and label and self.truth.expected_parts(label).any()
        }

    def draw_planes(self, samples: Sequence[Sample], landmarks: Landmarks) -> Planes:
        """Draw the parts of the truth of some faces on the model's device.

        Raises:
            InterpferError: the truth has no parts.
        """
        planes = self.truth.planes(samples, landmarks.to(self.model.device))
        if planes is None:
            raise InterpferError(f"truth {self.truth.name} has no parts.")
        return planes

    def draw_truth(self, samples: Sequence[Sample], landmarks: Landmarks) -> Truth:
        """Draw the truth of some faces on the model's device."""
        return self.truth.draw(samples, landmarks.to(self.model.device))


def open_session(
    options: ScoreOptions,
    model: Model,
    dataset: Dataset,
    landmarks: LandmarkProvider | None = None,
    probe: MapProbe | None = None,
) -> ScoreSession:
    """Open what a score needs, and try the quick maps on a few images.

    Args:
        options: what to score.
        model: on its device, in the precision of the score.
        dataset: the faces.
        landmarks: a provider that is open; None for that of the options.
        probe: that of a session of the same model, images and maps; None to make it.

    Raises:
        InterpferError: a name is unknown, or a map that was requested by name cannot be computed.
    """
    truth = open_truth(options)
    classifier, target = model, resolve_target(options, model, truth)
    model = model.for_aus() if target == AU else model
    truth.check(dataset.samples)
    if target != AU:
        require_shared(model.classes, dataset.classes, dataset.name)
    require_frames(dataset, model.card.input.frames, model.name)
    occlusions = resolve_occlusions(options, target)
    is_needed = truth.needs_landmarks or options.align or any(each.occluder.needs == "landmarks" for each in occlusions)
    choice = landmarks or options.landmarks
    provider = check_landmarks(resolve_landmarks(choice, dataset.landmarks(), is_needed), dataset)
    spec = make_spec(options, model, dataset, provider, truth)
    spec = replace(spec, target=target, card=classifier.card.identity)
    readers = count_readers(model.device.type)
    stream = FaceStream(dataset, provider, model.card.input.size, options.align, model.card.input, readers)
    maps = {name: MAPS.get(name) for name in spec.maps}
    metrics = {name: METRICS.get(name) for name in spec.metrics}
    named = named_maps(default_maps(model) if options.maps is None else options.maps)
    requested = frozenset(for_truth(named, truth.noun))
    requested -= _left_out(model, maps, spec.layers)
    probe = probe or probe_maps(spec, model, stream, maps, requested)
    ranking = rank_by(options.occlude_map, probe.columns, maps) if occlusions else None
    return ScoreSession(
        spec, model, dataset, stream, truth, maps, metrics, requested, probe, classifier, occlusions, ranking
    )


def resolve_target(options: ScoreOptions, model: Model, truth: TruthProvider) -> str:
    """Return what maps explain: "label", "predicted", "au", or the canonical name of a class.

    Raises:
        InterpferError: the model has no such class or no AU output, the truth has no action units, or sanity checks
            are asked for, which explain classes.
    """
    target = options.target.strip()
    if options.sanity and model.frames > 1:
        raise InterpferError(f"--sanity checks classifiers of pictures: leave it out for {model.name}, of clips.")
    if target == AU:
        model.for_aus()
        if not truth.has_planes:
            raise InterpferError(
                f"--target {AU} needs a truth that is made of action units: pass --truth aus, or leave out --truth "
                f"{truth.name}."
            )
        if options.sanity:
            raise InterpferError(f"--sanity checks maps of classes: leave it out with --target {AU}.")
        return AU
    if not model.classes:
        raise ModelError(f"model {model.name} has outputs for action units and no classes: pass --target {AU}.")
    if target in TARGETS:
        return target
    name = canonical(target)
    if name not in model.classes:
        raise InterpferError(
            f"target must be one of {', '.join((*TARGETS, AU))}, or a class of model {model.name} "
            f"({', '.join(model.classes)}), got '{target}'.{nearest(target, (*TARGETS, AU, *model.classes))}"
        )
    return name


def _left_out(model: Model, maps: dict[str, AnyMap], layers: tuple[str, ...]) -> frozenset[str]:
    """Return the maps for which the network has no gradients, where any other map of it is left."""
    if model.program is not None:
        return frozenset()
    detached = detached_maps(model, maps, layers)
    keys = {name: [(name, layer) for layer in layers_of(method, layers)] for name, method in maps.items()}
    left_out = frozenset(name for name, own in keys.items() if all(key in detached for key in own))
    others = (name for name, method in maps.items() if not isinstance(method, BaselineMap))
    return left_out if set(others) - left_out else frozenset()


def probe_maps(
    spec: ScoreSpec, model: Model, stream: FaceStream, maps: dict[str, AnyMap], requested: frozenset[str]
) -> MapProbe:
    """Make the quick maps of a few images: which fail, and which are duplicates.

    Raises:
        ModelError: a map that was requested by name cannot be computed.
    """
    pairs = [(name, layer) for name, method in maps.items() for layer in layers_of(method, spec.layers)]
    failed = unsupported_maps(model, maps, spec.layers)
    require_named(failed, maps, spec.layers, set(requested), model.name)
    quick = {name: method for name, method in maps.items() if method.cost == ONE_PASS}
    batch = stream.read(stream.plan(spec.rows[: 2 * (PROBED + stream.frames)], PROBED)[0])
    duplicates: dict[Key, Key] = {}
    if batch.rows and not all(isinstance(method, BaselineMap) for method in quick.values()):
        x = model.normalise(batch.faces.images)
        results = run_maps(model, x, quick, spec.layers, None, spec.seed)
        require_named(results.refused, quick, spec.layers, set(requested), model.name)
        of_layers = {key: raw for key, raw in results.maps.items() if isinstance(quick[key[0]], LayerMap)}
        duplicates, failed = find_duplicates(of_layers), failed | results.refused
    return MapProbe(tuple(pair for pair in pairs if pair not in failed), duplicates, failed)
