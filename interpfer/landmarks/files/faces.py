"""Which of several faces on a picture counts: the one of highest confidence, of equal ones the largest.

Readers of landmarks and of action units use it alike, so that both take the same face.
"""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from interpfer.errors import DataError
from interpfer.landmarks.files.rows import Header, Row

CONFIDENCES = ("confidence", "FaceScore")
"""Columns of the confidence of a face: OpenFace 2 and py-feat."""

FRAME_COLUMNS = ("frame", "frame_idx", "frame_index")
"""Columns that number the frames of a video."""

DETECTION = "face_detection"
"""Column of OpenFace 3 that lists x0, y0, x1, y1, confidence and more."""

Face = TypeVar("Face")


class FaceRank:
    """Confidence and size of the face of a row.

    Args:
        header: of the table.
    """

    def __init__(self, header: Header) -> None:
        self._confidence = next((p for name in CONFIDENCES if (p := header.find(name)) is not None), None)
        self._success = header.find("success")
        self._detection = header.find(DETECTION)
        self._box = header.find("FaceRectWidth"), header.find("FaceRectHeight")
        self._x, self._y = (
            [place for place, name in enumerate(header.names) if re.fullmatch(rf"{axis}_\d+", name)] for axis in "xy"
        )

    def has_failed(self, row: Row) -> bool:
        """Return whether the program says that it found no face (``success`` 0 of OpenFace)."""
        return row.number(self._success, "success") == 0

    def __call__(self, row: Row) -> tuple[float, float]:
        """Return confidence and size; -1 where unknown.

        Raises:
            DataError: a cell is not a number.
        """
        confidence = row.number(self._confidence, "confidence")
        size = row.number(self._box[0], "FaceRectWidth") * row.number(self._box[1], "FaceRectHeight")
        if self._detection is not None:
            box = row.numbers(self._detection, DETECTION)
            if len(box) >= 5 and all(isinstance(value, int | float) for value in box[:5]):
                confidence, size = float(box[4]), float((box[2] - box[0]) * (box[3] - box[1]))
        if math.isnan(size) and self._x and self._y:
            x, y = (row.floats(places, "a coordinate") for places in (self._x, self._y))
            size = (max(x) - min(x)) * (max(y) - min(y))
        return tuple(-1.0 if math.isnan(value) else value for value in (confidence, size))  # type: ignore[return-value]


@dataclass
class _Best(Generic[Face]):
    rank: tuple[float, float]
    face: Face
    frame: str
    count: int = 1


class BestFaces(Generic[Face]):
    """Keeps the face that counts of each picture, one row after the other.

    Args:
        header: of the table.
        where: the file, for messages.

    Attributes:
        faces: name of a picture -> what was kept of its face.
    """

    several: ClassVar[str] = "highest confidence, of equal ones the largest"

    def __init__(self, header: Header, where: str) -> None:
        self._rank, self._where = FaceRank(header), where
        self._frame = next((p for name in FRAME_COLUMNS if (p := header.find(name)) is not None), None)
        self._best: dict[str, _Best[Face]] = {}

    def has_failed(self, row: Row) -> bool:
        """Return whether the program found no face."""
        return self._rank.has_failed(row)

    def add(self, name: str, row: Row, face: Face) -> None:
        """Add the face of a row.

        Raises:
            DataError: an earlier row of the picture is of another frame, or nothing tells which face is meant.
        """
        rank = (-2.0, -2.0) if self._rank.has_failed(row) else self._rank(row)
        frame = row.text(self._frame)
        best = self._best.get(name)
        if best is None:
            self._best[name] = _Best(rank, face, frame)
            return
        if best.frame != frame:
            raise DataError(
                f"{row.where}: '{name}' has several frames; the file is of a video, and needs a line for each image."
            )
        if rank == best.rank == (-1.0, -1.0):
            raise DataError(
                f"{row.where}: the image stands on several lines, and no column (confidence, FaceScore, FaceRectWidth) "
                "tells which face is meant."
            )
        if rank > best.rank:
            best.rank, best.face = rank, face
        best.count += 1

    @property
    def faces(self) -> dict[str, Face]:
        """Name of a picture -> what was kept of its face."""
        return {name: best.face for name, best in self._best.items()}

    def several_faces(self) -> list[str]:
        """Return the names of the pictures with more than one face."""
        return [name for name, best in self._best.items() if best.count > 1]


def note_several(names: list[str], where: str) -> tuple[str, ...]:
    """Return the note on pictures with several faces; none without such a picture."""
    if not names:
        return ()
    count = f"{len(names)} pictures have" if len(names) > 1 else "1 picture has"
    return (f"{count} several faces in {where}, such as {names[0]}: the one of {BestFaces.several} counts",)
