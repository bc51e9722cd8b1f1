"""Landmarks of clips: found frame by frame, and followed over each clip as a whole."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import ClassVar

import torch
from PIL import Image

from interpfer.datasets.base import Dataset
from interpfer.datasets.clip_dataset import REPEAT
from interpfer.errors import DataError
from interpfer.landmarks.absent import NoLandmarks
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.files import FileLandmarks
from interpfer.landmarks.following import MAX_GAP, SIGMA, follow
from interpfer.landmarks.plausibility import reject_implausible
from interpfer.landmarks.reasons import BRIDGED, NO_FACE, UNREADABLE
from interpfer.types import LANDMARKS, Landmarks

KEPT = 8
"""Clips whose points are kept: a batch ends within a clip."""


class FollowedLandmarks:
    """A provider whose points are followed over the clips of a data set; see ``interpfer.landmarks.following``.

    Points do not depend on how frames are divided into batches: those of a whole clip are found together. Pictures
    without a clip are as the provider finds them.

    Args:
        provider: the provider.
        dataset: the data set whose samples are frames of clips.
    """

    name: ClassVar[str] = "followed"
    summary: ClassVar[str] = "another provider, followed over clips"
    needs_images: ClassVar[bool] = True

    def __init__(self, provider: LandmarkProvider, dataset: Dataset, notes: tuple[str, ...] = ()) -> None:
        self.provider, self.dataset, self.notes = provider, dataset, notes
        own_name = provider.path.name if isinstance(provider, FileLandmarks) else provider.name
        self.name = own_name  # type: ignore[misc]
        self.needs_images = provider.needs_images  # type: ignore[misc]
        self.digest = f"{provider.digest} followed over clips: {SIGMA:g}, {MAX_GAP}"
        self._rows = {sample.id: row for row, sample in enumerate(dataset.samples)}
        self._of_clip: dict[str, list[int]] = {}
        for row, sample in enumerate(dataset.samples):
            if sample.clip:
                self._of_clip.setdefault(sample.clip, []).append(row)
        self._kept: dict[str, dict[str, tuple[torch.Tensor, str]]] = {}
        self._lock = Lock()

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        """Return the points of some frames."""
        given = dict(zip(ids, images, strict=True)) if images is not None else {}
        with self._lock:
            clips = list(dict.fromkeys(self.dataset.samples[self._rows[key]].clip for key in ids))
            found: dict[str, tuple[torch.Tensor, str]] = {}
            for clip in clips:
                if clip and clip not in self._kept:
                    self._kept[clip] = self._follow(self._of_clip[clip], given)
                own = [key for key in ids if self.dataset.samples[self._rows[key]].clip == clip]
                found |= self._kept[clip] if clip else self._alone(own, given)
            for clip in list(self._kept)[:-KEPT]:
                del self._kept[clip]
        points = [found[key][0] for key in ids]
        empty = torch.zeros(0, LANDMARKS, 2)
        return Landmarks.of(torch.stack(points) if points else empty, tuple(found[key][1] for key in ids))

    def _follow(self, rows: Sequence[int], given: Mapping[str, Image.Image]) -> dict[str, tuple[torch.Tensor, str]]:
        """Return id -> points and note of the frames of a clip."""
        frames: dict[int, list[int]] = {}
        for row in rows:
            frames.setdefault(self.dataset.samples[row].frame or 0, []).append(row)
        order = sorted(frames)
        first = [frames[frame][0] for frame in order]  # the others are the same frame again
        located = self._locate(first, given)
        inner = getattr(self.provider, "provider", self.provider)
        followed = follow(located, order, smooth=self.needs_images and not isinstance(inner, FileLandmarks))
        return {
            self.dataset.samples[row].id: (followed.points[place], followed.note(place))
            for place, frame in enumerate(order)
            for row in frames[frame]
        }

    def _locate(self, rows: Sequence[int], given: Mapping[str, Image.Image]) -> Landmarks:
        """Return the points of single frames as the provider finds them, without implausible ones."""
        names = [self.dataset.samples[row].id for row in rows]
        plain = [name.rpartition(REPEAT)[0] if REPEAT in name.rpartition("/")[2] else name for name in names]
        if not self.needs_images:
            return self.provider.locate(plain, None)
        pictures, faults = dict[int, Image.Image](), dict[int, str]()
        for place, (row, name) in enumerate(zip(rows, names, strict=True)):
            try:
                pictures[place] = given[name] if name in given else self.dataset.image(row)
            except DataError as error:
                faults[place] = f"{UNREADABLE}: {error}"
        sizes = [picture.size for picture in pictures.values()]
        own = reject_implausible(self.provider.locate([plain[i] for i in pictures], list(pictures.values())), sizes)
        points = torch.full((len(rows), LANDMARKS, 2), torch.nan, dtype=own.points.dtype)
        points[list(pictures)] = own.points.cpu()
        notes = [faults.get(place, "") for place in range(len(rows))]
        for i, place in enumerate(pictures):
            notes[place] = own.note(i) or ("" if own.found[i] else NO_FACE)
        return Landmarks.of(points, tuple(notes))

    def _alone(self, ids: Sequence[str], given: Mapping[str, Image.Image]) -> dict[str, tuple[torch.Tensor, str]]:
        own = self.provider.locate(ids, [given[key] for key in ids] if given else None)
        return {key: (own.points[i].cpu(), own.note(i)) for i, key in enumerate(ids)}


def follow_clips(provider: LandmarkProvider, dataset: Dataset, notes: tuple[str, ...] = ()) -> LandmarkProvider:
    """Return a provider that follows faces over the clips of a data set; the same where there are no clips.

    Args:
        provider: finds the points of single pictures.
        dataset: the data set.
        notes: what a reader of scores with these landmarks has to know.
    """
    is_done = isinstance(provider, NoLandmarks | FollowedLandmarks)
    if is_done or not any(sample.clip for sample in dataset.samples):
        return provider
    return FollowedLandmarks(provider, dataset, notes)


def is_bridged(note: str) -> bool:
    """Return whether a note says that points were interpolated.

    Examples:
        >>> is_bridged("interpolated: between frames 3 and 5"), is_bridged("")
        (True, False)
    """
    return note.startswith(BRIDGED)
