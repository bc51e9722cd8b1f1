from pathlib import Path

from PIL import Image

from interpfer.datasets import DATASETS
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.duplicates import read_contents
from interpfer.datasets.subset import Subset
from interpfer.finetuning.before_after import comparison_images


def test_images_of_the_training_split_are_not_compared(drawn: DemoDataset) -> None:
    some = Subset(drawn, range(14), "train")
    words, images = comparison_images(some, drawn, (1, 2), {})
    assert words.endswith("7 images not used in training; 14 more are in the training split too and are left out")
    assert images is not None
    assert [sample.id for sample in images.samples] == [sample.id for sample in drawn.samples[14:]]
    assert comparison_images(some, None, (1, 2), {}) == ("", None)


def test_equal_names_in_two_splits_are_two_images(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 3)):
        folder = tmp_path / split / "happy"
        folder.mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8)).save(folder / f"im{i}.png")
    train, test = (DATASETS.get("folder").open(tmp_path, split) for split in ("train", "test"))
    assert train.samples[0].id == test.samples[0].id
    words, images = comparison_images(train, test, (0,), {})
    assert words == "the split 'test', 3 images not used in training"
    assert images is test


def test_copies_of_training_images_are_told_by_their_pixels(tmp_path: Path) -> None:
    for split, shades in (("train", (10, 20)), ("test", (20, 30, 40))):
        folder = tmp_path / split / "happy"
        folder.mkdir(parents=True)
        for shade in shades:
            Image.new("RGB", (8, 8), (shade,) * 3).save(folder / f"{split}{shade}.png")
    Image.new("RGB", (4, 16), (10,) * 3).save(tmp_path / "test" / "happy" / "tall.png")  # same bytes, another shape
    train, test = (DATASETS.get("folder").open(tmp_path, split) for split in ("train", "test"))
    faces = read_contents(train, (0, 1))
    contents = {key: train.samples[row].id for row, key in faces.items()}
    words, images = comparison_images(train, test, (0,), contents)
    assert words == (
        "the split 'test', 3 images not used in training; left out with the same pixels as a training image: 1 "
        "(happy/test20.png = happy/train20.png)"
    )
    assert images is not None
    assert [sample.id for sample in images.samples] == ["happy/tall.png", "happy/test30.png", "happy/test40.png"]


def test_where_all_are_copies_the_held_out_images_are_compared(drawn: DemoDataset) -> None:
    some, others = Subset(drawn, range(14), "train"), Subset(drawn, range(14, 21), "test")
    contents = dict.fromkeys(read_contents(others, range(7)).values(), "a")
    words, images = comparison_images(some, others, (1, 2), contents)
    assert words.startswith("the 2 held-out images")
    assert images is not None
    assert images.split == "held-out"
