import time
from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.rafdb import ORDER, RafDbDataset, infer_numbering
from interpfer.errors import DataError
from interpfer.landmarks.files import FileLandmarks
from tests.replicas import listed, picture, points, text

LABELS = {"train_00001": 5, "train_00002": 1, "test_0001": 4, "test_0002": 7, "test_0003": 6}
TEST = [("test_0001.jpg", "happiness"), ("test_0002.jpg", "neutral"), ("test_0003.jpg", "anger")]
TRAIN = [("train_00001.jpg", "sadness"), ("train_00002.jpg", "surprise")]
COUNTS = (329, 74, 160, 1185, 478, 162, 680)
AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")


def official(basic: Path, images: str = "Image/aligned", ending: str = "_aligned.jpg") -> Path:
    text(basic / "EmoLabel" / "list_patition_label.txt", *(f"{stem}.jpg {label}" for stem, label in LABELS.items()))
    for stem in LABELS:
        picture(basic / images / f"{stem}{ending}", (10, 10))
    return basic


@pytest.mark.parametrize("below", [".", "basic", "RAF-DB/basic", "data/RAF-DB/basic"])
def test_the_official_layout_under_any_root(tmp_path: Path, below: str) -> None:
    official(tmp_path / below)
    dataset = RafDbDataset.open(tmp_path, "test")
    assert listed(dataset) == TEST
    assert listed(RafDbDataset.open(tmp_path, "train")) == TRAIN
    assert dataset.image(0).size == dataset.size(0) == (10, 10)
    assert dataset.classes == ("anger", "happiness", "neutral")


@pytest.mark.parametrize(
    ("images", "ending"),
    [("Image/aligned/aligned", "_aligned.jpg"), ("aligned", "_aligned.png"), ("Image/original", ".jpg")],
)
def test_where_the_images_may_lie(tmp_path: Path, images: str, ending: str) -> None:
    official(tmp_path, images, ending)
    dataset = RafDbDataset.open(tmp_path, "test")
    assert listed(dataset) == TEST
    assert dataset.samples[0].path == tmp_path / images / f"test_0001{ending}"
    dataset.image(2)


def test_aligned_images_come_before_original_ones(tmp_path: Path) -> None:
    official(tmp_path, "Image/original", ".jpg")
    official(tmp_path)
    path = RafDbDataset.open(tmp_path, "test").samples[0].path
    assert path is not None
    assert path.name == "test_0001_aligned.jpg"


@pytest.mark.parametrize("below", [".", "DATASET", "raf/DATASET"])
@pytest.mark.parametrize("spelling", [str, lambda label: ORDER[label - 1], lambda label: ORDER[label - 1].title()])
def test_folders_per_class(tmp_path: Path, below: str, spelling: type[str]) -> None:
    for stem, label in LABELS.items():
        picture(tmp_path / below / stem.partition("_")[0] / spelling(label) / f"{stem}_aligned.jpg")
    assert listed(RafDbDataset.open(tmp_path, "test")) == TEST
    assert listed(RafDbDataset.open(tmp_path, "train")) == TRAIN


