"""Frames of video files, read with PyAV: counted by reading, never by what a header says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from interpfer.datasets.images import existing_path
from interpfer.errors import DataError, PluginError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".avi", ".flv", ".f4v", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".ts", ".mts")
)
"""Suffixes of videos in lower case."""

MAX_PIXELS = 1 << 26
"""Most pixels of a frame; a file that claims more is refused before memory is taken."""

MISSING_SHARE, MISSING_SECONDS = 0.1, 0.5
"""Share of its stated length, and seconds beyond that, which a video may lack: headers are not exact, and sound may
last longer than pictures, but a file that was cut off lacks more."""

EXACT = frozenset(("mov,mp4,m4a,3gp,3g2,mj2",))
"""Formats whose header lists every frame, so that none may be missing."""

TIMED = EXACT | {"matroska,webm", "flv", "mpegts"}
"""Formats that store when each frame is shown; in others, such as AVI, frames are counted as they are decoded."""

LFS_POINTER = b"version https://git-lfs"

CLOSED = "cannot be decoded"


class VideoIndex(NamedTuple):
    """The frames of a video, or of a part of it, in the order in which they are shown.

    Attributes:
        times: time of each frame in units of the stream; of a video without times, the numbers of its frames.
        has_times: whether ``times`` are those of the stream, by which a frame can be sought.
    """

    times: tuple[int, ...]
    has_times: bool


def is_video(name: str) -> bool:
    """Return whether a file name has the suffix of a video.

    Examples:
        >>> is_video("00025.MP4"), is_video("00025.jpg")
        (True, False)
    """
    return f".{name.rpartition('.')[2].lower()}" in VIDEO_SUFFIXES and "." in name


@lru_cache(maxsize=1)
def load_pyav() -> Any:
    """Return the package that decodes videos.

    Raises:
        PluginError: it is not installed.
    """
    try:
        import av
        import av.logging
    except ImportError as error:
        raise PluginError(
            'videos need PyAV: pip install "interpfer[video]", or save their frames as pictures, one folder per clip.'
        ) from error
    av.logging.set_level(av.logging.PANIC)  # what is wrong with a file is said in one line of our own
    return av


def index_video(path: str | Path, start: float | None = None, end: float | None = None) -> VideoIndex:
    """Count the frames of a video, or of a part of it, without decoding them.

    Args:
        path: the file.
        start: first second of the part; None for the beginning.
        end: second at which the part ends; None for the end of the video.

    Raises:
        DataError: it is no video, has no frames there, or was cut off.
        PluginError: PyAV is not installed.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        packets = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
        known = sorted({time for time in packets if time is not None})
        has_times = container.format.name in TIMED and len(known) == len(packets)
        times = known if has_times else list(range(len(packets)))
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        unit, origin = (stream.time_base, min([stream.start_time or 0, *times[:1]])) if has_times else (1 / rate, 0)
        seconds = [(time - origin) * unit for time in times]
        _require_whole(path, container, stream, len(times), max(seconds, default=Fraction(0)))
    if not times:
        raise DataError(f"{path}: the video has no frames.")
    low, high = Fraction(start or 0), seconds[-1] + 1 if end is None else Fraction(end)
    chosen = [time for time, second in zip(times, seconds, strict=True) if low <= second < high]
    if not chosen:
        raise DataError(
            f"{path}: no frame from second {float(low):g} to {'the end' if end is None else f'{end:g}'}; the video has "
            f"{len(times)} frames, the last at {float(seconds[-1]):.2f} s."
        )
    return VideoIndex(tuple(chosen), has_times)


def read_frames(path: str | Path, index: VideoIndex, frames: Sequence[int]) -> list[Image.Image]:
    """Decode some frames of a video.

    The stream is entered at the key frame before the first of them; where that does not lead to it, at the beginning.

    Args:
        path: the file.
        index: its frames.
        frames: positions in ``index``, in any order; a position may occur twice.

    Raises:
        DataError: a frame cannot be decoded.
        PluginError: PyAV is not installed.
    """
    path = Path(path)
    wanted = {index.times[frame] for frame in frames}
    found = _decode(path, wanted, min(wanted) if index.has_times else None)
    if len(found) < len(wanted) and index.has_times:
        found = _decode(path, wanted, None, index.has_times)
    missing = [frame for frame in sorted(set(frames)) if index.times[frame] not in found]
    if missing:
        raise DataError(f"{path}: frame {missing[0]} of {len(index.times)} {CLOSED}; {len(missing)} are missing.")
    return [found[index.times[frame]] for frame in frames]


def _decode(path: Path, wanted: set[int], entry: int | None, has_times: bool = False) -> dict[int, Image.Image]:
    """Return time -> picture of the frames that can be decoded, from the key frame before ``entry`` on."""
    found: dict[int, Image.Image] = {}
    last = max(wanted)
    with _opened(path) as (container, stream):
        if entry is not None:
            container.seek(entry, stream=stream, backward=True, any_frame=False)
        for number, frame in enumerate(container.decode(stream)):
            time = frame.pts if entry is not None or has_times else number
            if time in wanted and not frame.is_corrupt:
                found[time] = _to_picture(frame)
            if time is not None and (time > last or len(found) == len(wanted)):
                break
    return found


def _to_picture(frame: Any) -> Image.Image:
    """Return a frame as upright RGB."""
    pixels = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # counter-clockwise, as numpy turns
    return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turns)))


def _require_whole(path: Path, container: Any, stream: Any, count: int, seconds: Fraction) -> None:
    """Refuse a video that was cut off.

    Raises:
        DataError: it has fewer frames, or is shorter, than its header says.
    """
    stated = stream.frames
    least = stated if container.format.name in EXACT else stated * (1 - MISSING_SHARE)
    if count < least:
        raise DataError(f"{path}: the video is damaged or was cut off: {count} of {stated} frames are there.")
    length = Fraction(container.duration or 0, 1_000_000)  # in microseconds
    if seconds < length * Fraction(1 - MISSING_SHARE) - Fraction(MISSING_SECONDS):
        raise DataError(
            f"{path}: the video is damaged or was cut off: {float(seconds):.1f} of {float(length):.1f} s are there."
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the stream of pictures of a video.

    Raises:
        DataError: the file does not exist, is no video, or is broken.
        PluginError: PyAV is not installed.
    """
    av, path = load_pyav(), existing_path(path)
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}.") from None
    if head == LFS_POINTER:
        raise DataError(f"{path}: a pointer of Git LFS, not the video: run git lfs pull in its repository.")
    if not head:
        raise DataError(f"{path}: the file is empty.")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise DataError(f"{path}: the file has no pictures, only {container.format.long_name}.")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise DataError(f"{path}: the video {CLOSED} (its codec is unknown).")
            if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
                raise DataError(f"{path}: frames of {stream.codec_context.width} x {stream.codec_context.height} px.")
            yield container, stream
    except (av.error.FFmpegError, ValueError, EOFError, LookupError, ArithmeticError, MemoryError) as error:
        raise DataError(f"{path}: the video {CLOSED} ({_cause(error)}).") from error


def _cause(error: Exception) -> str:
    """Return the message of an error without its file name and number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).partition(":")[0].strip()
