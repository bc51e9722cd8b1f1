from pathlib import Path

import pytest

from interpfer.datasets.affwild2 import AffWild2Dataset
from interpfer.errors import DataError
from tests.replicas import picture, text

UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
NAMES = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
NONE = ",".join(["-1"] * 12)
SMILE = "0,0,0,1,0,0,1,0,0,0,-1,0"
CALM = ",".join("0" * 12)
AU_SETS, EXPRESSION_SETS = "AU_Set", "EXPR_Set"


def replica(root: Path, units: str = AU_SETS, expressions: str = EXPRESSION_SETS) -> None:
    for split, video in (("Train_Set", "10-60-1280x720"), ("Validation_Set", "7-60-1920x1080_left")):
        text(root / units / split / f"{video}.txt", UNITS, SMILE, NONE, CALM, NONE, SMILE)
        for frame in (1, 2, 3, 4):
            picture(root / "cropped_aligned" / video / f"{frame:05d}.jpg")
    text(root / expressions / "Train_Set" / "10-60-1280x720.txt", NAMES, "4", "7", "-1", "-1", "0")
    text(root / expressions / "Validation_Set" / "82-25-854x480.txt", NAMES, "1", "-1", "6")
    for frame in (1, 3):
        picture(root / "cropped_aligned" / "82-25-854x480" / f"{frame:05d}.jpg")


@pytest.mark.parametrize(
    "sets", [(AU_SETS, EXPRESSION_SETS), ("AU_Detection_Challenge", "EXPR_Classification_Challenge")]
)
def test_replica(tmp_path: Path, sets: tuple[str, str]) -> None:
    replica(tmp_path / "annotations", *sets)
    dataset = AffWild2Dataset.open(tmp_path, "train")
    assert [(sample.id, sample.label) for sample in dataset.samples] == [
        ("10-60-1280x720/00001.jpg", "happiness"),
        ("10-60-1280x720/00002.jpg", "other"),
        ("10-60-1280x720/00003.jpg", ""),
    ]
    smile, unknown, calm = (sample.aus for sample in dataset.samples)
    assert [(unit.au, str(unit.intensity)) for unit in smile.active] == [(6, "nan"), (12, "nan")]
    assert smile.is_present(25) is None
    assert smile.is_present(26) is False
    assert smile.is_present(5) is None
    assert unknown is None
    assert calm.active == ()
    assert len(calm.coded) == 12
    assert dataset.left_out == {"coded frames without a picture": 1, "frames that were not coded": 1}
    assert dataset.classes == ("happiness", "other")
    assert {sample.subject for sample in dataset.samples} == {"10-60-1280x720"}


def test_the_test_split_is_the_validation_split(tmp_path: Path) -> None:
    replica(tmp_path)
    dataset = AffWild2Dataset.open(tmp_path, "test")
    assert dataset.split == "val"
    assert [sample.id for sample in dataset.samples] == [
        "7-60-1920x1080_left/00001.jpg",
        "7-60-1920x1080_left/00003.jpg",
        "82-25-854x480/00001.jpg",
        "82-25-854x480/00003.jpg",
    ]
    assert [sample.label for sample in dataset.samples] == ["", "", "anger", "surprise"]
    assert [sample.aus is None for sample in dataset.samples] == [False, False, True, True]
    every_second = AffWild2Dataset.open(tmp_path, "test:2")
    assert every_second.split == "val:2"
    assert [sample.id[-9:] for sample in every_second.samples] == ["00001.jpg", "00001.jpg"]


def test_one_set_is_enough_and_other_orders_are_read_by_name(tmp_path: Path) -> None:
    text(tmp_path / "EXPR_Set" / "Validation_Set" / "1.txt", "Happiness,Neutral", "1", "0")
    for frame in (1, 2):
        picture(tmp_path / "cropped_aligned" / "1" / f"{frame:05d}.jpg")
    assert [sample.label for sample in AffWild2Dataset.open(tmp_path, "val").samples] == ["neutral", "happiness"]


@pytest.mark.parametrize(
    ("place", "lines", "message"),
    [
        ("AU_Set", (UNITS, CALM, CALM[:-1] + "2"), ".txt, row 2: a code must be one of -1, 0, 1, got 2."),
        ("AU_Set", (UNITS, "0,1"), ".txt, line 2: a line must hold 12 numbers, got '0,1'."),
        ("AU_Set", (CALM,), "line 1: the header must name action units such as AU1,AU2,AU4, got '0,0,"),
        ("EXPR_Set", (NAMES, "8"), "row 1: a code must be one of -1, 0, 1, 2, 3, 4, 5, 6, 7, got 8."),
        ("EXPR_Set", ("Neutral,Bored", "0"), "line 1: the header must name neutral, anger, disgust, fear, happiness"),
    ],
)
def test_malformed_files(tmp_path: Path, place: str, lines: tuple[str, ...], message: str) -> None:
    replica(tmp_path)
    text(tmp_path / place / "Train_Set" / "10-60-1280x720.txt", *lines)
    with pytest.raises(DataError) as error:
        AffWild2Dataset.open(tmp_path, "train")
    assert message in str(error.value)


def test_two_folders_of_a_split(tmp_path: Path) -> None:
    replica(tmp_path)
    text(tmp_path / "AU_Set" / "ValFromTrain_Set" / "1.txt", UNITS, CALM)
    with pytest.raises(DataError, match="ValFromTrain_Set and Validation_Set may both be the split val; leave one"):
        AffWild2Dataset.open(tmp_path, "val")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither AU_Set with a folder for val nor EXPR_Set with a folder for val in"):
        AffWild2Dataset.open(tmp_path, "val")
    text(tmp_path / "AU_Set" / "Validation_Set" / "1.txt", UNITS, CALM)
    with pytest.raises(DataError, match="found no cropped_aligned in"):
        AffWild2Dataset.open(tmp_path, "val")
