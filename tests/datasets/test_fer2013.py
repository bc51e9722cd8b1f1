from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.fer2013 import Fer2013Dataset
from interpfer.errors import DataError
from tests.replicas import listed, picture, text

ROWS = [(0, "Training"), (3, "Training"), (6, "PublicTest"), (2, "PrivateTest"), (1, "PrivateTest")]
PIXELS = np.random.default_rng(0).integers(0, 256, (len(ROWS), 48, 48))


def pixels(row: int) -> str:
    return " ".join(map(str, PIXELS[row].reshape(-1)))


def table(path: Path, icml: bool = False) -> Path:
    if icml:
        lines = [f"{emotion}, {usage}, {pixels(i)}" for i, (emotion, usage) in enumerate(ROWS)]
        return text(path, "emotion, Usage, pixels", *lines)
    return text(path, "emotion,pixels,Usage", *(f"{e},{pixels(i)},{usage}" for i, (e, usage) in enumerate(ROWS)))


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013/fer2013.csv", "data/fer/icml_face_data.csv"])
def test_one_table(tmp_path: Path, name: str) -> None:
    table(tmp_path / name, "icml" in name)
    train, val, test = (Fer2013Dataset.open(tmp_path, split) for split in ("train", "val", "test"))
    assert listed(train) == [("fer0000000.png", "anger"), ("fer0000001.png", "happiness")]
    assert listed(val) == [("fer0000002.png", "neutral")]
    assert listed(test) == [("fer0000003.png", "fear"), ("fer0000004.png", "disgust")]
    assert listed(Fer2013Dataset.open(tmp_path, "PrivateTest")) == listed(test)
    image = test.image(1)
    assert image.mode == "RGB"
    assert image.size == test.size(1) == (48, 48)
    for channel in range(3):
        np.testing.assert_array_equal(np.asarray(image)[..., channel], PIXELS[4])


def test_windows_line_ends_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    lines = ['"emotion","pixels","Usage"', f'"4","{pixels(0)}","Training"', f"5,{pixels(1)},Training", ""]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    dataset = Fer2013Dataset.open(tmp_path, "train")
    assert listed(dataset) == [("fer0000000.png", "sadness"), ("fer0000001.png", "surprise")]
    for i in range(2):
        np.testing.assert_array_equal(np.asarray(dataset.image(i))[..., 0], PIXELS[i])


@pytest.mark.parametrize("below", [".", "fer2013", "archive/fer2013"])
def test_folders(tmp_path: Path, below: str) -> None:
    for name in ("angry", "neutral"):
        picture(tmp_path / below / "train" / name / "Training_1.jpg", (48, 48))
        picture(tmp_path / below / "test" / name / "PrivateTest_1.jpg", (48, 48))
    dataset = Fer2013Dataset.open(tmp_path, "test")
    assert listed(dataset) == [("angry/PrivateTest_1.jpg", "anger"), ("neutral/PrivateTest_1.jpg", "neutral")]
    assert dataset.image(0).size == dataset.size(0) == (48, 48)
    assert Fer2013Dataset.available_splits(tmp_path) == ("train", "test")
    with pytest.raises(DataError, match=r"fer2013\.csv nor .* folders val/angry"):
        Fer2013Dataset.open(tmp_path, "val")


@pytest.mark.parametrize("broken", ["1 2 3", "a " * 2304, "256 " * 2304, "-1 " * 2304, ""])
def test_bad_pixels_are_a_bad_image(tmp_path: Path, broken: str) -> None:
    text(tmp_path / "fer2013.csv", "emotion,pixels,Usage", f"0,{pixels(0)},Training", f"1,{broken},Training")
    dataset = Fer2013Dataset.open(tmp_path, "train")
    dataset.image(0)
    with pytest.raises(DataError, match=r"fer2013\.csv, line 3: the pixels must be 48 x 48"):
        dataset.image(1)


def test_bad_tables(tmp_path: Path) -> None:
    path = text(tmp_path / "fer2013.csv", "emotion,pixels", "0,1 2 3")
    with pytest.raises(DataError, match="the column 'usage' is missing"):
        Fer2013Dataset.open(tmp_path, "train")
    text(path, "emotion,pixels,Usage", f"0,{pixels(0)},Training", f"7,{pixels(0)},Training")
    with pytest.raises(DataError, match="line 3: the emotion must be a number from 0 to 6, got '7'"):
        Fer2013Dataset.open(tmp_path, "train")
    text(path, "emotion,pixels,Usage", f"0,{pixels(0)},Training", "1,5 5")
    with pytest.raises(DataError, match="line 3: expected 3 cells, got 2"):
        Fer2013Dataset.open(tmp_path, "train")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither fer2013\.csv nor icml_face_data\.csv nor folders .*kaggle\.com"):
        Fer2013Dataset.open(tmp_path, "test")
