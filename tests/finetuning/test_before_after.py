from pathlib import Path

from PIL import Image

from interpfer.datasets import DATASETS
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.subset import Subset
from interpfer.finetuning.before_after import comparison_images


def test_images_of_the_training_split_are_not_compared(drawn: DemoDataset) -> None:
    some = Subset(drawn, range(14), "train")
    words, images = comparison_images(some, drawn, (1, 2))
    assert words.endswith("7 images not used in training; 14 more are in the training split too and are left out")
    assert images is not None
    assert [sample.id for sample in images.samples] == [sample.id for sample in drawn.samples[14:]]
    assert comparison_images(some, None, (1, 2)) == ("", None)


def test_equal_names_in_two_splits_are_two_images(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 3)):
        folder = tmp_path / split / "happy"
        folder.mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8)).save(folder / f"im{i}.png")
    train, test = (DATASETS.get("folder").open(tmp_path, split) for split in ("train", "test"))
    assert train.samples[0].id == test.samples[0].id
    words, images = comparison_images(train, test, (0,))
    assert words == "the split 'test', 3 images not used in training"
    assert images is test
