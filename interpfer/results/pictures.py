"""Small pictures of faces and maps in a run folder, so that its report needs neither the model nor the data.

Maps are those that were scored: on the canvas, pooled to 28 x 28, divided by their own maximum, in bytes.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.errors import RunError
from interpfer.results.strips import Strips
from interpfer.truth.base import GRID
from interpfer.types import LANDMARKS

REPORT_DATA = "report.npz"

AU_HEATMAP = ("AU heatmap", "-")
"""Last column of every array of maps."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class ReportContent:
    """What a run folder keeps for the report.

    Attributes:
        maps: whether small maps and landmarks are kept; without them there is no report.
        faces: whether small photographs are kept; without them the report draws landmarks instead.
    """

    maps: bool = True
    faces: bool = True


@dataclass(frozen=True)
class Pictures:
    """Small pictures of a batch.

    Attributes:
        maps: (rows, columns + 1, 28, 28), zero where undefined; the AU heatmap is the last column.
        points: (rows, 68, 2) landmarks on the canvas, NaN where there are none.
        faces: (present, 4, side, side) mean colours of the aligned faces of each class in the batch, and the share of
            faces that cover each pixel.
        members: (present, 2) class of each mean and number of its faces.
    """

    maps: Bytes
    points: NDArray[np.float32]
    faces: NDArray[np.float16]
    members: NDArray[np.int64]


@dataclass(frozen=True)
class ReportData:
    """Mean pictures of c classes, and a gallery of f faces.

    Attributes:
        columns: the k (map, layer) pairs, ``AU_HEATMAP`` last.
        target: class that class-specific maps explain, "label" or "predicted".
        classes: names of the c classes.
        mean_maps: (c, k, 28, 28) mean maps of aligned faces.
        mean_points: (c, 68, 2) mean landmarks on the canvas.
        mean_faces: JPEG per class; empty without photographs.
        members: (c,) number of faces in each mean.
        ids: name of each face.
        digests: sha256 of the pixels of each face.
        labels: expression of each face, "" where unknown.
        predicted: predicted expression of each face.
        confidence: probability of the predicted class.
        groups: groups of the gallery that each face is in, such as "best".
        points: (f, 68, 2) landmarks on the canvas.
        faces: JPEG per face; empty without photographs.
        maps: (f, k, 28, 28) maps of each face.
        other: (f, k, 28, 28) maps of a misclassified face for the other target: of the predicted class where
            ``target`` is "label", of the label where it is "predicted"; zero where there is none.
        strips: the clips that are shown; None of a run without clips.
    """

    columns: tuple[tuple[str, str], ...]
    target: str
    classes: tuple[str, ...]
    mean_maps: Bytes
    mean_points: NDArray[np.float32]
    mean_faces: tuple[bytes, ...]
    members: NDArray[np.int64]
    ids: tuple[str, ...]
    digests: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: tuple[float, ...]
    groups: tuple[tuple[str, ...], ...]
    points: NDArray[np.float32]
    faces: tuple[bytes, ...]
    maps: Bytes
    other: Bytes
    strips: Strips | None = None

    @property
    def names(self) -> set[str]:
        """Names of the images that are shown one by one: those of the gallery, and the frames of the clips."""
        strips = () if self.strips is None else self.strips.strips
        return {*self.ids, *(name for strip in strips for name in strip.ids)}

    def to_bytes(self) -> bytes:
        """Return the content of the file ``REPORT_DATA``."""
        facts = {name: getattr(self, name) for name in _FACTS}
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        for name in _JPEGS:
            pictures = getattr(self, name)
            arrays[name] = np.frombuffer(b"".join(pictures), np.uint8)
            arrays[f"{name}.sizes"] = np.array([len(picture) for picture in pictures], np.int64)
        if self.strips is not None:
            arrays |= self.strips.to_arrays()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()


_FACTS = ("columns", "target", "classes", "ids", "digests", "labels", "predicted", "confidence", "groups")
_ARRAYS = ("mean_maps", "mean_points", "members", "points", "maps", "other")
_JPEGS = ("mean_faces", "faces")


def load_report_data(folder: str | Path) -> ReportData | None:
    """Read the pictures of a run folder; None where the run was scored without a report.

    Raises:
        RunError: the file is damaged.
    """
    folder = Path(folder)
    path = folder / REPORT_DATA
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            fields: dict[str, Any] = {name: _to_tuples(value) for name, value in facts.items()}
            fields |= {name: _cut(arrays[name].tobytes(), arrays[f"{name}.sizes"].tolist()) for name in _JPEGS}
            fields |= {name: arrays[name] for name in _ARRAYS}
            return ReportData(**fields, strips=Strips.of_arrays(arrays))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error


def to_bytes(cells: Float[Tensor, "n 28 28"]) -> Bytes:
    """Return maps as bytes, each divided by its maximum; zero where undefined."""
    top = cells.amax((1, 2), keepdim=True)
    unit = (cells / top.where(top > 0, 1)).nan_to_num(0).clamp(0, 1)
    content: Bytes = (unit * 255).round().byte().cpu().numpy()
    return content


def empty_maps(rows: int, columns: int) -> Bytes:
    """Return zeros for the (rows, columns, 28, 28) maps of some faces."""
    return np.zeros((rows, columns, GRID, GRID), np.uint8)


def empty_points(rows: int) -> NDArray[np.float32]:
    """Return NaN for the (rows, 68, 2) landmarks of some faces."""
    return np.full((rows, LANDMARKS, 2), np.nan, np.float32)


def _to_tuples(value: Any) -> Any:
    return tuple(_to_tuples(item) for item in value) if isinstance(value, list) else value


def _cut(content: bytes, sizes: list[int]) -> tuple[bytes, ...]:
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
    return tuple(content[start : start + size] for start, size in zip(starts, sizes, strict=False))
