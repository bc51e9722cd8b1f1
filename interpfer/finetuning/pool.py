"""The faces of a training: read once, kept in memory as far as they fit, and returned in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from interpfer.datasets.images import content_key
from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.labels import class_indices
from interpfer.landmarks.reasons import IMPLAUSIBLE
from interpfer.runtime.progress import Progress
from interpfer.runtime.threads import prefetch
from interpfer.types import Landmarks, Placement, Sample

MEMORY = 2 * 2**30
"""Bytes of images that are kept; the others are read again in every epoch."""

READ = 32
"""Images that are read at a time."""


@dataclass(frozen=True)
class Share:
    """The share of one process in the work of all.

    Attributes:
        rank: number of the process.
        world: number of processes.
    """

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class TrainingBatch:
    """A batch as it is read.

    Attributes:
        rows: positions in the data set.
        images: (n, 3, l, l) RGB bytes.
        landmarks: on the canvas, NaN where there are none, with where the pictures lie on it.
        samples: n samples.
    """

    rows: tuple[int, ...]
    images: UInt8[Tensor, "n 3 l l"]
    landmarks: Landmarks
    samples: tuple[Sample, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The n labels."""
        return tuple(sample.label for sample in self.samples)


@dataclass
class FacePool:
    """Images and landmarks of chosen rows of a data set.

    Attributes:
        stream: source of the faces; its size is that of the images kept.
        rows: positions of the readable images, in order, once ``load`` has run.
        skipped: position -> why an image cannot be read.
        implausible: position -> why its landmarks are not used, once ``load`` has run.
        contents: position -> key that images with the same pixels share, once ``load`` has run.
    """

    stream: FaceStream
    rows: tuple[int, ...]
    skipped: dict[int, str] = field(default_factory=dict)
    contents: dict[int, str] = field(default_factory=dict)
    implausible: dict[int, str] = field(default_factory=dict)
    _images: dict[int, Tensor] = field(default_factory=dict)
    _points: dict[int, Tensor] = field(default_factory=dict)
    _places: dict[int, tuple[Tensor, tuple[int, int]]] = field(default_factory=dict)

    def load(self, progress: Progress) -> None:
        """Read everything once: landmarks of all, images as far as they fit into memory.

        Raises:
            DataError: no image can be read.
        """
        done, total, memory = 0, len(self.rows), MEMORY
        progress("reading", 0, total)
        for batch in self.stream.batches(self.rows, READ):
            for row, image, points in zip(batch.rows, batch.faces.images, batch.landmarks.points, strict=True):
                self._points[row] = points.float()
                if memory > 0:
                    self._images[row] = to_bytes(image)
                    memory -= image.numel()
            placement = batch.landmarks.placement
            assert placement is not None
            self._places.update(zip(batch.rows, zip(placement.transforms, placement.sizes, strict=True), strict=True))
            self.implausible.update(
                (row, note)
                for row, note in zip(batch.rows, batch.landmarks.notes, strict=False)
                if note.startswith(IMPLAUSIBLE)
            )
            self.contents.update(zip(batch.rows, map(content_key, batch.sizes, batch.digests), strict=True))
            self.skipped.update(batch.skipped)
            done += len(batch.rows) + len(batch.skipped)
            progress("reading", done, total)
        self.rows = tuple(row for row in self.rows if row in self._points)
        if not self.rows:
            reason = next(iter(self.skipped.values()), "it is empty")
            raise DataError(f"no image of the data set {self.stream.dataset.name} can be read: {reason}")

    def points(self, row: int) -> Float[Tensor, "68 2"]:
        """Return the landmarks of a face."""
        return self._points[row]

    def take(self, rows: Sequence[int]) -> TrainingBatch:
        """Return some faces.

        Raises:
            DataError: an image that is read again has become unreadable.
        """
        missing = [row for row in rows if row not in self._images]
        fresh: dict[int, Tensor] = {}
        if missing:
            try:
                fresh = {row: to_bytes(self.stream.picture(row)) for row in missing}
            except DataError as error:
                raise DataError(f"an image can no longer be read: {error}") from error
        images = torch.stack([self._images[row] if row in self._images else fresh[row] for row in rows])
        points = torch.stack([self._points[row] for row in rows])
        transforms, sizes = zip(*(self._places[row] for row in rows), strict=True)
        landmarks = Landmarks.of(points, placement=Placement(torch.stack(transforms), sizes))
        samples = self.stream.dataset.samples
        return TrainingBatch(tuple(rows), images, landmarks, tuple(samples[row] for row in rows))

    def batches(self, rows: Sequence[Sequence[int]]) -> Iterator[TrainingBatch]:
        """Yield batches, reading the next one while the present one is in use."""
        yield from prefetch(self.take, rows)


def to_bytes(image: Float[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"]:
    """Round an image in [0, 1] to bytes."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8)


def shuffled_batches(
    rows: Sequence[int], batch_size: int, seed: int, epoch: int, share: Share
) -> list[tuple[int, ...]]:
    """Return the batches of one process in an epoch: all processes get equally many, and together every row.

    The order depends on seed and epoch alone. Sizes differ by at most one, so that no batch is tiny.

    Args:
        rows: positions in the data set.
        batch_size: largest size of a batch.
        seed: seed of the training.
        epoch: counted from 0.
        share: share of this process.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)).tolist()
    count = max(-(-len(rows) // (batch_size * share.world)), 1) * share.world
    while len(order) < count:
        order += order[: count - len(order)]
    pieces = torch.tensor(order).tensor_split(count)
    return [tuple(rows[i] for i in piece.tolist()) for piece in pieces[share.rank :: share.world]]


def output_indices(labels: Sequence[str], classes: Sequence[str]) -> Int[Tensor, " n"]:
    """Return the index of each label among the classes of a model, -1 where it has none."""
    return torch.tensor(class_indices(labels, classes), dtype=torch.long)
