"""The pictures of the benchmark that is not about faces: their masks are the shapes, and their tags mislead."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.shapes import CLASSES, TAGS, draw, outline, write_shapes


@pytest.mark.parametrize("name", CLASSES)
def test_a_mask_has_the_area_and_the_centre_of_its_shape(name: str) -> None:
    points = outline(name, np.zeros(2), 1.0, 0.7)
    x, y = points.T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    known = {"circle": np.pi, "cross": 20 / 9, "square": 2.0, "triangle": 3 * np.sqrt(3) / 4}
    if name in known:
        assert area == pytest.approx(known[name], rel=0.01)
    for seed in range(4):
        image, mask = draw(name, 0, np.random.default_rng(seed))
        inside = np.asarray(mask) == 255
        assert set(np.unique(np.asarray(mask))) == {0, 255}
        radius = np.sqrt(inside.sum() / area)
        assert 7.5 < radius < 13.5
        pixels = np.asarray(image).astype(float)
        assert pixels[inside].std(0).mean() < 0.5 * pixels[~inside].std(0).mean()


def test_the_tag_goes_with_the_class_in_training_and_not_in_the_shifted_pictures(tmp_path: Path) -> None:
    write_shapes(tmp_path, {"train": 100, "shifted": 100})
    with (tmp_path / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    with (tmp_path / "masks.csv").open() as stream:
        masks = {row["image"]: row for row in csv.DictReader(stream)}
    led: dict[str, list[bool]] = {"train": [], "shifted": []}
    for row in rows:
        assert masks[row["image"]]["class"] == row["label"]
        assert (tmp_path / masks[row["image"]]["path"]).is_file()
        corner = np.asarray(Image.open(tmp_path / "images" / row["image"]))[5:8, 5:8].reshape(-1, 3).mean(0)
        tag = int(np.abs(np.array(TAGS) - corner).sum(1).argmin())
        led[row["split"]].append(CLASSES[tag] == row["label"])
    assert np.mean(led["train"]) > 0.7
    assert np.mean(led["shifted"]) < 0.35
