"""A stream of face images with their landmarks, read in the background; unreadable images are skipped and reported."""

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
from interpfer.labels import class_indices
from interpfer.landmarks.alignment import resize_transform, similarity_transform, transform_points, warp_image
from interpfer.landmarks.base import UNREADABLE, LandmarkProvider
from interpfer.models.input import to_square
from interpfer.runtime.threads import prefetch
from interpfer.types import CANVAS, LANDMARKS, Faces, Landmarks


@dataclass(frozen=True)
class Batch:
    """A batch of images read from disk.

    Attributes:
        rows: positions in the data set of the n images that could be read.
        faces: names, labels and pixels of the images, resized to ``size`` x ``size``.
        landmarks: landmarks in pixels of the canvas.
        transforms: (n, 2, 3) transforms from pixels of each picture to pixels of the canvas.
        digests: sha256 of the pixels of each picture.
        skipped: position -> reason why the image could not be read.
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
        dataset: the data set.
        provider: the landmark provider.
        size: side in pixels to which images are resized (bilinear, antialiased).
        align: whether to align each face first; a face without landmarks is only resized.
    """

    dataset: Dataset
    provider: LandmarkProvider
    size: int
    align: bool = False

    def batches(self, rows: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Yield the images at ``rows`` in batches, reading the next batch in the background."""
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        yield from prefetch(self.read, batches)

    def read(self, rows: Sequence[int]) -> Batch:
        """Read the images at ``rows`` and find their landmarks."""
        pictures: dict[int, Image.Image] = {}
        skipped: dict[int, str] = {}
        for row in rows:
            try:
                pictures[row] = self.dataset.image(row)
            except DataError as error:
                skipped[row] = str(error)
        landmarks = self.provider.locate(self._ids(pictures), list(pictures.values()))
        transforms = self._transforms(landmarks, [picture.size for picture in pictures.values()])
        images = torch.empty(len(pictures), 3, self.size, self.size)
        digests = []
        for i, picture in enumerate(pictures.values()):
            digests.append(hashlib.sha256(np.asarray(picture).tobytes()).hexdigest())
            if self.align and bool(landmarks.found[i]):
                picture = warp_image(picture, transforms[i] * (self.size / CANVAS), self.size)
            images[i] = to_tensor(np.array(picture), self.size)
        on_canvas = Landmarks.of(transform_points(landmarks.points, transforms), landmarks.notes)
        faces = Faces(tuple(self._ids(pictures)), images, self._labels(pictures), self.dataset.classes)
        return Batch(tuple(pictures), faces, on_canvas, transforms, tuple(digests), skipped)

    def picture(self, row: int) -> Float[Tensor, "3 s s"]:
        """Return one image as ``read`` does without alignment; finds no landmarks.

        Raises:
            DataError: the image cannot be read.
        """
        return to_tensor(np.array(self.dataset.image(row)), self.size)

    def landmarks(self, rows: Sequence[int]) -> Landmarks:
        """Return the landmarks of the images at ``rows`` in pixels of the canvas; an unreadable image has none.

        Images are decoded only if the provider needs them.
        """
        if self.provider.needs_images:
            batch = self.read(rows)
            points = torch.full((len(rows), LANDMARKS, 2), torch.nan, dtype=batch.landmarks.points.dtype)
            points[[rows.index(row) for row in batch.rows]] = batch.landmarks.points
            notes = dict(zip(batch.rows, batch.landmarks.notes, strict=False))
            notes |= {row: f"{UNREADABLE}: {reason}" for row, reason in batch.skipped.items()}
            return Landmarks.of(points, tuple(notes.get(row, "") for row in rows))
        sizes, unreadable = [], dict[int, str]()
        for i, row in enumerate(rows):
            try:
                sizes.append(self.dataset.size(row))
            except DataError as error:
                sizes.append((0, 0))
                unreadable[i] = f"{UNREADABLE}: {error}"
        landmarks = self.provider.locate(self._ids(rows), None)
        points = transform_points(landmarks.points, self._transforms(landmarks, sizes))
        return Landmarks.of(points, tuple(unreadable.get(i) or landmarks.note(i) for i in range(len(rows))))

    def _transforms(self, landmarks: Landmarks, sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "n 2 3"]:
        resizes = [
            resize_transform(*size, CANVAS) if all(size) else torch.full((2, 3), torch.nan, dtype=torch.float64)
            for size in sizes
        ]
        transforms = torch.stack(resizes) if resizes else torch.zeros(0, 2, 3, dtype=torch.float64)
        if self.align:
            aligned = similarity_transform(landmarks.points, CANVAS)
            return torch.where(landmarks.found[:, None, None], aligned, transforms)
        return transforms

    def _labels(self, rows: Iterable[int]) -> Int[Tensor, " n"]:
        labels = [self.dataset.samples[row].label for row in rows]
        return torch.tensor(class_indices(labels, self.dataset.classes), dtype=torch.long)

    def _ids(self, rows: Iterable[int]) -> list[str]:
        return [self.dataset.samples[row].id for row in rows]


def to_tensor(pixels: np.ndarray, size: int) -> Float[Tensor, "3 {size} {size}"]:
    """Return (h, w, 3) bytes as RGB in [0, 1], resized to ``size`` x ``size``."""
    return to_square(torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255), size)[0]
