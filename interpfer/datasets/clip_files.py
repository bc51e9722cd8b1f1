"""Clips of a data set: what is listed, and the frames of their folders and videos."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from interpfer.datasets.discovery import image_names
from interpfer.datasets.frames import order_pictures
from interpfer.datasets.videos import VideoIndex, index_video, is_video
from interpfer.errors import DataError
from interpfer.files import exists

DAMAGED = "clips that cannot be read"
"""Reason in ``left_out``."""

SHOWN = 5
"""Damaged clips that a note names."""

READERS = 8
"""Threads that count frames: most of the time they wait for files."""


@dataclass(frozen=True)
class Clip:
    """A clip of a data set.

    Attributes:
        name: name within the data set.
        label: name of its class in any spelling; "" if unknown.
        path: video, or folder of frames.
        subject: the person; None if unknown.
        attributes: what else the data set states of the clip: column -> text.
        start: second of the video at which it begins; None for its beginning.
        end: second at which it ends; None for the end of the video.
    """

    name: str
    label: str
    path: Path
    subject: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    start: float | None = None
    end: float | None = None


class Listing(NamedTuple):
    """The clips of a split.

    Attributes:
        clips: in the order in which they are scored.
        split: name of the split.
        notes: sentences to report with every result.
        damaged: name of a clip that is listed and cannot be used -> reason.
        left_out: reason -> number of other clips that are listed and no samples.
    """

    clips: Sequence[Clip]
    split: str
    notes: tuple[str, ...] = ()
    damaged: Mapping[str, str] = {}
    left_out: Mapping[str, int] = {}


@dataclass(frozen=True)
class ClipFrames:
    """The frames of a clip, in the order in which they are shown.

    Attributes:
        count: number of frames.
        pictures: files of the frames; empty for a video.
        index: where the frames of a video lie; None for pictures.
    """

    count: int
    pictures: tuple[str, ...] = ()
    index: VideoIndex | None = None


def describe_damaged(damaged: Mapping[str, str]) -> str:
    """Return a sentence on clips that cannot be read.

    Examples:
        >>> describe_damaged({"00012": "no frames."})
        'left out: 1 clips that cannot be read, such as 00012 (no frames)'
    """
    listed = "; ".join(f"{name} ({reason.rstrip('.')})" for name, reason in list(damaged.items())[:SHOWN])
    return f"left out: {len(damaged)} {DAMAGED}, such as {listed}"


def list_frames(clip: Clip) -> ClipFrames:
    """Return the frames of a clip: pictures of a folder by the number in their name, or those of a video.

    Raises:
        DataError: there is no such file or folder, it holds no frame, or the video is damaged.
        PluginError: it is a video, and PyAV is not installed.
    """
    if exists(clip.path) and clip.path.is_dir():
        if clip.start is not None or clip.end is not None:
            raise DataError(f"{clip.path}: start and end are seconds of a video, and this is a folder of frames.")
        pictures = order_pictures(image_names(clip.path), str(clip.path))
        if not pictures:
            raise DataError(f"{clip.path}: the folder has no pictures.")
        return ClipFrames(len(pictures), tuple(pictures))
    if not exists(clip.path):
        raise DataError(f"{clip.path}: no such video or folder of frames.")
    if not is_video(clip.path.name):
        raise DataError(f"{clip.path}: not a video by its name, and no folder of frames.")
    index = index_video(clip.path, clip.start, clip.end)
    return ClipFrames(len(index.times), (), index)


def list_all_frames(clips: Sequence[Clip]) -> Iterator[tuple[Clip, ClipFrames | DataError]]:
    """Yield each clip with its frames, or with why it cannot be read; files are read in several threads.

    Raises:
        PluginError: there are videos, and PyAV is not installed.
    """
    with ThreadPoolExecutor(READERS) as pool:
        yield from zip(clips, pool.map(_try_to_list, clips), strict=True)


def _try_to_list(clip: Clip) -> ClipFrames | DataError:
    try:
        return list_frames(clip)
    except DataError as error:
        return error
