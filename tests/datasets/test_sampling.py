"""Which frames of a clip are scored, against the published loaders restated."""

import numpy as np
import pytest

from interpfer.datasets.sampling import SAMPLINGS, resolve_sampling
from interpfer.errors import InterpferError


def segments(count: int, parts: int, duration: int, pads: bool) -> list[int]:
    """Former-DFER and DFER-CLIP, as their loaders compute the frames of a test clip."""
    if count > parts + duration - 1:
        tick = (count - duration + 1) / float(parts)
        offsets = [int(tick / 2.0 + tick * x) for x in range(parts)]
    elif pads:
        offsets = np.pad(np.arange(count), (0, parts - count), "edge").tolist()
    else:
        offsets = [0] * parts
    frames = []
    for place in offsets:
        for _ in range(duration):
            frames.append(place)
            place += place < count - 1
    return frames


def strided(count: int, step: int) -> list[int]:
    """MAE-DFER and S2D: two windows of 16 frames, as their loaders cut them."""
    frames = list(range(0, count, step))
    while len(frames) < 16:
        frames.append(frames[-1])
    shift = max(1.0 * (len(frames) - 16) / (2 - 1), 0)
    return [frame for window in range(2) for frame in frames[int(window * shift) : int(window * shift) + 16]]


@pytest.mark.parametrize("count", [1, 2, 9, 10, 15, 16, 17, 33, 64, 65, 100, 399])
def test_published_samplings(count: int) -> None:
    choose = {name: resolve_sampling(name).choose(count) for name in SAMPLINGS}
    assert choose["former-dfer"] == segments(count, 8, 2, pads=False)
    assert choose["dfer-clip"] == segments(count, 16, 1, pads=True)
    for name, step in (("mae-dfer", 4), ("s2d", 1)):
        windows = strided(count, step)
        assert choose[name] == (windows[:16] if windows[:16] == windows[16:] else windows)
    assert choose["all"] == list(range(count))
    assert choose["uniform"] == [int((part + 0.5) * count / 16) for part in range(16)]
    assert all(0 <= frame < count for frames in choose.values() for frame in frames)


def test_by_hand() -> None:
    assert resolve_sampling("former-dfer", 4).choose(9) == [2, 3, 6, 7]  # t = 8 / 2 = 4: int(2), int(6)
    assert resolve_sampling("dfer-clip", 4).choose(3) == [0, 1, 2, 2]
    assert resolve_sampling("mae-dfer", 2).choose(12) == [0, 4, 4, 8]
    assert resolve_sampling("s2d", 3).choose(3) == [0, 1, 2]
    assert resolve_sampling("uniform", 3).choose(1) == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "frames", "message"),
    [
        (
            "former-dfr",
            None,
            "sampling must be one of uniform, former-dfer, .*, got 'former-dfr'. Did you mean former-dfer",
        ),
        ("uniform", 0, "frames must be at least 1, got 0"),
        ("all", 8, "sampling all takes every frame: leave out --frames"),
        ("former-dfer", 7, "pass an even --frames, got 7"),
    ],
)
def test_what_is_refused(name: str, frames: int | None, message: str) -> None:
    with pytest.raises(InterpferError, match=message):
        resolve_sampling(name, frames)
