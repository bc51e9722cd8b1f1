import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from PIL import Image

from interpfer.landmarks.cache import CachedLandmarks
from interpfer.types import Landmarks


class Counting:
    name: ClassVar[str] = "counting"
    summary: ClassVar[str] = ""
    needs_images: ClassVar[bool] = True

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.asked: list[str] = []

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        assert images is not None
        self.asked += ids
        points = torch.stack([torch.full((68, 2), float(image.getpixel((0, 0))[0])) for image in images])
        points[[image.getpixel((0, 0))[0] == 13 for image in images]] = torch.nan
        return Landmarks.of(points)


def picture(value: int) -> Image.Image:
    return Image.new("RGB", (5, 7), (value, 0, 0))


def test_the_same_pixels_are_computed_once_whatever_the_name(tmp_path: Path) -> None:
    provider = Counting("v1")
    cached = CachedLandmarks(provider, tmp_path / "folder" / "cache.sqlite")
    first = cached.locate(["a", "b", "none"], [picture(1), picture(2), picture(13)])
    again = CachedLandmarks(provider, cached.path).locate(
        ["x", "new", "y", "z"], [picture(13), picture(3), picture(2), picture(1)]
    )
    assert provider.asked == ["a", "b", "none", "new"]
    assert again.found.tolist() == [False, True, True, True]
    assert again.points[[3, 2]].equal(first.points[:2])
    assert again.points[1].unique().tolist() == [3.0]
    assert len(cached.locate([], []).points) == 0


def test_notes_are_cached(tmp_path: Path) -> None:
    class Noting(Counting):
        def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
            return Landmarks.of(super().locate(ids, images).points, tuple(f"no face: {name}" for name in ids))

    provider = Noting("v1")
    cached = CachedLandmarks(provider, tmp_path / "cache.sqlite")
    first = cached.locate(["a", "b"], [picture(13), picture(2)])
    assert first.notes == cached.locate(["x", "y"], [picture(13), picture(2)]).notes == ("no face: a", "no face: b")
    assert CachedLandmarks(Counting("v2"), cached.path).locate(["a"], [picture(5)]).note(0) == ""
    assert provider.asked == ["a", "b"]


def test_another_digest_of_the_provider_is_computed_again(tmp_path: Path) -> None:
    for digest in ("v1", "v2"):
        provider = Counting(digest)
        CachedLandmarks(provider, tmp_path / "cache.sqlite").locate(["a"], [picture(1)])
        assert provider.asked == ["a"]


def test_pictures_of_other_sizes_are_different_pictures(tmp_path: Path) -> None:
    provider = Counting("v1")
    cached = CachedLandmarks(provider, tmp_path / "cache.sqlite")
    cached.locate(["a", "b"], [Image.new("RGB", (4, 6)), Image.new("RGB", (6, 4))])
    assert provider.asked == ["a", "b"]


@pytest.mark.parametrize("count", [1, 600])
def test_large_batches(tmp_path: Path, count: int) -> None:
    provider = Counting("v1")
    cached = CachedLandmarks(provider, tmp_path / "cache.sqlite")
    pictures = [Image.new("RGB", (2, 2), (1, i % 256, i // 256)) for i in range(count)]
    cached.locate([str(i) for i in range(count)], pictures)
    cached.locate([str(i) for i in range(count)], pictures)
    assert len(provider.asked) == count


def test_every_connection_is_closed_also_in_threads_and_on_a_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Connection(sqlite3.Connection):
        closed = False

        def close(self) -> None:
            super().close()
            self.closed = True

    connections: list[Connection] = []
    connect = sqlite3.connect

    def tracked(path: Path, timeout: float) -> Connection:
        connections.append(connect(path, timeout=timeout, factory=Connection))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", tracked)
    (tmp_path / "junk.sqlite").write_bytes(b"no database" * 100)
    for name in ("cache.sqlite", "junk.sqlite"):
        cached = CachedLandmarks(Counting("v1"), tmp_path / name)
        cached.locate(["a"], [picture(1)])
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda shade, cached=cached: cached.locate(["b"], [picture(shade)]), range(1, 5)))
    assert len(connections) > 4
    assert all(connection.closed for connection in connections)


def test_a_cache_that_cannot_be_used_changes_no_result(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    (tmp_path / "junk.sqlite").write_bytes(b"no database" * 100)
    for path in (tmp_path / "empty.sqlite", tmp_path / "junk.sqlite", tmp_path / "junk.sqlite" / "below"):
        found = CachedLandmarks(Counting("v1"), path).locate(["a"], [picture(5)])
        assert found.points.unique().tolist() == [5.0]
