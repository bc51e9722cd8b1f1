from pathlib import Path

import pytest
from PIL import Image

from interpfer.datasets import DATASETS
from interpfer.datasets.folder import FolderDataset
from interpfer.errors import DataError


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def test_splits_are_folders(tmp_path: Path) -> None:
    for name in ("train/happy/1.png", "train/Sad/ß.PNG", "test/happy/deep/2.png", "test/happy/1.png"):
        picture(tmp_path / name)
    (tmp_path / "test/happy/notes.txt").write_text("no image")
    (tmp_path / "test/readme.md").write_text("no class")
    (tmp_path / "test/.cache").mkdir()
    train, test = (FolderDataset.open(tmp_path, split) for split in ("train", "test"))
    assert [(s.id, s.label) for s in train.samples] == [("Sad/ß.PNG", "sadness"), ("happy/1.png", "happiness")]
    assert [s.id for s in test.samples] == ["happy/1.png", "happy/deep/2.png"]
    assert test.classes == ("happiness",)
    assert test.image(1).size == test.size(1) == (4, 4)


def test_without_a_folder_of_the_split_all_images_belong_to_it(tmp_path: Path) -> None:
    picture(tmp_path / "fear/1.jpg")
    assert FolderDataset.open(tmp_path, "val").samples[0].id == "fear/1.jpg"


def test_synonymous_folders_are_one_class(tmp_path: Path) -> None:
    picture(tmp_path / "happy/1.png")
    picture(tmp_path / "happiness/1.png")
    dataset = FolderDataset.open(tmp_path, "test")
    assert [s.label for s in dataset.samples] == ["happiness"] * 2
    assert len({s.id for s in dataset.samples}) == 2


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder per expression, such as .*happy"):
        FolderDataset.open(tmp_path, "test")
    picture(tmp_path / "funny/1.png")
    with pytest.raises(DataError, match="funny: unknown expression 'funny'"):
        FolderDataset.open(tmp_path, "test")


def test_another_split_than_the_folders(tmp_path: Path) -> None:
    picture(tmp_path / "train/happy/1.png")
    with pytest.raises(DataError, match="has no split 'test'. Known: train"):
        FolderDataset.open(tmp_path, "test")


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    with pytest.raises(DataError, match="the split 'all' of .* contains no images"):
        FolderDataset.open(tmp_path, "test")


def test_it_is_registered() -> None:
    assert DATASETS.get("folder") is FolderDataset
