"""A run as a data set of FiftyOne: pictures, labels, predictions, scores, and maps as heatmaps.

The layout is that of ``fiftyone.types.FiftyOneDataset`` of version 1.0: later versions migrate it when they load it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from interpfer.errors import DataError, RunError
from interpfer.exporting.base import ExportRequest, ExportTarget
from interpfer.exporting.fiftyone_fields import dataset_document
from interpfer.exporting.placing import place_on_picture
from interpfer.exporting.recorded import MapBatch
from interpfer.exporting.selection import field_name, select_keys
from interpfer.files import write_atomic
from interpfer.maps.engine import Key

METADATA, SAMPLES, DATA, FIELDS = "metadata.json", "samples.json", "data", "fields"

TRUTH = "truth"
"""Field of what maps are compared with."""

Scores = dict[tuple[Key, str], dict[str, float]]
"""(map and layer, metric) -> score of each image."""


class FiftyOneExport(ExportTarget):
    """A data set with heatmaps."""

    summary: ClassVar[str] = "a data set of FiftyOne with labels, predictions, scores and maps as heatmaps"
    needs_maps: ClassVar[bool] = True

    def files(self, request: ExportRequest) -> tuple[str, ...]:
        """Return the names of its files and folders."""
        select_keys(request.scores, request.options.maps)
        return METADATA, SAMPLES, DATA, FIELDS

    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        """Compute the maps again, and write them beside copies of the pictures."""
        keys = select_keys(request.scores, request.options.maps)
        names = {key: field_name(key) for key in keys}
        if len(set(names.values())) < len(keys):
            raise RunError("two of the maps have the same name in FiftyOne: pass one of them to --maps.")
        scores = _scores(request, keys)
        for each in (DATA, *(f"{FIELDS}/{name}" for name in (*names.values(), TRUTH))):
            (folder / each).mkdir(parents=True)
        with (folder / SAMPLES).open("w", encoding="utf-8") as file:
            file.write('{"samples": [')
            count = 0
            for count, document in enumerate(self._documents(request, folder, names, scores), 1):  # noqa: B007
                file.write(("" if count == 1 else ",") + "\n" + json.dumps(document))
            file.write("\n]}\n")
        measured = {_score_name(names[key], metric) for key, metric in scores}
        columns = sorted({name for name in request.run.attributes})
        document = dataset_document(_title(request), [*names.values(), TRUTH], sorted(measured), columns)
        write_atomic(folder / METADATA, (json.dumps(document) + "\n").encode())
        return [
            f"load it with fiftyone.Dataset.from_dir({str(request.options.out)!r}, "
            "dataset_type=fiftyone.types.FiftyOneDataset)",
            f"{DATA} holds copies of {count:,} pictures: pass them on only as their terms allow",
        ]

    def _documents(
        self, request: ExportRequest, folder: Path, names: dict[Key, str], scores: Scores
    ) -> Iterator[dict[str, Any]]:
        """Yield the document of each sample, its pictures written."""
        split = str(request.run.manifest["arguments"]["split"])
        count = 0
        for batch in request.maps(tuple(names)):
            for place, sample in enumerate(batch.samples):
                count += 1
                stem = f"{count:07d}-" + re.sub(r"[^\w-]+", "_", Path(sample.id).stem)
                document = _sample_document(batch, place, stem, split)
                _write_picture(folder / document["filepath"], batch, place)
                drawn = {names[key]: batch.maps[key][place] for key in names if bool(batch.defined[key][place])}
                if bool(batch.valid[place]):
                    drawn[TRUTH] = batch.truth[place]
                for name, values in drawn.items():
                    path = f"{FIELDS}/{name}/{stem}.png"
                    _write_heatmap(folder / path, values, batch, place)
                    document[name] = _label("Heatmap", f"{sample.id}/{name}", map_path=path)
                for (key, metric), of_images in scores.items():
                    value = of_images.get(sample.id, np.nan)
                    document[_score_name(names[key], metric)] = None if np.isnan(value) else round(float(value), 6)
                document |= {name: sample.attributes.get(name, "") for name in request.run.attributes}
                yield document


def _scores(request: ExportRequest, keys: Sequence[Key]) -> Scores:
    """Return the score of each image by map and metric, of the metrics that the run has for single images."""
    table = request.run.per_image
    metrics = [name for name in request.scores.metrics if name in table]
    by_key = dict(tuple(table.groupby(["map", "layer"], sort=False)))
    return {
        (key, metric): dict(zip(by_key[key]["image"].astype(str), by_key[key][metric].astype(float), strict=True))
        for key in keys
        for metric in metrics
        if key in by_key
    }


def _score_name(field: str, metric: str) -> str:
    return re.sub(r"\W+", "_", f"{field}_{metric}")


def _title(request: ExportRequest) -> str:
    arguments = request.run.manifest["arguments"]
    return f"{arguments['model']} on {request.run.dataset} {arguments['split']}"


def _sample_document(batch: MapBatch, place: int, stem: str, split: str) -> dict[str, Any]:
    sample, (width, height) = batch.samples[place], batch.sizes[place]
    predicted = batch.predicted[place]
    document = {
        "_id": _object_id(sample.id),
        "filepath": f"{DATA}/{stem}.png",
        "tags": [split],
        "metadata": {"_cls": "ImageMetadata", "width": width, "height": height},
        "_media_type": "image",
        "_rand": int(_object_id(sample.id)["$oid"][:8], 16) / 16**8,
        "image": sample.id,
        "prediction": _label(
            "Classification",
            f"{sample.id}/prediction",
            label=predicted,
            confidence=round(batch.probability(place, predicted), 6),
        ),
    }
    if sample.label:
        document["ground_truth"] = _label("Classification", f"{sample.id}/ground_truth", label=sample.label)
    return document | ({"subject": sample.subject} if sample.subject else {})


def _label(kind: str, name: str, **values: Any) -> dict[str, Any]:
    return {"_id": _object_id(name), "_cls": kind, "tags": []} | values


def _object_id(name: str) -> dict[str, str]:
    """Return an id that depends on a name alone, so that the same run gives the same bytes."""
    return {"$oid": hashlib.sha256(name.encode()).hexdigest()[:24]}


def _write_picture(path: Path, batch: MapBatch, place: int) -> None:
    try:
        picture = batch.dataset.image(batch.rows[place])
    except DataError as error:
        raise RunError(f"{error} It was there a moment ago: export again.") from error
    picture.save(path)


def _write_heatmap(path: Path, values: Float[Tensor, "s s"], batch: MapBatch, place: int) -> None:
    placed = place_on_picture(values, batch.transforms[place], batch.sizes[place])
    Image.fromarray((placed * 255).round().clip(0, 255).astype(np.uint8)).save(path)
