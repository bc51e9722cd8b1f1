"""The truth that a user brings: masks of the pictures, which need neither landmarks nor faces."""

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpfer.errors import DataError
from interpfer.landmarks.reasons import EMPTY_MASK, OUT_OF_VIEW
from interpfer.truth.base import BACKGROUND, GRID, Parts, Truth, TruthProvider
from interpfer.truth.mask_files import read_masks
from interpfer.truth.mask_files.shapes import Picture, Raster, Size
from interpfer.truth.mask_files.table import IGNORE, Entry, class_key
from interpfer.truth.options import MASK, TruthOptions
from interpfer.truth.placing import place_on_canvas
from interpfer.types import CANVAS, Landmarks, Sample

NO_MASK = "without a mask"
NOT_SEEN = "whose mask is empty or out of view"

LEAST = 128
"""A pixel belongs to a soft mask from this value of 255 on, where one is needed that is black and white."""

MEMORY = 256 * 2**20
"""Bytes of masks that are kept, so that they are not read again."""

NAMED = 5
"""Images that a note names at most."""


_Key = tuple[str, str, Size]
"""Name, label and size of a picture."""


class _Drawn(NamedTuple):
    """The mask of a picture on the canvas: (S, S) from 0 to 255, and pixels to ignore; and why it shows nothing."""

    values: NDArray[np.uint8] | None
    ignore: NDArray[np.bool_] | None
    fault: str = ""

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        return sum(each.nbytes for each in (self.values, self.ignore) if each is not None) + 200


