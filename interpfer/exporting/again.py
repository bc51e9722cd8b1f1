"""The maps of a finished run, computed again: a run folder keeps small pictures of a few faces alone.

What is computed is compared with what the run recorded: the checkpoint, the names and pixels of the images, the
landmarks, every prediction, and the cosine of every map. So what is exported is what was scored.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from interpfer.choices import AU, is_library_name
from interpfer.datasets.base import Dataset
from interpfer.datasets.only import select_listed
from interpfer.datasets.opening import open_dataset
from interpfer.errors import RunError
from interpfer.exporting.options import ExportOptions
from interpfer.exporting.recorded import MapBatch, RecordedRun
from interpfer.faces.stream import Batch
from interpfer.maps.canvas import to_canvas
from interpfer.maps.engine import Key, run_maps
from interpfer.models.loading import load_model
from interpfer.models.model import Model
from interpfer.options import RUN_OPTIONS
from interpfer.results.run import Run
from interpfer.runtime.device import pick_device
from interpfer.runtime.progress import Progress
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.session import ScoreSession, open_session

FREE = ("model", "dataset_name", "maps", "layers", "metrics", "by", "min_group", "occlusions", "occlude_map")
"""Arguments of a run that decide neither its faces nor any of its maps."""

WORDS = {
    "checkpoint": "the checkpoint",
    "card": "the model card",
    "images": "the names or labels of the images",
    "landmarks_digest": "the landmarks",
    "codebook_digest": "the codebook",
    "masks_digest": "the masks",
}
"""Argument of a run -> what has changed where it differs."""


@dataclass(frozen=True)
class MapsAgain:
    """Computes the maps of a run again.

    Attributes:
        run: the run.
        options: where model and data are, if they have moved.
        model: the classifier of the run; None for its checkpoint.
        dataset: its faces; None for the data set that it names.
    """

    run: Run
    options: ExportOptions
    model: Model | None = None
    dataset: Dataset | None = None

    @cached_property
    def settings(self) -> ScoreOptions:
        """The options of the run, with the places of model and data as they are today.

        Raises:
            RunError: the run does not record what is needed.
        """
        recorded = self.run.manifest.get(RUN_OPTIONS)
        if recorded is None:
            raise RunError(
                "the run is of an older version, which did not record its options: score again to export maps."
            )
        if self.run.manifest["arguments"].get("target") == AU:
            raise RunError(f"maps of action units (--target {AU}) cannot be exported: a face has one for each of them.")
        known = {name: value for name, value in recorded.items() if name in ScoreOptions.__dataclass_fields__}
        plain = {"metrics": "cosine", "sanity": False, "report": False, "tables": "csv"}
        plain |= dict.fromkeys(("by", "occlude", "occlude_map", "shard"))
        moved = {name: getattr(self.options, name) for name in ("model", "data_root") if getattr(self.options, name)}
        own = {"device": self.options.device, "trust": self.options.trust}
        return ScoreOptions.of(known | plain | moved | own, "export")

    def _open_model(self) -> Model:
        settings = self.settings
        if self.model is not None:
            return self.model
        if settings.model is None:
            raise RunError("the run was scored from a model in memory: pass --model FILE, or model=... in Python.")
        name = str(settings.model)
        if "://" not in name and not is_library_name(name) and ":" not in name and not Path(name).exists():
            raise RunError(f"{name}, the model of the run, is not there: pass --model FILE.")
        return load_model(settings.model, **settings.model_values())

    def _open_dataset(self) -> Dataset:
        settings = self.settings
        if self.dataset is not None:
            return self.dataset
        if settings.dataset is None:
            raise RunError("the run was scored from a data set in memory: pass dataset=... in Python.")
        root = Path(settings.data_root) if settings.data_root else None
        if root is not None and not root.exists() and "://" not in str(root):
            raise RunError(f"{root}, the data of the run, is not there: pass --data-root DIR.")
        dataset = open_dataset(settings.dataset, settings, settings.seed)
        return dataset if settings.only is None else select_listed(dataset, settings.only)

    def open(self, keys: Sequence[Key]) -> ScoreSession:
        """Open model and data, and compare them with those of the run.

        Args:
            keys: (map, layer) pairs that are wanted.

        Raises:
            RunError: something is not what it was.
        """
        model = self._open_model().to(pick_device(self.settings.device))
        layers = tuple(dict.fromkeys(layer for _, layer in keys if layer in self._layers))
        names = tuple(dict.fromkeys(name for name, _ in keys))
        settings = replace(self.settings, maps=names, layers=layers or self.settings.layers)
        session = open_session(settings, model, self._open_dataset())
        before, now = self.run.manifest["arguments"], json.loads(json.dumps(session.spec.identity))
        changed = [key for key, value in now.items() if key not in FREE and key in before and before[key] != value]
        if changed:
            listed = ", ".join(WORDS.get(key, key) for key in changed)
            raise RunError(
                f"{listed} changed since the run {self.run.path or ''}: only what was scored is exported; score again."
            )
        return session

    @property
    def _layers(self) -> list[str]:
        return [str(layer) for layer in self.run.manifest["arguments"]["layers"]]

    def batches(self, keys: tuple[Key, ...], progress: Progress) -> Iterator[MapBatch]:
        """Yield all faces of the run with some of its maps.

        Args:
            keys: the (map, layer) pairs.
            progress: called with (what, done, total).

        Raises:
            RunError: model, images, landmarks, a prediction or a map are not those of the run.
        """
        session = self.open(keys)
        check = RecordedRun(self.run, keys)
        rows, done = session.spec.rows, 0
        with session.model.autocast(session.spec.autocast):
            for batch in session.stream.batches(rows, self.options.batch_size):
                progress("maps", done, len(rows))
                done += len(batch.rows) + len(batch.skipped)
                if batch.rows:
                    made = _make(session, batch, keys)
                    check.add(made, batch)
                    yield made
        progress("maps", done, len(rows))
        check.finish()


def _make(session: ScoreSession, batch: Batch, keys: Sequence[Key]) -> MapBatch:
    model = session.model
    methods = {name: session.maps[name] for name, _ in keys}
    x, targets = model.normalise(batch.faces.images), session.targets(batch.rows)
    results = run_maps(model, x, methods, session.spec.layers, targets, session.spec.seed, batch.rows)
    if missing := [key for key in keys if key in results.refused or key not in results.maps]:
        why = results.refused.get(missing[0], "it is not among the maps of the model")
        raise RunError(f"{'@'.join(missing[0])} cannot be computed again: {why}")
    samples = tuple(session.samples(batch.rows))
    truth = session.draw_truth(list(samples), batch.landmarks)
    large = {key: to_canvas(results.maps[key], methods[key[0]].attention, session.spec.protocol)[0] for key in keys}
    scaled = {key: _scale(values) for key, values in large.items()}
    return MapBatch(
        session.dataset,
        batch.rows,
        samples,
        batch.sizes,
        batch.transforms,
        model.classes,
        model.probabilities(results.logits.cpu().double()),
        scaled,
        {key: values.amax((1, 2)) > 0 for key, values in scaled.items()},
        truth.maps.cpu(),
        truth.valid.cpu(),
    )


def _scale(values: Float[Tensor, "n s s"]) -> Float[Tensor, "n s s"]:
    """Divide each map by its maximum; zero where undefined."""
    values = values.float().cpu().nan_to_num(0, 0, 0)
    top = values.amax((1, 2), keepdim=True)
    return (values / top.where(top > 0, 1)).clamp(0, 1)
