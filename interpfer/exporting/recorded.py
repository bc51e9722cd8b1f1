"""Faces with maps that are computed again, and their comparison with what the run recorded."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.errors import RunError
from interpfer.faces.stream import Batch
from interpfer.maps.engine import Key
from interpfer.metrics.agreement import cosine
from interpfer.results.run import Run
from interpfer.types import Sample

TOLERANCE = 0.005
"""Largest difference of a cosine from that of the run: devices and versions of torch round differently."""


class MapBatch(NamedTuple):
    """Some faces of a run with their maps.

    Attributes:
        dataset: the data set.
        rows: positions of n faces in it.
        samples: their names and labels.
        sizes: (width, height) of their pictures.
        transforms: from pixels of each picture to pixels of the canvas.
        classes: the outputs of the model.
        probabilities: of each output.
        maps: (map, layer) -> maps on the canvas in [0, 1].
        defined: (map, layer) -> whether the map of each face has any value above 0.
        truth: what maps are compared with, on the canvas.
        valid: whether each face has a truth.
    """

    dataset: Dataset
    rows: tuple[int, ...]
    samples: tuple[Sample, ...]
    sizes: tuple[tuple[int, int], ...]
    transforms: Float[Tensor, "n 2 3"]
    classes: tuple[str, ...]
    probabilities: Float[Tensor, "n k"]
    maps: dict[Key, Float[Tensor, "n s s"]]
    defined: dict[Key, Bool[Tensor, " n"]]
    truth: Float[Tensor, "n s s"]
    valid: Bool[Tensor, " n"]

    @property
    def predicted(self) -> tuple[str, ...]:
        """The class that the model predicts of each face."""
        return tuple(self.classes[index] for index in self.probabilities.argmax(1).tolist())

    def probability(self, place: int, name: str) -> float:
        """Return the probability of a class on a face; NaN where the model does not know it."""
        return float(self.probabilities[place, self.classes.index(name)]) if name in self.classes else float("nan")


class RecordedRun:
    """What a run recorded of its faces and maps, which those that are computed again are compared with.

    Args:
        run: the run.
        keys: (map, layer) pairs that are computed again.
    """

    def __init__(self, run: Run, keys: Sequence[Key]) -> None:
        self._run, self._keys = run, keys
        self._digest = hashlib.sha256()
        table = run.per_image
        self._predicted: dict[str, Any] = dict(zip(table["image"].astype(str), table["predicted"], strict=True))
        self._cosines: dict[Key, dict[str, float]] = {}
        if "cosine" in table:
            for (name, layer), rows in table.groupby(["map", "layer"], sort=False):
                self._cosines[str(name), str(layer)] = dict(zip(rows["image"].astype(str), rows["cosine"], strict=True))

    def add(self, made: MapBatch, batch: Batch) -> None:
        """Compare a batch.

        Raises:
            RunError: a face was not in the run, or its prediction or map is another.
        """
        for sample, digest, predicted in zip(made.samples, batch.digests, made.predicted, strict=True):
            self._digest.update(f"{sample.id},{sample.label},{digest}\n".encode())
            if sample.id not in self._predicted:
                raise RunError(f"{sample.id} was not read in the run: the data changed since; score again.")
            if self._predicted[sample.id] != predicted:
                raise RunError(
                    f"{sample.id}: predicted {predicted}, in the run {self._predicted[sample.id]}: the picture or the "
                    "device is another one; score again."
                )
        for key in self._keys:
            recorded = self._cosines.get(key)
            if recorded is not None:
                self._compare(key, made, recorded)

    def _compare(self, key: Key, made: MapBatch, recorded: dict[str, float]) -> None:
        now = cosine(made.maps[key], made.truth).double().where(made.valid & made.defined[key], torch.nan)
        before = torch.tensor([float(recorded[sample.id]) for sample in made.samples], dtype=torch.float64)
        apart = (now - before).abs() > TOLERANCE
        if bool(apart.any()):
            place = int(np.flatnonzero(apart.numpy())[0])
            raise RunError(
                f"{made.samples[place].id}: {'@'.join(key)} has a cosine of {now[place]:.3f}, in the run "
                f"{before[place]:.3f}: the picture, the device or torch is another one; score again."
            )

    def finish(self) -> None:
        """Compare the pixels of all images.

        Raises:
            RunError: they are not those of the run.
        """
        if self._digest.hexdigest() != self._run.manifest["dataset_digest"]:
            raise RunError("the pixels of the images changed since the run: nothing is exported; score again.")
