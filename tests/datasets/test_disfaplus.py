from pathlib import Path

import pytest

from interpfer.datasets.disfaplus import DisfaPlusDataset
from interpfer.errors import DataError
from tests.replicas import picture, text

COMMENTS = ("# Frame images and intensities", "% AU label")


def replica(root: Path, images: str = "Images") -> None:
    for person in ("SN001", "SN003", "SN025"):
        for trial in ("A1_AU1_TrailNo_1", "Y_Happy_TrailNo_2"):
            for au, levels in {1: (0, 2, 0), 26: (5, 0, 0)}.items():
                lines = [f"{frame:03d}.jpg     {level}" for frame, level in enumerate(levels)]
                text(root / "Labels" / person / trial / f"AU{au}.txt", *COMMENTS, *lines)
            for frame in range(3):
                picture(root / images / person / trial / f"{frame:03d}.jpg")


@pytest.mark.parametrize("images", ["Images", "Aligned"])
def test_replica(tmp_path: Path, images: str) -> None:
    replica(tmp_path / "DISFAPlusDataset", images)
    dataset = DisfaPlusDataset.open(tmp_path, "all")
    assert len(dataset) == 18
    first, second, third = dataset.samples[:3]
    assert first.id == "SN001/A1_AU1_TrailNo_1/000.jpg"
    assert first.subject == "SN001"
    assert first.attributes == {"trial": "A1_AU1_TrailNo_1"}
    assert [(unit.au, unit.intensity) for unit in first.aus.active] == [(26, 1.0)]
    assert [(unit.au, unit.intensity) for unit in second.aus.active] == [(1, 0.4)]
    assert third.aus.active == ()
    assert third.aus.coded == {1, 26}
    assert {sample.subject for sample in DisfaPlusDataset.open(tmp_path, "test").samples} == {"SN001"}
    assert {sample.subject for sample in DisfaPlusDataset.open(tmp_path, "train").samples} == {"SN003", "SN025"}
    assert len(DisfaPlusDataset.open(tmp_path, "fold2:3")) == 2


def test_names_are_joined_by_number(tmp_path: Path) -> None:
    replica(tmp_path)
    trial = tmp_path / "Images" / "SN001" / "A1_AU1_TrailNo_1"
    (trial / "001.jpg").rename(trial / "0001.jpg")
    (trial / "002.jpg").unlink()
    dataset = DisfaPlusDataset.open(tmp_path, "test")
    assert dataset.samples[1].id.endswith("/0001.jpg")
    assert [unit.au for unit in dataset.samples[1].aus.active] == [1]
    assert dataset.left_out == {"coded frames without a picture": 1}


@pytest.mark.parametrize("line", ["001.jpg 6", "001.jpg", "001.jpg x", "1 2"])
def test_malformed_lines(tmp_path: Path, line: str) -> None:
    replica(tmp_path)
    text(tmp_path / "Labels" / "SN001" / "A1_AU1_TrailNo_1" / "AU1.txt", *COMMENTS, "000.jpg 0", line)
    with pytest.raises(DataError) as error:
        DisfaPlusDataset.open(tmp_path, "all")
    assert (
        f"AU1.txt, line 4: a line must be a picture and an intensity from 0 to 5 such as '000.jpg 0', got '{line}'."
        in (str(error.value))
    )


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found neither Labels next to Images nor Labels next to Aligned in"):
        DisfaPlusDataset.open(tmp_path, "all")
