"""Frames of videos: steps in names of splits, and numbers in names of pictures."""

from pathlib import Path

import pytest

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.frames import FrameDataset, count_left_out, every, number_names, number_pictures
from interpfer.datasets.subset import Subset
from interpfer.errors import DataError, SplitError
from tests.replicas import picture


class Frames(FrameDataset):
    name = "frames"


def test_steps() -> None:
    assert Frames.parse_split("all") == ("all", 1)
    assert Frames.parse_split("fold3:25") == ("fold3", 25)
    assert every([5, 6, 7, 8, 9], 2) == [5, 7, 9]
    for wrong in ("test:0", "test:x", "test:", "test:2:3"):
        with pytest.raises(SplitError, match=rf"^data set frames: write test:10 for .*, got '{wrong}'\.$"):
            Frames.parse_split(wrong)


def test_numbers_whatever_their_padding(tmp_path: Path) -> None:
    for name in ("000.jpg", "0001.jpg", "12.png", "ab3ff013.jpg", "notes.txt", "cover.png"):
        picture(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).touch()
    assert number_pictures(tmp_path) == {0: "000.jpg", 1: "0001.jpg", 12: "12.png", 13: "ab3ff013.jpg"}
    assert number_pictures(tmp_path / "missing") == {}
    with pytest.raises(DataError, match=r"^here: 1\.jpg and 0001\.jpg are both frame 1\.$"):
        number_names(["1.jpg", "0001.jpg"], "here")


def test_what_is_left_out_is_said() -> None:
    dataset = Subset(DemoDataset("test", count=2, size=48), [0, 1], "all")
    count_left_out(dataset, pictures=0, codes=0)
    assert (dataset.left_out, dataset.notes) == ({}, ())
    dataset.notes = ("frames are counted from 0",)
    count_left_out(dataset, pictures=3, codes=1)
    assert dataset.left_out == {"coded frames without a picture": 3, "frames that were not coded": 1}
    said = "left out: coded frames without a picture (3), frames that were not coded (1)"
    assert dataset.notes == ("frames are counted from 0", said)
