from collections.abc import Sequence
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


def test_a_picture_is_looked_at_once_whatever_its_name(tmp_path: Path) -> None:
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


def test_notes_are_remembered(tmp_path: Path) -> None:
    class Noting(Counting):
        def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
            return Landmarks.of(super().locate(ids, images).points, tuple(f"no face: {name}" for name in ids))

    provider = Noting("v1")
    cached = CachedLandmarks(provider, tmp_path / "cache.sqlite")
    first = cached.locate(["a", "b"], [picture(13), picture(2)])
    assert first.notes == cached.locate(["x", "y"], [picture(13), picture(2)]).notes == ("no face: a", "no face: b")
    assert CachedLandmarks(Counting("v2"), cached.path).locate(["a"], [picture(5)]).note(0) == ""
    assert provider.asked == ["a", "b"]


def test_another_version_of_the_provider_looks_again(tmp_path: Path) -> None:
    for digest in ("v1", "v2"):
        provider = Counting(digest)
        CachedLandmarks(provider, tmp_path / "cache.sqlite").locate(["a"], [picture(1)])
        assert provider.asked == ["a"]


def test_the_size_is_part_of_what_a_picture_shows(tmp_path: Path) -> None:
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


def test_a_cache_that_cannot_be_used_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    (tmp_path / "junk.sqlite").write_bytes(b"no database" * 100)
    for path in (tmp_path / "empty.sqlite", tmp_path / "junk.sqlite", tmp_path / "junk.sqlite" / "below"):
        found = CachedLandmarks(Counting("v1"), path).locate(["a"], [picture(5)])
        assert found.points.unique().tolist() == [5.0]
