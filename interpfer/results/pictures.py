"""What a report shows of faces and maps: small pictures, kept so that neither model nor data are needed to show them.

A map is shown as it was scored: on the canvas, pooled to 28 x 28 and divided by its own maximum, in bytes.
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
from interpfer.truth.base import GRID
from interpfer.types import LANDMARKS

REPORT_DATA = "report.npz"

AU_HEATMAP = ("AU heatmap", "-")
"""Stands last among the columns of every array of maps."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class ReportContent:
    """What a score keeps for its report.

    Attributes:
        maps: small maps and landmarks; without them there is no report.
        faces: small pictures of faces; without them landmarks are drawn in their place.
    """

    maps: bool = True
    faces: bool = True


@dataclass(frozen=True)
class Pictures:
    """Small pictures of a batch.

    Attributes:
        maps: (rows, columns + 1, 28, 28), zero where undefined; the AU heatmap is the last.
        points: (rows, 68, 2) landmarks on the canvas, NaN where there are none.
        faces: (present, 4, side, side) mean of the laid faces of each class in the batch, and how far it is reached.
        members: (present, 2) the class of each mean and how many faces it is of.
    """

    maps: Bytes
    points: NDArray[np.float32]
    faces: NDArray[np.float16]
    members: NDArray[np.int64]


@dataclass(frozen=True)
class ReportData:
    """Mean pictures per class, and a gallery of f faces.

    Attributes:
        columns: the k (map, layer) pairs, then ``AU_HEATMAP``.
        target: what class-specific maps explain, "label" or "predicted".
        classes: the c classes of the means.
        mean_maps: (c, k, 28, 28) means over faces that are laid over one another.
        mean_points: (c, 68, 2) on the canvas.
        mean_faces: a JPEG per class; empty without faces.
        members: (c,) faces in each mean.
        ids: names of the f faces.
        digests: sha256 of the pixels of each.
        labels: expression of each, "" where unknown.
        predicted: expression of each.
        confidence: probability of the predicted class.
        groups: why each is in the gallery.
        points: (f, 68, 2) on the canvas.
        faces: a JPEG per face; empty without faces.
        maps: (f, k, 28, 28).
        other: (f, k, 28, 28) for the other target where a face is misclassified: maps of the predicted class where
            ``target`` is the label, and the other way round; zero where a map has none.
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

    def to_bytes(self) -> bytes:
        """Return the content of the file ``REPORT_DATA``."""
        facts = {name: getattr(self, name) for name in _FACTS}
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        for name in _JPEGS:
            pictures = getattr(self, name)
            arrays[name] = np.frombuffer(b"".join(pictures), np.uint8)
            arrays[f"{name}.sizes"] = np.array([len(picture) for picture in pictures], np.int64)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()


_FACTS = ("columns", "target", "classes", "ids", "digests", "labels", "predicted", "confidence", "groups")
_ARRAYS = ("mean_maps", "mean_points", "members", "points", "maps", "other")
_JPEGS = ("mean_faces", "faces")


def load_report_data(folder: Path) -> ReportData | None:
    """Read what a run folder keeps for its report; None where the run was scored without.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / REPORT_DATA
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            held: dict[str, Any] = {
                name: _frozen(value) for name, value in json.loads(arrays["facts"].tobytes()).items()
            }
            held |= {name: _cut(arrays[name].tobytes(), arrays[f"{name}.sizes"].tolist()) for name in _JPEGS}
            held |= {name: arrays[name] for name in _ARRAYS}
            return ReportData(**held)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}); score again with --overwrite.") from error


def to_bytes(cells: Float[Tensor, "n 28 28"]) -> Bytes:
    """Divide each map by its maximum and return bytes; zero where undefined."""
    top = cells.amax((1, 2), keepdim=True)
    unit = (cells / top.where(top > 0, 1)).nan_to_num(0).clamp(0, 1)
    found: Bytes = (unit * 255).round().byte().cpu().numpy()
    return found


def nothing_shown(rows: int, columns: int) -> Bytes:
    """Return room for the maps of ``rows`` faces."""
    return np.zeros((rows, columns, GRID, GRID), np.uint8)


def no_points(rows: int) -> NDArray[np.float32]:
    """Return room for the landmarks of ``rows`` faces."""
    return np.full((rows, LANDMARKS, 2), np.nan, np.float32)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _cut(content: bytes, sizes: list[int]) -> tuple[bytes, ...]:
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
    return tuple(content[start : start + size] for start, size in zip(starts, sizes, strict=False))
