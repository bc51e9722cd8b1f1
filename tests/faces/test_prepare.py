"""Reports of prepare on faces that were not found, and on doubtful ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from interpfer.datasets.csv import CsvDataset
from interpfer.faces.prepare import MAX_TILES, PreparedLandmarks, prepare
from interpfer.landmarks.cache import CachedLandmarks
from interpfer.landmarks.points import MEAN_FACE
from interpfer.landmarks.sheet import COLUMNS, TILE, Block, Tile, draw_sheet
from interpfer.types import Landmarks

NOTES = {
    40: "no face",
    80: "low confidence: 0.55 < 0.7",
    120: "several faces: 2, and none is clearly the largest",
    160: "several faces: took the largest of 2",
}
"""Shade of a picture -> its note."""


class Noting:
    name: ClassVar[str] = "noting"
    summary: ClassVar[str] = ""
    needs_images: ClassVar[bool] = True
    digest = "v1"
    asked = 0

    def locate(self, ids: Sequence[str], images: Sequence[Image.Image] | None) -> Landmarks:
        assert images is not None
        self.asked += len(ids)
        shades = [image.getpixel((0, 0))[0] for image in images]
        points = (torch.tensor(MEAN_FACE) / 10 + 10).repeat(len(ids), 1, 1)
        points[[shade < 160 for shade in shades]] = torch.nan
        return Landmarks.of(points, tuple(NOTES.get(shade, "") for shade in shades))


@pytest.fixture
def dataset(tmp_path: Path) -> CsvDataset:
    lines = ["image,label"]
    for shade in (200, 40, 80, 120, 160):
        Image.new("RGB", (20, 30), (shade, 0, 0)).save(tmp_path / f"{shade}.png")
        lines.append(f"{shade}.png,happy")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "broken.png,sad", "absent.png,sad"]))
    return CsvDataset.open(tmp_path, "test")


def test_every_reason_is_listed_and_a_second_run_repeats_them(dataset: CsvDataset, tmp_path: Path) -> None:
    provider = Noting()
    runs: list[tuple[PreparedLandmarks, pd.DataFrame]] = []
    for name in ("first", "second"):
        cached = CachedLandmarks(provider, tmp_path / "cache.sqlite")
        done = prepare(dataset, cached, tmp_path / name / "landmarks.txt")
        runs.append((done, pd.read_csv(done.failures, keep_default_na=False)))
    assert provider.asked == 5  # the second run reads the cache, with its notes
    (first, listed), (second, again) = runs
    assert (first.failed, first.doubtful) == (second.failed, second.doubtful)
    pd.testing.assert_frame_equal(listed, again)
    assert first.found == 2
    assert set(zip(listed["image"], listed["kind"], listed["reason"], strict=True)) == {
        ("broken.png", "failed", "unreadable image"),
        ("absent.png", "failed", "unreadable image"),
        ("40.png", "failed", "no face"),
        ("80.png", "failed", "low confidence"),
        ("120.png", "failed", "several faces"),
        ("160.png", "doubtful", "several faces"),
    }
    assert first.failed["absent.png"] == "unreadable image: no such image file."
    assert listed.set_index("image").loc["80.png", "detail"] == "0.55 < 0.7"
    assert json.loads(first.counts.read_text()) == {
        "images": 7,
        "found": 2,
        "failed": {"unreadable image": 2, "no face": 1, "low confidence": 1, "several faces": 1},
        "doubtful": {"several faces": 1},
    }


def tiles(count: int, note: str = "", found: bool = True) -> list[Tile]:
    points = np.random.default_rng(0).uniform(20, 80, (68, 2)) if found else None
    return [Tile(f"image_{i}.png", Image.new("RGB", (100, 120), "white"), points, note) for i in range(count)]


def test_the_sheet_shows_points_frames_and_text() -> None:
    sheet = np.asarray(draw_sheet("title", [Block("failed: 1", "#ff0000", tiles(1, "no face", found=False))]))
    plain = np.asarray(draw_sheet("title", [Block("found: 1", "#00ff00", tiles(1))]))
    assert (sheet == (255, 0, 0)).all(2).sum() > 4 * TILE
    assert (plain == (0, 230, 118)).all(2).sum() > 300  # points
    assert not (sheet == (0, 230, 118)).all(2).any()
    assert sheet.shape[0] > plain.shape[0]  # a line for the note


@pytest.mark.parametrize("name", ["a" * 300, "表情/grüße.png", "a b c"])
def test_a_tile_without_a_picture_and_names_of_any_kind(name: str) -> None:
    some = Tile(name, None, None, "unreadable image " + "word " * 60)
    tall = draw_sheet("title", [Block("failed: 1", "#ff0000", [some])])
    assert tall.height < 3 * TILE
    assert draw_sheet("title", [Block("failed: 0", "#ff0000", [])]).height < TILE


def test_the_size_of_the_sheet_is_limited(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (40, 0, 0)).save(tmp_path / "40.png")
    lines = ["image,label", *(f"{i}.png,happy" for i in range(100))]
    for i in range(100):
        Image.new("RGB", (9, 9), (40 if i % 2 else 200, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    done = prepare(CsvDataset.open(tmp_path, "test"), Noting(), tmp_path / "out.txt")
    with Image.open(done.sheet) as sheet:
        assert sheet.height < (MAX_TILES["failed"] + MAX_TILES["found"]) / COLUMNS * 1.5 * TILE
