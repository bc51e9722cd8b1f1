"""Frames of videos: those that were written, and what is damaged."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.clip_dataset import open_clip
from interpfer.datasets.sampling import resolve_sampling
from interpfer.datasets.videos import VideoIndex, index_video, load_pyav, read_frames
from interpfer.errors import DataError, PluginError
from tests.replicas import video

COUNT = 30


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Frames of random colours in blocks, each of another shade."""
    rng = np.random.default_rng(0)
    return [np.kron(rng.integers(0, 255, (4, 6, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(COUNT)]


LOSSLESS = [("png.mov", "png", "rgb24"), ("raw.avi", "rawvideo", "bgr24"), ("ffv1.mkv", "ffv1", "bgr0")]


@pytest.mark.parametrize(("name", "codec", "pixels"), LOSSLESS)
def test_lossless_videos_are_read_to_the_byte(
    tmp_path: Path, frames: list[np.ndarray], name: str, codec: str, pixels: str
) -> None:
    path = video(tmp_path / name, frames, codec, pixels)
    index = index_video(path)
    assert len(index.times) == COUNT
    for wanted in ([0], [29, 3, 3], range(COUNT)):
        read = read_frames(path, index, wanted)
        assert [np.array_equal(picture, frames[frame]) for picture, frame in zip(read, wanted, strict=True)] == [
            True for _ in wanted
        ]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("b.avi", "libx264"), ("c.flv", "flv1"), ("d.avi", "mpeg4"), ("e.webm", "libvpx-vp9")],
)
def test_frames_of_lossy_videos_are_those_that_were_asked_for(
    tmp_path: Path, frames: list[np.ndarray], name: str, codec: str
) -> None:
    path = video(tmp_path / name, frames, codec, "yuv420p")
    index = index_video(path)
    read = read_frames(path, index, [17, 4])
    errors = [[np.abs(np.asarray(one, float) - other).mean() for other in frames] for one in read]
    assert [int(np.argmin(row)) for row in errors] == [17, 4]


def test_a_part_of_a_video(tmp_path: Path, frames: list[np.ndarray]) -> None:
    for name, codec, pixels in LOSSLESS[:2]:  # with times, and by the rate
        path = video(tmp_path / name, frames, codec, pixels, rate=10)
        part = index_video(path, start=1.0, end=2.0)
        assert len(part.times) == 10
        assert np.array_equal(read_frames(path, part, [0])[0], frames[10])
        with pytest.raises(DataError, match=r"no frame from second 4 to the end; .* 30 frames, the last at 2\.90 s"):
            index_video(path, start=4)


def test_a_seek_that_leads_nowhere_ends_at_the_beginning(tmp_path: Path, frames: list[np.ndarray]) -> None:
    path = video(tmp_path / "a.mp4", frames, "libx264", "yuv420p")
    index = index_video(path)
    with pytest.raises(DataError, match="frame 0 of 1 cannot be decoded; 1 are missing"):
        read_frames(path, VideoIndex((index.times[-1] + 1,), True), [0])


@pytest.mark.parametrize(("name", "codec", "pixels"), [*LOSSLESS, ("a.mp4", "libx264", "yuv420p")])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_video_that_was_cut_off(
    tmp_path: Path, frames: list[np.ndarray], name: str, codec: str, pixels: str, share: float
) -> None:
    whole = video(tmp_path / name, frames * 2, codec, pixels).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"{name}: (the video (is damaged or was cut off|cannot be decoded)|frame \d)"):
        read_frames(tmp_path / name, index_video(tmp_path / name), [0])


def test_what_is_no_video(tmp_path: Path) -> None:
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"no video " * 100,
        "stub.flv": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }
    reasons = {
        "empty.mp4": "empty.mp4: the file is empty",
        "text.mp4": "text.mp4: the video cannot be decoded",
        "stub.flv": "a pointer of Git LFS, not the video: run git lfs pull in its repository",
        "none.mp4": "none.mp4: No such file",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name, reason in reasons.items():
        with pytest.raises(DataError, match=reason):
            index_video(tmp_path / name)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"anything")
    load_pyav.cache_clear()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PluginError, match=r'videos need PyAV: pip install "interpfer\[video\]", or save their frames'):
        index_video(tmp_path / "a.mp4")
    monkeypatch.undo()
    load_pyav.cache_clear()


def test_one_clip(tmp_path: Path, frames: list[np.ndarray]) -> None:
    path = video(tmp_path / "a.mov", frames, "png", "rgb24", rate=Fraction(25))
    clip = open_clip(path, "happy", resolve_sampling("uniform", 3))
    assert [(sample.id, sample.clip, sample.frame) for sample in clip.samples] == [
        ("a.mov/00005", "a.mov", 5),
        ("a.mov/00015", "a.mov", 15),
        ("a.mov/00025", "a.mov", 25),
    ]
    assert np.array_equal(clip.image(1), frames[15])
    assert clip.size(1) == (48, 32)
    with pytest.raises(DataError, match="b.mov: no such video or folder of frames"):
        open_clip(tmp_path / "b.mov")
