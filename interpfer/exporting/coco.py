"""Maps of a run as masks in COCO's JSON: the pixels where a map reaches a share of its maximum, as run lengths."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.exporting.base import ExportRequest, ExportTarget
from interpfer.exporting.placing import place_on_picture
from interpfer.exporting.recorded import MapBatch
from interpfer.exporting.selection import select_keys
from interpfer.files import write_atomic
from interpfer.maps.engine import Key
from interpfer.truth.mask_files.rle import encode_rle

MASKS = "annotations.json"

DIGITS = 6


class CocoExport(ExportTarget):
    """Masks as COCO's JSON."""

    summary: ClassVar[str] = "maps as masks in COCO's JSON, run-length encoded; category: the class that a map explains"
    needs_maps: ClassVar[bool] = True

    def files(self, request: ExportRequest) -> tuple[str, ...]:
        """Return the name of the file.

        Raises:
            RunError: several maps are asked for.
        """
        _one_key(request)
        return (MASKS,)

    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        """Compute the maps again, and write their masks."""
        key = _one_key(request)
        target = str(request.run.manifest["arguments"]["target"])
        classes = list(map(str, request.run.confusion.columns))
        numbers = {name: place for place, name in enumerate(classes, 1)}
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for batch in request.maps((key,)):
            for i, (sample, size) in enumerate(zip(batch.samples, batch.sizes, strict=True)):
                images.append({"id": len(images) + 1, "file_name": sample.id, "width": size[0], "height": size[1]})
                name = {"label": sample.label, "predicted": batch.predicted[i]}.get(target, target)
                mask = _mask(batch, key, i, request.options.threshold)
                if mask.any() and name in numbers:
                    facts = {"id": len(annotations) + 1, "image_id": len(images), "category_id": numbers[name]}
                    seen = {"label": sample.label, "predicted": batch.predicted[i]}
                    score = round(batch.probability(i, name), DIGITS)
                    annotations.append(facts | _annotation(mask) | {"score": score} | seen)
        content = {
            "info": {"description": _describe(request, key), "version": request.run.manifest["versions"]["interpfer"]},
            "images": images,
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
            "annotations": annotations,
        }
        write_atomic(folder / MASKS, (json.dumps(content, ensure_ascii=False) + "\n").encode())
        notes = [f"masks are where {'@'.join(key)} reaches {request.options.threshold:g} of its maximum on the picture"]
        if missing := len(images) - len(annotations):
            why = "their map is undefined, or their label is no output of the model"
            notes.append(f"{missing} of {len(images)} images have no mask: {why}")
        return notes


def _one_key(request: ExportRequest) -> Key:
    if request.options.maps is None:
        return select_keys(request.scores, None)[-1]
    keys = select_keys(request.scores, request.options.maps)
    if len(keys) != 1:
        raise RunError(f"COCO's masks are those of one map: pass one to --maps, got {len(keys)}.")
    return keys[0]


def _describe(request: ExportRequest, key: Key) -> str:
    arguments = request.run.manifest["arguments"]
    return (
        f"Where {arguments['model']} looks: pixels at which {key[0]} of layer {key[1]} reaches "
        f"{request.options.threshold:g} of its maximum on the picture. category_id: the class that the map explains "
        f"({arguments['target']}); score: the probability that the model gives it. Masks of a network, not of people."
    )


def _mask(batch: MapBatch, key: Key, place: int, threshold: float) -> NDArray[np.bool_]:
    """Return where the map of a face reaches the threshold, in pixels of its picture; nowhere where undefined."""
    placed = place_on_picture(batch.maps[key][place], batch.transforms[place], batch.sizes[place])
    top = placed.max(initial=0)
    mask: NDArray[np.bool_] = (placed >= threshold * top) & (top > 0)
    return mask


def _annotation(mask: NDArray[np.bool_]) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"size": list(mask.shape), "counts": encode_rle(mask)},
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": 0,
    }
