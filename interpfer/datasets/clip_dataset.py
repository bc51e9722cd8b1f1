"""Data sets of clips: of each clip some frames are sampled, and they are the samples."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from PIL import Image

from interpfer.datasets.base import Dataset, require_root
from interpfer.datasets.clip_files import DAMAGED, Clip, ClipFrames, Listing, describe_damaged, list_all_frames
from interpfer.datasets.images import read_image
from interpfer.datasets.sampling import Sampling, resolve_sampling
from interpfer.datasets.videos import VideoIndex, is_video, read_frames
from interpfer.errors import DataError
from interpfer.labels import canonical, require_expression
from interpfer.types import Sample

WINDOW = 32
"""Frames of a video that are decoded at a time, so that memory does not grow with its length."""

REPEAT = "~"
"""Between the name of a frame and its number, where the frame is sampled again."""


class ClipDataset(Dataset):
    """Samples are the sampled frames of clips: all of one clip after one another, in the order of the sampling.

    A frame is called ``CLIP/NAME`` after its picture, or ``CLIP/00012`` after its place in a video, from 0. A clip that
    cannot be read is left out, counted and named. To add a data set of clips, write a subclass with ``list_clips``.

    Args:
        listing: clips of the split.
        root: folder of the data set.
        sampling: which frames are sampled; None for the default.

    Attributes:
        sampling: which frames are sampled.
        damaged: name of each clip that cannot be read -> reason.
        lengths: name of each clip -> number of its frames.
    """

    has_clips: ClassVar[bool] = True
    any_class: ClassVar[bool] = False
    """Whether classes may have any name; else they are expressions."""

    def __init__(self, listing: Listing, root: str | Path | None, sampling: Sampling | None = None) -> None:
        self.sampling = sampling or resolve_sampling()
        self.damaged: dict[str, str] = dict(listing.damaged)
        self.lengths: dict[str, int] = {}
        self._clips: dict[str, Clip] = {}
        self._videos: dict[str, VideoIndex] = {}
        samples = list[Sample]()
        for clip, frames in list_all_frames(listing.clips):
            try:
                if isinstance(frames, DataError):
                    raise frames
                samples += self._sample(clip, frames)
            except DataError as error:
                self.damaged[clip.name] = str(error)
        if not samples and self.damaged:
            name, reason = next(iter(self.damaged.items()))
            raise DataError(
                f"data set {self.name}: none of the {len(self.damaged)} clips of the split '{listing.split}' can be "
                f"read. {name}: {reason}"
            )
        super().__init__(samples, listing.split, root)
        self._decode = lru_cache(maxsize=4)(self._decode_window)
        self.left_out = dict(listing.left_out) | ({DAMAGED: len(self.damaged)} if self.damaged else {})
        self.notes = (*listing.notes, *self._notes())

    @classmethod
    def open(
        cls, root: str | Path | None, split: str, seed: int = 0, sampling: Sampling | None = None
    ) -> "ClipDataset":
        """List the clips of a split and count their frames; no picture is decoded.

        Args:
            root: folder of the data set.
            split: one of ``splits``.
            seed: not used.
            sampling: which frames are sampled; None for the default.

        Raises:
            DataError: the folder, its lists or the split do not exist, or no clip can be read.
            PluginError: there are videos, and PyAV is not installed.
        """
        del seed
        folder = require_root(root, cls.name)
        sampling = sampling or resolve_sampling()
        return cls(cls.list_clips(folder, cls.resolve_split(split), sampling), folder, sampling)

    @classmethod
    @abstractmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:
        """List the clips of a split, without opening any.

        Args:
            root: folder of the data set, which exists.
            split: name of the split, aliases replaced.
            sampling: which frames will be sampled, where clips exist in several versions.

        Raises:
            DataError: the lists are not found or malformed, or the split is unknown.
        """

    def image(self, index: int) -> Image.Image:
        """Return frame ``index`` as upright RGB.

        Raises:
            DataError: it cannot be read.
        """
        sample = self.samples[index]
        assert sample.path is not None
        assert sample.frame is not None
        if sample.clip not in self._videos:
            return read_image(sample.path)
        window = self._windows[sample.clip][sample.frame]
        return self._decode(sample.clip, window)[sample.frame].copy()

    def size(self, index: int) -> tuple[int, int]:
        """Return (width, height) of ``image(index)``.

        Raises:
            DataError: it cannot be read.
        """
        return self.image(index).size if self.samples[index].clip in self._videos else super().size(index)

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips that can be read, in order."""
        return tuple(self._clips)

    def _sample(self, clip: Clip, frames: ClipFrames) -> list[Sample]:
        """Return the sampled frames of a clip."""
        label = self._class_of(clip.label)
        if clip.name in self._clips:
            raise DataError(f"data set {self.name}: the clip '{clip.name}' is listed twice.")
        self._clips[clip.name], self.lengths[clip.name] = clip, frames.count
        if frames.index is not None:
            self._videos[clip.name] = frames.index
        samples, seen = list[Sample](), Counter[int]()
        for frame in self.sampling.choose(frames.count):
            seen[frame] += 1
            name = frames.pictures[frame] if frames.pictures else f"{frame:05d}"
            again = f"{REPEAT}{seen[frame]}" if seen[frame] > 1 else ""
            path = clip.path / name if frames.pictures else clip.path
            key = f"{clip.name}/{name}{again}"
            samples.append(Sample(key, label, path, clip.subject, None, clip.attributes, clip=clip.name, frame=frame))
        return samples

    def _class_of(self, label: str) -> str:
        if not label.strip():
            return ""
        return canonical(label) if self.any_class else require_expression(label)

    @property
    def _windows(self) -> dict[str, dict[int, tuple[int, ...]]]:
        """Clip -> frame -> the frames of its window, in order."""
        if not hasattr(self, "_window_table"):
            frames: dict[str, set[int]] = {name: set() for name in self._videos}
            for sample in self.samples:
                if sample.clip in frames and sample.frame is not None:
                    frames[sample.clip].add(sample.frame)
            self._window_table = {
                name: {
                    frame: window
                    for start in range(0, len(own), WINDOW)
                    for window in [tuple(sorted(own)[start : start + WINDOW])]
                    for frame in window
                }
                for name, own in frames.items()
            }
        return self._window_table

    def _decode_window(self, name: str, window: tuple[int, ...]) -> dict[int, Image.Image]:
        pictures = read_frames(self._clips[name].path, self._videos[name], window)
        return dict(zip(window, pictures, strict=True))

    def _notes(self) -> Iterable[str]:
        """Return sentences on the sampling, on short and on damaged clips."""
        yield f"frames of clips: {self.sampling}"
        chosen = [self.sampling.choose(count) for count in self.lengths.values()]
        repeated = sum(len(set(frames)) < len(frames) for frames in chosen)
        if repeated:
            yield (
                f"frames are scored more than once in {repeated} of {len(chosen)} clips, which are shorter than the "
                "sampling asks, or whose windows overlap"
            )
        if self.damaged:
            yield describe_damaged(self.damaged)


