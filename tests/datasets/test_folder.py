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
    with pytest.raises(DataError, match="has no folder per class, such as .*happy"):
        FolderDataset.open(tmp_path, "test")
    picture(tmp_path / "funny/1.png")
    with pytest.raises(DataError, match="has no folder per class"):  # one folder of an unknown name may be anything
        FolderDataset.open(tmp_path, "test")
    picture(tmp_path / "happpy/1.png")
    with pytest.raises(DataError, match="happpy: unknown expression 'happpy'. Did you mean happy"):
        FolderDataset.open(tmp_path, "test")


def test_folders_of_any_name_are_classes(tmp_path: Path) -> None:
    for name in ("train/Cat/1.png", "train/dog/1.png", "val/dog/2.png", "val/Cat/3.png", "masks/Cat/1.png"):
        picture(tmp_path / name)
    dataset = FolderDataset.open(tmp_path, "val")
    assert [(s.id, s.label) for s in dataset.samples] == [("Cat/3.png", "cat"), ("dog/2.png", "dog")]
    assert dataset.classes == ("cat", "dog")
    assert FolderDataset.available_splits(tmp_path) == ("train", "val")


def test_other_names_beside_expressions_and_folders_without_images(tmp_path: Path) -> None:
    for name in ("images/happy/1.png", "images/boredom/p1/2.png", "masks/happy/1.png", "masks/boredom/1.png"):
        picture(tmp_path / name)
    (tmp_path / "images/notes").mkdir()
    dataset = FolderDataset.open(tmp_path, "test")
    assert {s.id: s.label for s in dataset.samples} == {"happy/1.png": "happiness", "boredom/p1/2.png": "boredom"}
    assert dataset.classes == ("happiness", "boredom")


def test_numbers_are_no_classes(tmp_path: Path) -> None:
    picture(tmp_path / "0/1.png")
    picture(tmp_path / "1/1.png")
    with pytest.raises(DataError, match="0: '0' is a number, not the name of a class"):
        FolderDataset.open(tmp_path, "test")


def test_another_split_than_the_folders(tmp_path: Path) -> None:
    picture(tmp_path / "train/happy/1.png")
    with pytest.raises(DataError, match="has no split 'test'. Known: train"):
        FolderDataset.open(tmp_path, "test")


def test_leftovers_and_folders_between_the_root_and_the_classes(tmp_path: Path) -> None:
    for name in ("Training/images/Happy/1.png", "Training/images/Sad/1.png", "Testing/Happy/2.png"):
        picture(tmp_path / "archive" / name)
    for leftover in ("__MACOSX/Training/Happy/._1.png", "archive/Testing/Happy/._2.png", "archive/Testing/.DS_Store"):
        (tmp_path / leftover).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / leftover).write_bytes(b"leftover")
    assert FolderDataset.available_splits(tmp_path) == ("test", "train")
    train, test = (FolderDataset.open(tmp_path, split) for split in ("train", "test"))
    assert [(s.id, s.label) for s in train.samples] == [("Happy/1.png", "happiness"), ("Sad/1.png", "sadness")]
    assert [(s.id, s.path) for s in test.samples] == [("Happy/2.png", tmp_path / "archive/Testing/Happy/2.png")]
    assert (train.split, test.split) == ("train", "test")
    with pytest.raises(DataError, match="has no split 'val'. Known: test, train"):
        FolderDataset.open(tmp_path, "val")


def test_a_folder_images_without_splits(tmp_path: Path) -> None:
    picture(tmp_path / "images/happy/1.png")
    (tmp_path / "__MACOSX/images/happy").mkdir(parents=True)
    dataset = FolderDataset.open(tmp_path, "test")
    assert [s.id for s in dataset.samples] == ["happy/1.png"]
    assert (dataset.split, dataset.left_out) == ("all", {})
    assert FolderDataset.available_splits(tmp_path) == ("all",)


@pytest.mark.parametrize(("first", "second"), [("a/happy", "b/happy"), ("a/test/happy", "b/test/happy")])
def test_two_sets_in_one_folder_are_not_one(tmp_path: Path, first: str, second: str) -> None:
    picture(tmp_path / first / "1.png")
    picture(tmp_path / second / "1.png")
    places = [str((tmp_path / place).parent) for place in (first, second)]
    with pytest.raises(DataError) as error:
        FolderDataset.open(tmp_path, "test")
    assert str(error.value) == (
        f"data set folder: {places[0]} and {places[1]} both contain folders per class; pass one of them with "
        "--data-root."
    )


def test_every_file_is_listed_by_suffix_or_content(tmp_path: Path) -> None:
    folder = tmp_path / "happy"
    picture(folder / "a.png")
    Image.new("RGB", (4, 4), "red").save(folder / "b.avif")
    Image.new("RGB", (4, 4)).save(folder / "c", "jpeg")
    Image.new("RGB", (4, 4)).save(folder / "d.jpg_large", "jpeg")
    (folder / "e.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (folder / "f.jxl").write_bytes(b"\xff\x0a\0\0")
    (folder / "g").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0")
    for name in ("notes.txt", "labels.json", "Thumbs.db", ".DS_Store"):
        (folder / name).write_text("no image")
    dataset = FolderDataset.open(tmp_path, "test")
    assert [s.id for s in dataset.samples] == [
        f"happy/{name}" for name in ("a.png", "b.avif", "c", "d.jpg_large", "e.HEIC", "f.jxl", "g")
    ]
    assert dataset.left_out == {"not an image": 2}
    assert dataset.size(1) == dataset.image(1).size == (4, 4)
    for index, cause in ((4, "HEIC"), (5, "JPEG XL"), (6, "HEIC")):
        with pytest.raises(DataError) as error:
            dataset.image(index)
        path = dataset.samples[index].path
        assert str(error.value) == f"{path}: not a readable image ({cause}: convert it to JPEG or PNG)."


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    with pytest.raises(DataError, match="the split 'all' of .* contains no images"):
        FolderDataset.open(tmp_path, "test")


def test_it_is_registered() -> None:
    assert DATASETS.get("folder") is FolderDataset
