"""Faces on their way to the model: read ahead in a thread, resized, located; a bad image is skipped and named."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.errors import DataError
from interpfer.landmarks.alignment import similarity, stretch, transform_points, warp
from interpfer.landmarks.base import UNREADABLE, LandmarkProvider
from interpfer.models.resizing import to_square
from interpfer.runtime.threads import ahead
from interpfer.types import CANVAS, Faces, Landmarks


@dataclass(frozen=True)
class Batch:
    """Images read from disk.

    Attributes:
        rows: positions in the data set of the n images that could be read.
        faces: their names, labels and pixels, at ``size`` x ``size``.
        landmarks: on the canvas.
        transforms: (n, 2, 3) from pixels of each picture to pixels of the canvas.
        digests: sha256 of the pixels of each.
        skipped: position -> why the image could not be read.
    """

    rows: tuple[int, ...]
    faces: Faces
    landmarks: Landmarks
    transforms: Float[Tensor, "n 2 3"]
    digests: tuple[str, ...]
    skipped: dict[int, str]


@dataclass(frozen=True)
class FaceStream:
    """The images of a data set with their landmarks.

    Attributes:
        dataset: where the images are.
        provider: where the landmarks come from.
        size: side in pixels to which images are resized (bilinear, antialiased).
        align: turn, scale and move each face to the usual place first; one without landmarks is resized as it is.
    """

    dataset: Dataset
    provider: LandmarkProvider
    size: int
    align: bool = False

    def batches(self, rows: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Yield the images at ``rows``, reading the next batch while the present one is worked on."""
        parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        yield from ahead(self.read, parts)

    def read(self, rows: Sequence[int]) -> Batch:
        """Read the images at ``rows``."""
        pictures: dict[int, Image.Image] = {}
        skipped: dict[int, str] = {}
        for row in rows:
            try:
                pictures[row] = self.dataset.image(row)
            except DataError as error:
                skipped[row] = str(error)
        found = self.provider.locate(self._ids(pictures), list(pictures.values()))
        transforms = self._transforms(found, [picture.size for picture in pictures.values()])
        images = torch.empty(len(pictures), 3, self.size, self.size)
        digests = []
        for i, picture in enumerate(pictures.values()):
            digests.append(hashlib.sha256(np.asarray(picture).tobytes()).hexdigest())
            aligned = self.align and bool(found.found[i])
            shown = warp(picture, transforms[i] * (self.size / CANVAS), self.size) if aligned else picture
            images[i] = to_tensor(np.array(shown), self.size)
        landmarks = Landmarks.of(transform_points(found.points, transforms), found.notes)
        faces = Faces(tuple(self._ids(pictures)), images, self._labels(pictures), self.dataset.classes)
        return Batch(tuple(pictures), faces, landmarks, transforms, tuple(digests), skipped)

    def picture(self, row: int) -> Float[Tensor, "3 s s"]:
        """Return one image as ``read`` does where faces are not aligned, without looking for landmarks.

        Raises:
            DataError: it cannot be read.
        """
        return to_tensor(np.array(self.dataset.image(row)), self.size)

    def landmarks(self, rows: Sequence[int]) -> Landmarks:
        """Return the landmarks of the images at ``rows`` on the canvas; an unreadable image has none.

        Images are decoded only if the provider needs them.
        """
        if self.provider.needs_images:
            batch = self.read(rows)
            points = torch.full((len(rows), 68, 2), torch.nan, dtype=batch.landmarks.points.dtype)
            points[[rows.index(row) for row in batch.rows]] = batch.landmarks.points
            told = dict(zip(batch.rows, batch.landmarks.notes, strict=False))
            lost = {row: f"{UNREADABLE}: {why}" for row, why in batch.skipped.items()}
            return Landmarks.of(points, tuple((told | lost).get(row, "") for row in rows))
        sizes, lost = [], dict[int, str]()
        for i, row in enumerate(rows):
            try:
                sizes.append(self.dataset.size(row))
            except DataError as error:
                sizes.append((0, 0))
                lost[i] = f"{UNREADABLE}: {error}"
        found = self.provider.locate(self._ids(rows), None)
        notes = tuple(lost.get(i) or found.note(i) for i in range(len(rows)))
        return Landmarks.of(transform_points(found.points, self._transforms(found, sizes)), notes)

    def _transforms(self, found: Landmarks, sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "n 2 3"]:
        plain = [
            stretch(*size, CANVAS) if all(size) else torch.full((2, 3), torch.nan, dtype=torch.float64)
            for size in sizes
        ]
        transforms = torch.stack(plain) if plain else torch.zeros(0, 2, 3, dtype=torch.float64)
        if self.align:
            return torch.where(found.found[:, None, None], similarity(found.points, CANVAS), transforms)
        return transforms

    def _labels(self, rows: Iterable[int]) -> Int[Tensor, " n"]:
        labels = [self.dataset.samples[row].label for row in rows]
        return torch.tensor([self.dataset.classes.index(label) if label else -1 for label in labels], dtype=torch.long)

    def _ids(self, rows: Iterable[int]) -> list[str]:
        return [self.dataset.samples[row].id for row in rows]


def to_tensor(pixels: np.ndarray, size: int) -> Float[Tensor, "3 {size} {size}"]:
    """Return (h, w, 3) bytes as RGB in [0, 1], resized by ``to_square``."""
    return to_square(torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255), size)[0]