class SingleClip(ClipDataset):
    """The sampled frames of one clip, for what shows a clip and needs no data set."""

    name: ClassVar[str] = "clip"
    summary: ClassVar[str] = "one video, or one folder of frames"
    any_class: ClassVar[bool] = True

    @classmethod
    def list_clips(cls, root: Path, split: str, sampling: Sampling) -> Listing:  # noqa: ARG003
        """List the clip ``root``."""
        return Listing([Clip(root.name, "", root)], split)


def open_clip(path: str | Path, label: str = "", sampling: Sampling | None = None) -> SingleClip:
    """Open one clip: its samples are the sampled frames, in order.

    Args:
        path: video, or folder of frames.
        label: name of its class; "" if unknown.
        sampling: which frames are sampled; None for the default.

    Raises:
        DataError: there is no such clip, it has no frames, or it is damaged.
        PluginError: it is a video, and PyAV is not installed.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in (1, 2, 10):
        ...         Image.new("RGB", (8, 8)).save(f"{folder}/{number}.png")
        ...     clip = open_clip(folder, "happy", resolve_sampling("all"))
        >>> [Path(sample.id).name for sample in clip.samples], clip.classes
        (['1.png', '2.png', '10.png'], ('happiness',))
    """
    path = Path(path)
    frames = [each for _, each in list_all_frames([Clip(path.name, label, path)])]
    if isinstance(frames[0], DataError):
        raise frames[0]
    return SingleClip(Listing([Clip(path.name, label, path)], "all"), path, sampling)


def is_clip(path: str | Path) -> bool:
    """Return whether a path is that of a video by its name."""
    return is_video(Path(path).name)
