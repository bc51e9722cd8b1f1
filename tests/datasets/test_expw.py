from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpfer.datasets.expw import ExpwDataset
from interpfer.errors import DataError
from tests.replicas import listed, picture, text

LINES = [
    "angry_actor_1.jpg 0 2 4 14 12 47.6 0",
    "angry_actor_1.jpg 1 3 20 28 11 30.1 6",
    *(f"happy {i}.jpg 0 1 1 9 9 40 3" for i in range(2, 8)),
]


def replica(root: Path, images: str = "image/origin", listing: str = "label.lst") -> None:
    text(root / listing, *LINES)
    rng = np.random.default_rng(0)
    for name in dict.fromkeys(line.rsplit(maxsplit=7)[0] for line in LINES):
        (root / images).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 30, 3), np.uint8)).save(root / images / name)


@pytest.mark.parametrize("below", [".", "ExpW", "data/ExpW"])
@pytest.mark.parametrize(
    ("images", "listing"), [("image/origin", "label.lst"), ("origin", "label/label.lst"), ("images", "label.lst")]
)
def test_faces_are_cut_out(tmp_path: Path, below: str, images: str, listing: str) -> None:
    replica(tmp_path / below, images, listing)
    dataset = ExpwDataset.open(tmp_path, "all")
    assert listed(dataset)[:3] == [
        ("angry_actor_1_face0.jpg", "anger"),
        ("angry_actor_1_face1.jpg", "neutral"),
        ("happy 2_face0.jpg", "happiness"),
    ]
    with Image.open(tmp_path / below / images / "angry_actor_1.jpg") as whole:
        assert dataset.image(0).tobytes() == whole.crop((4, 2, 14, 12)).tobytes()
        assert dataset.image(1).tobytes() == whole.crop((20, 3, 28, 11)).tobytes()
    assert dataset.size(1) == (8, 8)


def test_faces_of_a_picture_stay_together(tmp_path: Path) -> None:
    replica(tmp_path)
    test = {sample.path for sample in ExpwDataset.open(tmp_path, "test").samples}
    train = {sample.path for sample in ExpwDataset.open(tmp_path, "train").samples}
    assert {path.name for path in test if path} == {"angry_actor_1.jpg", "happy 6.jpg"}
    assert not test & train
    assert len(test | train) == 7


@pytest.mark.parametrize(
    "line", ["a.jpg 0 1 1 9 9 40 7", "a.jpg 0 1 1 9 9 40 -1", "a.jpg 0 1 1 9 40 3", "a.jpg 0 1 x 9 9 40 3"]
)
def test_a_bad_line(tmp_path: Path, line: str) -> None:
    replica(tmp_path)
    text(tmp_path / "label.lst", LINES[0], line)
    with pytest.raises(
        DataError, match=r"label\.lst, line 2: a line must be name, face, top, left, .*, got 'a.jpg 0 1"
    ):
        ExpwDataset.open(tmp_path, "all")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no label\.lst in .*mmlab"):
        ExpwDataset.open(tmp_path, "all")
    text(tmp_path / "label.lst", *LINES)
    with pytest.raises(DataError, match="neither image/origin nor origin"):
        ExpwDataset.open(tmp_path, "all")
    picture(tmp_path / "image" / "origin" / "other.jpg")
    dataset = ExpwDataset.open(tmp_path, "all")
    with pytest.raises(DataError, match="no such image file"):
        dataset.image(0)
