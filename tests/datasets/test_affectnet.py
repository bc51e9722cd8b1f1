from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpfer.datasets.affectnet import ORDER, AffectNet7Dataset, AffectNetDataset
from interpfer.errors import DataError
from interpfer.landmarks.base import LandmarkProvider
from tests.replicas import listed, picture, points, text

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def annotate(root: Path, stem: int, expression: object, image: bool = True) -> None:
    if image:
        picture(root / "images" / f"{stem}.jpg", (16, 16))
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    np.save(root / "annotations" / f"{stem}_exp.npy", expression)
    np.save(root / "annotations" / f"{stem}_lnd.npy", points(stem).reshape(-1))
    np.save(root / "annotations" / f"{stem}_val.npy", np.array("0.5"))


WRITINGS: dict[str, Callable[[int], object]] = {
    "0-d string": lambda n: np.array(str(n)),
    "strings": lambda n: np.array([str(n)]),
    "bytes": lambda n: np.array(str(n).encode()),
    "int": lambda n: np.array(n),
    "floats": lambda n: np.array([float(n)]),
}


@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS)
@pytest.mark.parametrize("below", [".", "AffectNet", "data/affectnet/Manual"])
def test_the_npy_release(tmp_path: Path, writing: Callable[[int], object], below: str) -> None:
    for stem, number in ((10, 0), (9, 1), (2, 6), (11, 7), (3, 8), (4, 9), (5, 10), (6, 8)):
        annotate(tmp_path / below / "val_set", stem, writing(number))
    dataset = AffectNetDataset.open(tmp_path, "val")
    assert listed(dataset) == [
        ("2.jpg", "anger"),
        ("9.jpg", "happiness"),
        ("10.jpg", "neutral"),
        ("11.jpg", "contempt"),
    ]
    assert dataset.left_out == {"none": 2, "uncertain": 1, "no face": 1}
    assert dataset.image(0).size == dataset.size(0) == (16, 16)
    assert listed(AffectNetDataset.open(tmp_path, "test")) == listed(dataset)
    seven = AffectNet7Dataset.open(tmp_path, "val")
    assert listed(seven) == listed(dataset)[:3]
    assert seven.left_out["of other classes"] == 1


def test_npy_landmarks(tmp_path: Path) -> None:
    for stem in (1, 2, 3):
        annotate(tmp_path / "val_set", stem, np.array("3"))
    (tmp_path / "val_set" / "annotations" / "3_lnd.npy").unlink()
    provider = AffectNetDataset.open(tmp_path, "val").landmarks()
    assert isinstance(provider, LandmarkProvider)
    assert not provider.needs_images
    found = provider.locate(["2.jpg", "3.jpg", "1.jpg"], None)
    assert found.found.tolist() == [True, False, True]
    np.testing.assert_allclose(found.points[0].numpy(), points(2))
    np.testing.assert_allclose(found.points[2].numpy(), points(1))


def test_npy_without_images_or_annotations(tmp_path: Path) -> None:
    annotate(tmp_path / "val_set", 1, np.array("3"), image=False)
    with pytest.raises(DataError, match="folder not found next to annotations: .*images"):
        AffectNetDataset.open(tmp_path, "val")
    annotate(tmp_path / "val_set", 2, np.array("3"))
    picture(tmp_path / "val_set" / "images" / "7.jpg")
    dataset = AffectNetDataset.open(tmp_path, "val")
    assert dataset.left_out == {"without annotation": 1}
    with pytest.raises(DataError, match=r"1\.jpg: no such image file"):
        dataset.image(0)


@pytest.mark.parametrize("value", [np.array("11"), np.array("happy"), np.array([-1.0]), np.array([])])
def test_a_bad_expression_is_named(tmp_path: Path, value: object) -> None:
    annotate(tmp_path / "val_set", 1, value)
    with pytest.raises(DataError, match=r"1_exp\.npy: "):
        AffectNetDataset.open(tmp_path, "val")


def row(name: str, expression: object, box: str = "4,6,8,10", seed: int = 0) -> str:
    return f"{name},{box},{';'.join(map(str, points(seed).reshape(-1)))},{expression},0.1,-0.2"


