"""A stream of face images with their landmarks, read in the background; unreadable images are skipped and reported."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from interpfer.datasets.base import Dataset
from interpfer.datasets.images import pixel_digest
from interpfer.errors import DataError
from interpfer.faces.clip_batches import find_incomplete, plan_batches
from interpfer.labels import class_indices
from interpfer.landmarks.alignment import (
    compose_transforms,
    resize_transform,
    similarity_transform,
    transform_points,
    warp_image,
)
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.plausibility import reject_implausible
from interpfer.landmarks.reasons import UNREADABLE
from interpfer.models.input import InputSpec
from interpfer.models.preparation import FieldOfView, prepare_pixels
from interpfer.runtime.threads import prefetch
from interpfer.types import CANVAS, LANDMARKS, Faces, Landmarks, Placement


@dataclass(frozen=True)
class Batch:
    """A batch of images read from disk.

    Attributes:
        rows: positions in the data set of the n images that could be read.
        faces: names, labels and pixels of the images, resized to ``size`` x ``size``.
        landmarks: landmarks in pixels of the canvas.
        transforms: (n, 2, 3) transforms from pixels of each picture to pixels of the canvas, which is what the network
            sees of the picture.
        digests: sha256 of the pixels of each picture.
        skipped: position -> reason why the image could not be read.
        sizes: (width, height) of each picture.
        partly_seen: positions of the faces with landmarks outside of what the network sees of the picture.
    """

    rows: tuple[int, ...]
    faces: Faces
    landmarks: Landmarks
    transforms: Float[Tensor, "n 2 3"]
    digests: tuple[str, ...]
    skipped: dict[int, str]
    sizes: tuple[tuple[int, int], ...]
    partly_seen: tuple[int, ...] = ()


@dataclass(frozen=True)
class FaceStream:
    """The images of a data set with their landmarks.

    Attributes:
        dataset: the data set.
        provider: the landmark provider.
        size: side of the images in pixels.
        align: whether to align each face first; a face without landmarks is not.
        input: input of the model that the images are for: images and canvas show what it sees of a picture; None for
            the whole picture, resized (bilinear, antialiased).
        readers: threads that read batches in the background, where each image is a file of its own.
    """

    dataset: Dataset
    provider: LandmarkProvider
    size: int
    align: bool = False
    input: InputSpec | None = None
    readers: int = 1

    @property
    def spec(self) -> InputSpec:
        """How a picture becomes an image of that size."""
        return InputSpec(self.size) if self.input is None else self.input.at(self.size)

    @property
    def frames(self) -> int:
        """Frames that the network takes at a time; 1 for one of pictures."""
        return 1 if self.input is None else self.input.frames

    def plan(self, rows: Sequence[int], batch_size: int) -> list[tuple[int, ...]]:
        """Divide rows into batches: as many images as asked at most, and whole clips where they fit."""
        return plan_batches(self.dataset.samples, rows, batch_size, self.frames)

    def batches(self, rows: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Yield the images at ``rows`` in batches, reading the next batch in the background."""
        yield from self.read_batches(self.plan(rows, batch_size))

    def read_batches(self, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Yield the images of some batches of rows, reading the next batches in the background."""
        yield from prefetch(self.read, batches, self.readers if self._has_files else 1)

    def find_landmarks(self, batches: Sequence[Sequence[int]]) -> Iterator[Landmarks]:
        """Yield ``landmarks`` of some batches of rows, found in as many threads as torch is set to use."""
        workers = max(self.readers, torch.get_num_threads()) if self._has_files else 1
        yield from prefetch(self.landmarks, batches, workers)

    @cached_property
    def _has_files(self) -> bool:
        """Whether each image is a file of its own; a file of many is read by one thread."""
        paths = {sample.path for sample in self.dataset.samples}
        return None not in paths and len(paths) == len(self.dataset.samples)

    def read(self, rows: Sequence[int]) -> Batch:
        """Read the images at ``rows`` and find their landmarks."""
        pictures: dict[int, Image.Image] = {}
        skipped: dict[int, str] = {}
        for row in rows:
            try:
                pictures[row] = self.dataset.image(row)
            except DataError as error:
                skipped[row] = str(error)
        if self.frames > 1:
            skipped |= find_incomplete(self.dataset.samples, rows, skipped, self.frames)
            pictures = {row: picture for row, picture in pictures.items() if row not in skipped}
        sizes = tuple(picture.size for picture in pictures.values())
        landmarks = reject_implausible(self.provider.locate(self._ids(pictures), list(pictures.values())), sizes)
        transforms = self._transforms(landmarks, sizes)
        images = torch.empty(len(pictures), 3, self.size, self.size)
        digests = []
        for i, picture in enumerate(pictures.values()):
            digests.append(pixel_digest(picture))
            if self.align and bool(landmarks.found[i]):
                side = self.spec.picture_size
                aligned = similarity_transform(landmarks.points[i : i + 1], CANVAS)[0]
                picture = warp_image(picture, aligned * (side / CANVAS), side)
            images[i] = prepare_pixels(np.array(picture), self.spec)
        placement = self._placement(tuple(pictures), transforms, sizes)
        on_canvas = Landmarks.of(transform_points(landmarks.points, transforms), landmarks.notes, placement)
        faces = Faces(tuple(self._ids(pictures)), images, self._labels(pictures), self.dataset.classes)
        cut = self._partly_seen(tuple(pictures), on_canvas)
        return Batch(tuple(pictures), faces, on_canvas, transforms, tuple(digests), skipped, sizes, cut)

    def picture(self, row: int) -> Float[Tensor, "3 s s"]:
        """Return one image as ``read`` does without alignment; finds no landmarks.

        Raises:
            DataError: the image cannot be read.
        """
        return prepare_pixels(np.array(self.dataset.image(row)), self.spec)

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
            return Landmarks.of(points, tuple(notes.get(row, "") for row in rows), self._spread(rows, batch))
        sizes, unreadable = [], dict[int, str]()
        for i, row in enumerate(rows):
            try:
                sizes.append(self.dataset.size(row))
            except DataError as error:
                sizes.append((0, 0))
                unreadable[i] = f"{UNREADABLE}: {error}"
        landmarks = reject_implausible(self.provider.locate(self._ids(rows), None), sizes)
        transforms = self._transforms(landmarks, sizes)
        points = transform_points(landmarks.points, transforms)
        reasons = tuple(unreadable.get(i) or landmarks.note(i) for i in range(len(rows)))
        return Landmarks.of(points, reasons, self._placement(rows, transforms, tuple(sizes)))

    def _placement(
        self, rows: Sequence[int], transforms: Float[Tensor, "n 2 3"], sizes: tuple[tuple[int, int], ...]
    ) -> Placement:
        """Return where the pictures lie on the canvas; of an image cut out of a larger picture, the larger one."""
        frames = [self.dataset.frame(row) if all(size) else None for row, size in zip(rows, sizes, strict=True)]
        if not any(frames):
            return Placement(transforms, sizes)
        shift = torch.zeros(len(rows), 2, 3, dtype=torch.float64)
        shift[:, 0, 0] = shift[:, 1, 1] = 1
        for i, frame in enumerate(frames):
            if frame is not None:
                shift[i, :, 2] = -torch.tensor(frame[:2], dtype=torch.float64)
        whole = (frame[2:] if frame else size for frame, size in zip(frames, sizes, strict=True))
        return Placement(compose_transforms(transforms, shift), tuple(whole))

    @staticmethod
    def _spread(rows: Sequence[int], batch: Batch) -> Placement:
        """Return the placement of the images of a batch among all rows; that of an unreadable one is unknown."""
        placement = batch.landmarks.placement
        assert placement is not None
        places = [rows.index(row) for row in batch.rows]
        transforms = torch.full((len(rows), 2, 3), torch.nan, dtype=torch.float64)
        transforms[places] = placement.transforms
        sizes = dict(zip(places, placement.sizes, strict=True))
        return Placement(transforms, tuple(sizes.get(place, (0, 0)) for place in range(len(rows))))

    def _transforms(self, landmarks: Landmarks, sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "n 2 3"]:
        resizes = [
            view_transform(self.spec, *size) if all(size) else torch.full((2, 3), torch.nan, dtype=torch.float64)
            for size in sizes
        ]
        transforms = torch.stack(resizes) if resizes else torch.zeros(0, 2, 3, dtype=torch.float64)
        if self.align:
            aligned = similarity_transform(landmarks.points, CANVAS)
            if not self.spec.is_whole:
                side = self.spec.picture_size
                seen = view_transform(self.spec, side, side)
                aligned = compose_transforms(seen, aligned * (side / CANVAS))
            return torch.where(landmarks.found[:, None, None], aligned, transforms)
        return transforms

    def _partly_seen(self, rows: tuple[int, ...], landmarks: Landmarks) -> tuple[int, ...]:
        if self.spec.is_whole:
            return ()
        outside = ((landmarks.points < 0) | (landmarks.points > CANVAS)).flatten(1).any(1) & landmarks.found
        return tuple(row for row, is_outside in zip(rows, outside.tolist(), strict=True) if is_outside)

    def _labels(self, rows: Iterable[int]) -> Int[Tensor, " n"]:
        labels = [self.dataset.samples[row].label for row in rows]
        return torch.tensor(class_indices(labels, self.dataset.classes), dtype=torch.long)

    def _ids(self, rows: Iterable[int]) -> list[str]:
        return [self.dataset.samples[row].id for row in rows]


def view_transform(spec: InputSpec, width: int, height: int) -> Float[Tensor, "2 3"]:
    """Return the transform from a (width, height) picture to the canvas, which is what the network sees of it."""
    if spec.is_whole:
        return resize_transform(width, height, CANVAS)
    return FieldOfView.of(spec, width, height).transform(CANVAS)


def to_tensor(pixels: np.ndarray, size: int) -> Float[Tensor, "3 {size} {size}"]:
    """Return (h, w, 3) bytes as RGB in [0, 1], resized to ``size`` x ``size``."""
    return prepare_pixels(pixels, InputSpec(size))
