"""The faces of a training: read once, kept in memory as far as they fit, and dealt out in batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from interpfer.errors import DataError
from interpfer.faces.stream import FaceStream
from interpfer.labels import class_indices
from interpfer.runtime.threads import ahead
from interpfer.types import Sample

MEMORY = 2 * 2**30
"""Bytes of pictures that are kept; the others are read again in every epoch."""

READ = 32
"""Pictures that are read at a time."""


@dataclass(frozen=True)
class TrainingBatch:
    """A batch as it comes from disk.

    Attributes:
        rows: positions in the data set.
        images: (n, 3, l, l) RGB bytes.
        points: (n, 68, 2) on the canvas, NaN where there are none.
        samples: n samples.
    """

    rows: tuple[int, ...]
    images: UInt8[Tensor, "n 3 l l"]
    points: Float[Tensor, "n 68 2"]
    samples: tuple[Sample, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The n canonical names."""
        return tuple(sample.label for sample in self.samples)


@dataclass
class FacePool:
    """Pictures and landmarks of the chosen rows of a data set.

    Attributes:
        stream: where they come from; its size is that of the pictures kept.
        rows: those that could be read, in order, once ``load`` has run.
        skipped: position -> why an image could not be read.
    """

    stream: FaceStream
    rows: tuple[int, ...]
    skipped: dict[int, str] = field(default_factory=dict)
    _images: dict[int, Tensor] = field(default_factory=dict)
    _points: dict[int, Tensor] = field(default_factory=dict)

    def load(self, tell: Callable[[str, int, int], None]) -> None:
        """Read everything once: landmarks of all, pictures as far as memory goes, and which cannot be read.

        Raises:
            DataError: no image can be read.
        """
        total, room = len(self.rows), MEMORY
        tell("reading", 0, total)
        done = 0
        for batch in self.stream.batches(self.rows, READ):
            for row, image, points in zip(batch.rows, batch.faces.images, batch.landmarks.points, strict=True):
                self._points[row] = points.float()
                if room > 0:
                    self._images[row] = to_bytes(image)
                    room -= image.numel()
            self.skipped.update(batch.skipped)
            done += len(batch.rows) + len(batch.skipped)
            tell("reading", done, total)
        self.rows = tuple(row for row in self.rows if row in self._points)
        if not self.rows:
            reason = next(iter(self.skipped.values()), "there is none")
            raise DataError(f"no image of the data set {self.stream.dataset.name} can be read: {reason}")

    def point(self, row: int) -> Float[Tensor, "68 2"]:
        """Return the landmarks of a face that was read."""
        return self._points[row]

    def take(self, rows: Sequence[int]) -> TrainingBatch:
        """Return some faces."""
        missing = [row for row in rows if row not in self._images]
        fresh: dict[int, Tensor] = {}
        if missing:
            try:
                fresh = {row: to_bytes(self.stream.picture(row)) for row in missing}
            except DataError as error:
                raise DataError(f"an image can no longer be read: {error}") from error
        images = torch.stack([self._images[row] if row in self._images else fresh[row] for row in rows])
        points = torch.stack([self._points[row] for row in rows])
        samples = self.stream.dataset.samples
        return TrainingBatch(tuple(rows), images, points, tuple(samples[row] for row in rows))

    def batches(self, parts: Sequence[Sequence[int]]) -> Iterator[TrainingBatch]:
        """Yield batches, reading the next one while the present one is worked on."""
        yield from ahead(self.take, parts)


def to_bytes(image: Float[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"]:
    """Round a picture in [0, 1] to bytes."""
    return (image * 255).round().clamp(0, 255).to(torch.uint8)


def deal(rows: Sequence[int], batch: int, seed: int, epoch: int, rank: int, world: int) -> list[tuple[int, ...]]:
    """Return the batches of one process in an epoch: all processes get equally many, and together every row.

    The order depends on seed and epoch alone, and batches are of equal size but for one, so that none is tiny.
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)).tolist()
    count = max(-(-len(rows) // (batch * world)), 1)
    parts = count * world
    while len(order) < parts:
        order += order[: parts - len(order)]
    pieces = torch.tensor(order).tensor_split(parts)
    return [tuple(rows[i] for i in piece.tolist()) for piece in pieces[rank::world]]


def targets_of(labels: Sequence[str], outputs: Sequence[str]) -> Int[Tensor, " n"]:
    """Return the model's output per label, -1 where it has none."""
    return torch.tensor(class_indices(labels, outputs), dtype=torch.long)