def folders(root: Path, order: tuple[str, ...], first: int, divide: int) -> None:
    published = dict(zip(ORDER, COUNTS, strict=True))
    for number, name in enumerate(order, first):
        for i in range(published[name] // divide):
            picture(root / "test" / str(number) / f"{name}{i:04d}.jpg")


@pytest.mark.parametrize("order", [ORDER, AFFECTNET])
def test_the_order_of_numbers_from_0_is_inferred_from_counts(tmp_path: Path, order: tuple[str, ...]) -> None:
    folders(tmp_path, order, 0, 20)
    dataset = RafDbDataset.open(tmp_path, "test")
    for sample in dataset.samples:
        assert sample.label in sample.id
    assert len(dataset) == sum(count // 20 for count in COUNTS)


def test_numbers_of_the_full_set() -> None:
    published = dict(zip(ORDER, COUNTS, strict=True))
    alphabetical = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    fer2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    for order in (ORDER, AFFECTNET, alphabetical, fer2013):
        for first in (0, 1):
            counts = {i: published[name] for i, name in enumerate(order, first)}
            assert infer_numbering(counts, "test", "here") == (order, first)
    assert infer_numbering(dict.fromkeys(range(1, 8), 5), "test", "here") == (ORDER, 1)
    assert infer_numbering({2: 1, 5: 3}, "train", "here") == (ORDER, 1)


def test_numbers_that_cannot_be_inferred(tmp_path: Path) -> None:
    for number in range(7):
        picture(tmp_path / "test" / str(number) / "a.jpg")
    with pytest.raises(DataError, match="fit no known order .*name the folders after the expressions"):
        RafDbDataset.open(tmp_path, "test")
    with pytest.raises(DataError, match="here: classes must be numbered from 0 to 6 or from 1 to 7, got 0, 7"):
        infer_numbering({0: 1, 7: 1}, "test", "here")


@pytest.mark.parametrize("images", ["DATASET/test", "test"])
def test_a_table_of_labels(tmp_path: Path, images: str) -> None:
    rows = [(stem, label) for stem, label in LABELS.items() if stem.startswith("test")]
    text(tmp_path / "test_labels.csv", "image,label", *(f"{stem}_aligned.jpg,{label}" for stem, label in rows))
    for stem, _ in rows:
        picture(tmp_path / images / f"{stem}_aligned.jpg")
    dataset = RafDbDataset.open(tmp_path, "test")
    assert listed(dataset) == TEST
    dataset.image(1)
    text(tmp_path / "test_labels.csv", "image,label", "a.jpg,3", "b.jpg,happy")
    with pytest.raises(DataError, match=r"_labels\.csv, line 3: the label must be the number of a class, got 'happy'"):
        RafDbDataset.open(tmp_path, "test")


def test_what_is_missing_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        RafDbDataset.open(tmp_path, "test")
    line = str(error.value)
    for part in ("EmoLabel/list_patition_label.txt", "folders test/1 to test/7", str(tmp_path), "whdeng.cn"):
        assert part in line
    assert "\n" not in line
    text(tmp_path / "EmoLabel" / "list_patition_label.txt", "test_0001.jpg 1")
    with pytest.raises(DataError, match="neither images in Image/aligned nor in Image/original"):
        RafDbDataset.open(tmp_path, "test")
    with pytest.raises(DataError, match="needs its folder"):
        RafDbDataset.open(None, "test")
    with pytest.raises(DataError, match="no split 'tests'. Did you mean test"):
        RafDbDataset.open(tmp_path, "tests")


@pytest.mark.parametrize("line", ["test_0002.jpg 8", "test_0002.jpg", "test_0002.jpg happy"])
def test_a_bad_label_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    official(tmp_path)
    text(tmp_path / "EmoLabel" / "list_patition_label.txt", "test_0001.jpg 1", line)
    with pytest.raises(DataError, match=r"patition_label\.txt, line 2: a line must be a name and a class from 1 to 7"):
        RafDbDataset.open(tmp_path, "test")


def test_a_class_folder_that_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "test" / "happy" / "a.jpg")
    picture(tmp_path / "test" / "sadd" / "a.jpg")
    with pytest.raises(DataError, match="test/sadd: unknown expression 'sadd'. Did you mean sad"):
        RafDbDataset.open(tmp_path, "test")


def test_twelve_thousand_lines_are_read_at_once(tmp_path: Path) -> None:
    lines = [f"train_{i:05d}.jpg {i % 7 + 1}" for i in range(1, 12272)]
    text(tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt", *lines)
    picture(tmp_path / "basic" / "Image" / "aligned" / "train_00001_aligned.jpg")
    start = time.perf_counter()
    assert len(RafDbDataset.open(tmp_path, "train")) == 12271
    assert time.perf_counter() - start < 2  # every call is checked in the test run; 0.05 s without


def test_a_landmark_file_may_name_the_aligned_picture(tmp_path: Path) -> None:
    rows = [(f"test_000{i}{ending}", points(i)) for i, ending in ((1, "_aligned.jpg"), (2, ".jpg"))]
    lines = [",".join([name, *map(str, face[:, 0]), *map(str, face[:, 1])]) for name, face in rows]
    found = FileLandmarks(text(tmp_path / "points.txt", *lines)).locate([name for name, _ in TEST], None)
    assert found.found.tolist() == [True, True, False]
    np.testing.assert_allclose(found.points[0].numpy(), points(1))


def test_attributes_that_rafdb_annotates(tmp_path: Path) -> None:
    basic = tmp_path / "basic"
    text(basic / "EmoLabel" / "list_patition_label.txt", "test_0001.jpg 1", "test_0002.jpg 2")
    picture(basic / "Image" / "aligned" / "test_0001_aligned.jpg", (10, 10))
    eyes_nose_mouth = [f"{place}.5\t{place}.25" for place in range(5)]
    note = basic / "Annotation" / "manual" / "test_0001_manu_attri.txt"
    text(note, *eyes_nose_mouth, "1", "2", "4")
    samples = RafDbDataset.open(basic, "test").samples
    assert samples[0].attributes == {"gender": "female", "race": "Asian", "age": "70+"}
    assert samples[1].attributes == {}
    text(note, *eyes_nose_mouth, "1", "7", "4")
    with pytest.raises(DataError, match=r"line 7: race must be a number from 0 to 2, got '7'"):
        RafDbDataset.open(basic, "test")
    text(note, *eyes_nose_mouth, "1", "2")
    with pytest.raises(DataError, match=r"must have 5 points and 3 numbers, got 7 lines"):
        RafDbDataset.open(basic, "test")