class MaskTruth(TruthProvider):
    """The masks of a file or folder; several of an image are one, the union of those of its class and of any class.

    Args:
        path: see ``interpfer.truth.mask_files``.
    """

    name = "masks"
    summary = "masks of the pictures (--masks PATH: PNG, masks.csv, COCO, VOC, wsolevaluation, CheXlocalize)"
    noun: ClassVar[str] = MASK
    needs_landmarks: ClassVar[bool] = False

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._table = read_masks(self._path)
        self._drawn: dict[_Key, tuple[bytes, _Drawn]] = {}
        self._rasters: dict[_Key, Raster] = {}
        self._left = MEMORY
        self._lock = threading.Lock()
        self._faults: dict[tuple[str, str], str] = {}
        self._has_ignored = False

    @classmethod
    def create(cls, options: TruthOptions) -> "MaskTruth":
        """Return the masks of the options.

        Raises:
            DataError: there are none, they cannot be read, or an option of another truth is set.
        """
        if options.masks is None:
            raise DataError("--truth masks needs the masks: pass --masks PATH.")
        for name in ("codebook", "geometry", "aus"):
            if getattr(options, name) is not None:
                raise DataError(f"--{name} is about action units; leave it out with --truth masks.")
        return cls(options.masks)

    @cached_property
    def settings(self) -> dict[str, str]:
        """Name of the file or folder, and the sha256 of it and of all mask files."""
        content = hashlib.sha256()
        if self._path.is_file():
            content.update(self._path.read_bytes())
        for entry in self._table.entries:
            content.update(f"{entry.image}\n{entry.group}\n".encode())
            if isinstance(entry.shape, Picture):
                content.update(hashlib.sha256(entry.shape.path.read_bytes()).digest())
            elif not self._path.is_file():
                content.update(repr(entry.shape).replace(str(self._path), "").encode())
        return {"masks": self._path.name, "masks_digest": content.hexdigest()}

    @property
    def parts(self) -> Parts:
        """No named regions: a mask is one."""
        return Parts((), (BACKGROUND,))

    def check(self, samples: Sequence[Sample]) -> None:
        """Check that masks and images are of each other.

        Raises:
            DataError: no image has a mask, or two images share one.
        """
        if not any(self._table.image_of(sample.id) for sample in samples):
            listed = next((entry.image for entry in self._table.entries), "")
            raise DataError(
                f"no image of the data set has a mask in {self._path}: images are named as {samples[0].id}, masks are "
                f"of {listed}."
            )
        self._table.require_unambiguous(samples, str(self._path))

    def draw(
        self,
        samples: Sequence[Sample],
        landmarks: Landmarks,
        mirrored: Bool[Tensor, " n"] | None = None,  # noqa: ARG002
    ) -> Truth:
        """Move the masks of the samples to the canvas, as the pictures are; a transform that mirrors, mirrors them.

        Raises:
            DataError: a mask has not the aspect of its picture, or cannot be read.
        """
        placement = landmarks.placement
        if placement is None:
            raise DataError("masks need to know where the pictures lie: pass landmarks with their placement.")
        maps = np.full((len(samples), CANVAS, CANVAS), np.nan, np.float32)
        ignore: NDArray[np.bool_] | None = None
        valid = np.zeros(len(samples), np.bool_)
        transforms = placement.transforms.cpu().double().numpy()
        for row, (sample, size) in enumerate(zip(samples, placement.sizes, strict=True)):
            drawn = self._draw(sample, size, transforms[row])
            self._faults[sample.id, sample.label] = drawn.fault
            if drawn.values is None:
                continue
            maps[row], valid[row] = drawn.values / np.float32(255), True
            if drawn.ignore is not None:
                ignore = np.zeros(maps.shape, np.bool_) if ignore is None else ignore
                ignore[row] = drawn.ignore
                self._has_ignored = True
        device = landmarks.points.device
        return Truth(
            torch.from_numpy(maps).to(device),
            torch.from_numpy(valid).to(device),
            None if ignore is None else torch.from_numpy(ignore).to(device),
        )

    @property
    def has_ignored(self) -> bool:
        """Whether anything that was drawn has pixels to ignore."""
        return self._has_ignored

    def _draw(self, sample: Sample, size: Size, transform: NDArray[np.float64]) -> _Drawn:
        """Return the mask of a sample on the canvas; one that lies as before is not drawn again, if it was kept."""
        entries = self._table.find(sample)
        if not all(size) or all(entry.group == IGNORE for entry in entries):
            return _Drawn(None, None)
        key, place = (sample.id, sample.label, size), transform.tobytes()
        before = self._drawn.get(key)
        if before is not None and before[0] == place:
            return before[1]
        raster = self._rasters.get(key) or _unite(sample, entries, size)
        drawn = _place(raster, size, transform, ", ".join(_sources(entries)))
        with self._lock:
            if before is None:
                self._keep(self._drawn, key, (place, drawn), drawn.bytes)
            else:  # it moves, as in training
                self._keep(self._rasters, key, raster, raster.bytes)
        return drawn

    def _keep(self, kept: dict[_Key, Any], key: _Key, value: Any, count: int) -> None:
        """Keep what was drawn as long as there is memory: the first ones, since data sets are read in order."""
        if key not in kept and count <= self._left:
            kept[key] = value
            self._left -= count

    def shares(self, landmarks: Landmarks) -> Float[Tensor, "n g 28 28"]:
        """Return that all of each cell is background: a mask has no parts."""
        return torch.ones(len(landmarks.points), 1, GRID, GRID, device=landmarks.points.device)

    def expected_parts(self, label: str) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return no part: a mask has none."""
        return np.zeros(1, np.bool_)

    def missing_reason(self, sample: Sample) -> str:
        """Say that the image has no mask, or none of its class."""
        if self._table.image_of(sample.id) is None:
            return NO_MASK
        if all(entry.group == IGNORE for entry in self._table.find(sample)):
            return "with masks of other classes alone"
        return NOT_SEEN

    def fault(self, sample: Sample) -> str:
        """Say that the mask is empty, or outside of what the network sees, and which one it is."""
        return self._faults.get((sample.id, sample.label), "")

    def notes(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """Return lines on images without a mask, masks without an image, and classes of masks without a label."""
        missing = [sample.id for sample in samples if not self._table.find(sample)]
        unused = self._table.without_image(samples)
        labels = {class_key(sample.label) for sample in samples}
        unlabelled = sorted(self._table.groups - labels)
        lines = []
        if missing:
            lines.append(f"images without a mask: {len(missing)} of {len(samples)} ({_some(missing)})")
        if unused:
            lines.append(f"masks without an image among those of the data set: {len(unused)} ({_some(unused)})")
        if unlabelled:
            lines.append(f"masks of classes that no image is labelled with: {', '.join(unlabelled)}")
        return tuple(lines)


def _place(raster: Raster, size: Size, transform: NDArray[np.float64], where: str) -> _Drawn:
    """Move a mask of a picture to the canvas; ``where`` says in which files it stands."""
    if not (raster.mask >= LEAST).any():
        return _Drawn(None, None, f"{EMPTY_MASK}: {where}")
    height, width = raster.mask.shape
    own = transform.copy()
    own[:, :2] *= np.array([size[0] / width, size[1] / height])
    values: NDArray[Any] = place_on_canvas(raster.mask, own)
    ignore = None
    if raster.ignore is not None:
        share = place_on_canvas(raster.ignore.astype(np.uint8) * np.uint8(255), own) / np.float32(255)
        ignore = share >= 0.5
        kept = values / np.float32(255) / (1 - np.minimum(share, 0.5))
        values = np.where(ignore, 0, kept.clip(0, 1) * 255).round().astype(np.uint8)
        ignore = ignore if ignore.any() else None
    if not (values >= LEAST).any():
        return _Drawn(None, None, f"{OUT_OF_VIEW}: {where}")
    return _Drawn(values, ignore)


def _sources(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.shape.where for entry in entries if entry.group != IGNORE))


def _unite(sample: Sample, entries: Sequence[Entry], picture: Size) -> Raster:
    """Return the union of the masks of a picture, and of the pixels to ignore."""
    drawn = []
    for entry in entries:
        own = entry.shape.own_size(picture)
        if not _have_same_aspect(own, picture):
            raise DataError(
                f"{entry.shape.where}: a mask of {own[0]} x {own[1]} pixels for the picture {sample.id} of "
                f"{picture[0]} x {picture[1]}; another size must have the same aspect."
            )
        drawn.append((entry.group == IGNORE, entry.shape.render(picture)))
    if len(drawn) == 1 and drawn[0][1].ignore is None:
        return drawn[0][1]
    sizes = {raster.mask.shape for _, raster in drawn}
    shape = next(iter(sizes)) if len(sizes) == 1 else (picture[1], picture[0])
    mask, ignore = np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
    for is_ignore, raster in drawn:
        plane = _resized(raster.mask, shape)
        if is_ignore:
            ignore |= plane >= LEAST
        else:
            mask = np.maximum(mask, plane)
        if raster.ignore is not None:
            ignore |= _resized(raster.ignore.astype(np.uint8) * np.uint8(255), shape) >= LEAST
    mask = np.where(ignore, np.uint8(0), mask)
    return Raster(mask, ignore if ignore.any() else None)


def _have_same_aspect(one: Size, other: Size) -> bool:
    """Return whether one is the other enlarged or shrunk, rounded to whole pixels."""
    (a, b), (width, height) = sorted((one, other))
    return abs(a - width * b / height) <= 1 or abs(b - height * a / width) <= 1


def _resized(plane: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