@pytest.mark.parametrize("header", [[HEADER], []])
@pytest.mark.parametrize("images", ["Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "."])
def test_the_csv_release(tmp_path: Path, header: list[str], images: str) -> None:
    rows = [row("1/a.jpg", 1, seed=1), row("1/b.png", 9), row("2/ü.jpg", 7, seed=2), row("2/c.jpg", 10)]
    text(tmp_path / "AffectNet" / "validation.csv", *header, *rows)
    rng = np.random.default_rng(0)
    for name in ("1/a.jpg", "2/ü.jpg"):
        path = picture(tmp_path / "AffectNet" / images / name)
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).save(path.with_suffix(".png"))
        path.with_suffix(".png").rename(path)
    dataset = AffectNetDataset.open(tmp_path, "val")
    assert listed(dataset) == [("1/a.jpg", "happiness"), ("2/ü.jpg", "contempt")]
    assert dataset.left_out == {"uncertain": 1, "no face": 1}
    assert dataset.image(0).size == dataset.size(0) == (8, 10)
    with Image.open(tmp_path / "AffectNet" / images / "1/a.jpg") as whole:
        assert dataset.image(0).tobytes() == whole.crop((4, 6, 12, 16)).tobytes()
    provider = dataset.landmarks()
    assert provider is not None
    found = provider.locate(["2/ü.jpg", "1/a.jpg", "1/x.jpg"], None)
    assert found.found.tolist() == [True, True, False]
    np.testing.assert_allclose(found.points[1].numpy(), points(1) - (4, 6), atol=1e-5)


def test_csv_boxes(tmp_path: Path) -> None:
    names = ["whole", "beyond", "outside", "empty"]
    boxes = [",,,", "-2,-2,12,12", "40,40,10,10", "3,3,0,5"]
    rows = [row(f"1/{name}.jpg", 1, box) for name, box in zip(names, boxes, strict=True)]
    text(tmp_path / "validation.csv", HEADER, *rows)
    for name in names:
        picture(tmp_path / "Manually_Annotated_Images" / "1" / f"{name}.jpg", (12, 12), 200)
    dataset = AffectNetDataset.open(tmp_path, "val")
    assert dataset.image(0).size == dataset.size(0) == (12, 12)
    assert dataset.image(1).size == dataset.size(1) == (12, 12)
    assert dataset.image(1).getpixel((0, 0)) == (0, 0, 0)
    with pytest.raises(DataError, match=r"outside\.jpg: the face box .* lies outside the picture of 12 x 12"):
        dataset.image(2)
    with pytest.raises(DataError, match="is empty"):
        dataset.size(3)


def test_a_bad_table(tmp_path: Path) -> None:
    text(tmp_path / "validation.csv", "subDirectory_filePath,facial_landmarks", "1/a.jpg,1;2")
    with pytest.raises(DataError, match="the column 'expression' is missing"):
        AffectNetDataset.open(tmp_path, "val")
    text(tmp_path / "validation.csv", HEADER, row("1/a.jpg", 1), row("1/b.jpg", 12))
    with pytest.raises(DataError, match=r"lists 1/a\.jpg, which is not in a folder Manually_Annotated_Images"):
        AffectNetDataset.open(tmp_path, "val")
    picture(tmp_path / "Manually_Annotated_Images" / "1" / "a.jpg")
    with pytest.raises(DataError, match=r"csv, line 3: the expression must be a number from 0 to 10, got '12'"):
        AffectNetDataset.open(tmp_path, "val")
    text(tmp_path / "validation.csv", HEADER, row("1/a.jpg", 1, "a,b,c,d"))
    with pytest.raises(DataError, match="line 2: the face box must be four numbers, got a, b, c, d"):
        AffectNetDataset.open(tmp_path, "val")


def test_folders_per_class(tmp_path: Path) -> None:
    for number in (0, 1, 7):
        picture(tmp_path / "affectnet" / "val" / str(number) / f"{number}.png")
        picture(tmp_path / "affectnet" / "train" / ORDER[number] / f"{number}.png")
    expected = ["neutral", "happiness", "contempt"]
    assert [label for _, label in listed(AffectNetDataset.open(tmp_path, "val"))] == expected
    assert {label for _, label in listed(AffectNetDataset.open(tmp_path, "train"))} == set(expected)
    seven = AffectNet7Dataset.open(tmp_path, "val")
    assert [label for _, label in listed(seven)] == expected[:2]
    assert seven.left_out == {"of other classes": 1}
    assert seven.landmarks() is None
    picture(tmp_path / "affectnet" / "val" / "9" / "a.png")
    with pytest.raises(DataError, match="val/9: the class must be a number from 0 to 7, got 9"):
        AffectNetDataset.open(tmp_path, "val")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val_set/annotations nor validation\.csv nor .*mohammadmahoor"):
        AffectNetDataset.open(tmp_path, "test")
