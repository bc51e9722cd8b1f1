"""The provider ``file``: points by the name of the image, out of a landmark file or a folder of them."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from interpfer.errors import DataError
from interpfer.landmarks.files.content import LandmarkContent
from interpfer.landmarks.files.reader import read_content
from interpfer.landmarks.files.table import plain_name
from interpfer.landmarks.reasons import NO_FACE
from interpfer.types import LANDMARKS, Landmarks


class FileLandmarks:
    """Landmarks read from a file or a folder, by image name.

    Args:
        path: the file or folder.
        content: what it holds, if it is read already.

    Raises:
        DataError: the file does not exist, or a line is malformed; the message names the line.

    Attributes:
        form: program or data set that the file is of, its number of points and their unit.
        notes: what a reader of scores with these points has to know, a line each.
    """

    name: ClassVar[str] = "file"
    summary: ClassVar[str] = "file: lines image,x1..x68,y1..y68, or of OpenFace, py-feat, LibreFace, 300-W, WFLW, LaPa"
    needs_images: ClassVar[bool] = False

    def __init__(self, path: str | Path, content: LandmarkContent | None = None) -> None:
        self.path = Path(path)
        content = read_content(self.path) if content is None else content
        self._table, self._is_fraction = content.table, content.is_fraction
        self.form, self.notes = content.form, content.notes
        self.digest = _hash(self.path)

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points of each image by its name.

        The file may list an image without its folders, or with more of them where only one name in the file ends so.

        Raises:
            DataError: the file holds fractions of pictures, and ``images`` is None.
        """
        if self._is_fraction and images is None:
            raise DataError(f"landmark file {self.path} holds fractions of pictures: their sizes are needed.")
        rows = [self._row(key) for key in ids]
        points = np.full((len(ids), LANDMARKS, 2), np.nan)
        for place, row in enumerate(rows):
            if row is not None:
                points[place] = self._table.points[row]
        if self._is_fraction and images:
            points *= np.array([image.size for image in images], np.float64)[:, None]
        example = next(iter(self._table.rows), "none")
        absent = f"not in the landmark file: {self.path.name} has names such as {example}"
        notes = (
            absent if row is None else f"{NO_FACE}: according to {self.path.name}" if np.isnan(face).any() else ""
            for row, face in zip(rows, points, strict=True)
        )
        return Landmarks.of(torch.from_numpy(points), tuple(notes))

    def require_unambiguous(self, ids: Sequence[str]) -> None:
        """Check that no line of the file stands for several images.

        Raises:
            DataError: the file names an image without its folder, and images of several folders have this name.
        """
        first: dict[int, str] = {}
        for key in ids:
            row = self._row(key)
            if row is not None and (other := first.setdefault(row, key)) != key:
                name = next(name for name, place in self._table.rows.items() if place == row)
                raise DataError(
                    f"landmark file {self.path}: '{name}' stands for several images, such as {other} and {key}; "
                    "name the images with their folders."
                )

    def equal_points(self, ids: Sequence[str]) -> list[list[int]]:
        """Return the positions in ``ids`` of images with exactly the same points, one list per group of two or more."""
        groups: dict[bytes, list[int]] = {}
        for place, key in enumerate(ids):
            row = self._row(key)
            if row is not None and not np.isnan(self._table.points[row, 0, 0]):
                digest = hashlib.blake2b(self._table.points[row].tobytes(), digest_size=16).digest()
                groups.setdefault(digest, []).append(place)
        return [group for group in groups.values() if len(group) > 1]

    def _row(self, key: str) -> int | None:
        """Return the position of an image in the table; None if the file does not list it, with or without its ending.

        Folders of files, one per image, and some lists name images without their endings.
        """
        row = self._named(key)
        path = PurePosixPath(plain_name(key))
        return self._named(str(path.with_suffix(""))) if row is None and path.suffix else row

    def _named(self, key: str) -> int | None:
        rows = self._table.rows
        if (row := rows.get(key)) is not None:
            return row
        for name in _aliases(key):
            if (row := rows.get(name)) is not None:
                return row
        plain = plain_name(key)
        longer = [name for name in self._by_file_name.get(PurePosixPath(plain).name, ()) if name.endswith(f"/{plain}")]
        return rows[longer[0]] if len(longer) == 1 else None

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        """File name -> names in the file that have folders."""
        names: dict[str, list[str]] = {}
        for name in self._table.rows:
            if "/" in name:
                names.setdefault(name.rpartition("/")[2], []).append(name)
        return names


def _aliases(key: str) -> list[str]:
    """Return the names of an image in a file; RAF-DB lists train_1.jpg for the picture train_1_aligned.jpg.

    Examples:
        >>> _aliases("happy/1.jpg")
        ['happy/1.jpg', '1.jpg', '1_aligned.jpg']
    """
    parts = plain_name(key).split("/")
    path = PurePosixPath(parts[-1])
    return [*("/".join(parts[i:]) for i in range(len(parts))), f"{path.stem}_aligned{path.suffix}"]


class FractionLandmarks(FileLandmarks):
    """Landmarks of a file that holds fractions of pictures, such as MediaPipe's: the pictures give their sizes."""

    name: ClassVar[str] = "file"
    summary: ClassVar[str] = "file of fractions of pictures"
    needs_images: ClassVar[bool] = True


def open_landmarks(path: str | Path) -> FileLandmarks:
    """Return the provider of a landmark file or a folder of them.

    Raises:
        DataError: as ``FileLandmarks``.
    """
    content = read_content(Path(path))
    return (FractionLandmarks if content.is_fraction else FileLandmarks)(path, content)


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files of a folder."""
    if path.is_file():
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    digest = hashlib.sha256()
    for each in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{each.relative_to(path).as_posix()}\n".encode())
        digest.update(hashlib.sha256(each.read_bytes()).digest())
    return digest.hexdigest()
