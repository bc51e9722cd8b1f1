"""Which frames of a clip are scored: published samplings by name."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from interpfer.errors import InterpferError, nearest

FRAMES = 16
"""Frames of a clip, as Former-DFER, DFER-CLIP, MAE-DFER and S2D take them."""

DEFAULT_SAMPLING = "uniform"

STEP = 4
"""Step between the frames of MAE-DFER."""


def uniform(count: int, frames: int) -> list[int]:
    """Return the middle of each of ``frames`` equal parts of a clip; short clips repeat frames evenly.

    Examples:
        >>> uniform(40, 4), uniform(2, 4)
        ([5, 15, 25, 35], [0, 0, 1, 1])
    """
    return [(2 * part + 1) * count // (2 * frames) for part in range(frames)]


def former_dfer(count: int, frames: int) -> list[int]:
    """Return two neighbours from the middle of each of ``frames / 2`` parts, as Former-DFER tests.

    Clips of no more than ``frames / 2 + 1`` frames repeat their first two.

    Examples:
        >>> former_dfer(101, 4), former_dfer(3, 4)
        ([25, 26, 75, 76], [0, 1, 0, 1])
    """
    parts = frames // 2
    step = (count - 1) / parts
    starts = [int(step / 2 + step * part) if count > parts + 1 else 0 for part in range(parts)]
    return [min(frame, count - 1) for start in starts for frame in (start, start + 1)]


def dfer_clip(count: int, frames: int) -> list[int]:
    """Return the middle of each of ``frames`` parts, as DFER-CLIP tests; short clips are padded with the last frame.

    Examples:
        >>> dfer_clip(40, 4), dfer_clip(2, 4)
        ([5, 15, 25, 35], [0, 1, 1, 1])
    """
    return uniform(count, frames) if count > frames else windows(count, frames, 1)


def mae_dfer(count: int, frames: int) -> list[int]:
    """Return every fourth frame in a first and a last window of ``frames``, as MAE-DFER tests.

    Examples:
        >>> mae_dfer(16, 4), mae_dfer(24, 4)
        ([0, 4, 8, 12], [0, 4, 8, 12, 8, 12, 16, 20])
    """
    return windows(count, frames, STEP)


def s2d(count: int, frames: int) -> list[int]:
    """Return a first and a last window of ``frames`` neighbours, as S2D tests; a clip of 16 frames is one window.

    Examples:
        >>> s2d(4, 4), s2d(6, 4)
        ([0, 1, 2, 3], [0, 1, 2, 3, 2, 3, 4, 5])
    """
    return windows(count, frames, 1)


def windows(count: int, frames: int, step: int) -> list[int]:
    """Return the first and the last window of ``frames`` of every ``step``-th frame; one where both are the same.

    Clips that are shorter than a window are padded with their last frame.

    Examples:
        >>> windows(3, 4, 1)
        [0, 1, 2, 2]
    """
    kept = list(range(0, count, step))
    kept += [kept[-1]] * (frames - len(kept))
    return kept if len(kept) == frames else kept[:frames] + kept[-frames:]


def all_frames(count: int, frames: int) -> list[int]:  # noqa: ARG001
    """Return all frames.

    Examples:
        >>> all_frames(3, 16)
        [0, 1, 2]
    """
    return list(range(count))


class Sampling(NamedTuple):
    """How frames of a clip are chosen.

    Attributes:
        name: one of ``SAMPLINGS``.
        frames: frames of a clip, or of each window of it; the number does not matter to "all".
    """

    name: str = DEFAULT_SAMPLING
    frames: int = FRAMES

    def choose(self, count: int) -> list[int]:
        """Return the frames of a clip of ``count``, counted from 0, in the order in which they are scored."""
        return SAMPLINGS[self.name](count, self.frames)

    def __str__(self) -> str:
        return self.name if self.name == "all" else f"{self.name}, {self.frames} frames"


Choose = Callable[[int, int], list[int]]

SAMPLINGS: Mapping[str, Choose] = {
    "uniform": uniform,
    "former-dfer": former_dfer,
    "dfer-clip": dfer_clip,
    "mae-dfer": mae_dfer,
    "s2d": s2d,
    "all": all_frames,
}
"""Value of ``--sampling`` -> function of the number of frames of a clip and ``--frames``."""


def resolve_sampling(name: str | None = None, frames: int | None = None) -> Sampling:
    """Return a sampling by its name.

    Args:
        name: one of ``SAMPLINGS``; None for the default.
        frames: frames of a clip, or of each window; None for 16.

    Raises:
        InterpferError: the name is unknown, or the number of frames does not suit it.

    Examples:
        >>> str(resolve_sampling("mae-dfer")), resolve_sampling(frames=2).choose(8)
        ('mae-dfer, 16 frames', [2, 6])
    """
    name = DEFAULT_SAMPLING if name is None else name.strip().lower()
    if name not in SAMPLINGS:
        raise InterpferError(f"sampling must be one of {', '.join(SAMPLINGS)}, got '{name}'.{nearest(name, SAMPLINGS)}")
    if frames is not None and frames < 1:
        raise InterpferError(f"frames must be at least 1, got {frames}.")
    if name == "all" and frames is not None:
        raise InterpferError("sampling all takes every frame: leave out --frames, or pass another --sampling.")
    if name == "former-dfer" and frames is not None and frames % 2:
        raise InterpferError(f"sampling former-dfer takes pairs of neighbours: pass an even --frames, got {frames}.")
    return Sampling(name, FRAMES if frames is None else frames)
