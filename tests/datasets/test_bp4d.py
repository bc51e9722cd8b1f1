from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interpfer.datasets.bp4d import TESTED, Bp4dDataset, Bp4dPlusDataset, read_codes
from interpfer.errors import DataError
from tests.replicas import picture, text

NEW = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 17, 23, 24)


def sequence(root: Path, stem: str, frames: dict[int, dict[int, int]], columns: int = 0, padding: int = 3) -> None:
    """Write AU_OCC of a sequence, as 100 columns or with named ones, and pictures whose names have some padding."""
    header = list(range(columns)) if columns else [1, *NEW]  # the column of the frame is called 1 as well
    lines = [",".join(map(str, header))]
    for frame, codes in frames.items():
        lines.append(",".join([str(frame), *(str(codes.get(au, 9 if columns else 0)) for au in header[1:])]))
        picture(root / "2D+3D" / stem.replace("_", "/") / f"{frame:0{padding}d}.jpg")
    text(root / "AUCoding" / "AU_OCC" / f"{stem}.csv", *lines)


def replica(root: Path) -> None:
    sequence(root, "F001_T1", {7: {1: 1, 6: 1, 12: 1, 4: 9}, 8: {6: 1, 12: 0}})
    sequence(root, "F001_T8", {1030: {1: 0, 9: 1}}, columns=100, padding=4)
    sequence(root, "M003_T1", {7: dict.fromkeys(NEW, 9), 8: {12: 1}}, padding=4)
    levels = {7: 3, 8: 9}
    text(root / "AUCoding" / "AU_INT" / "AU06" / "F001_T1_AU06.csv", *(f"{k},{v}" for k, v in levels.items()))
    text(root / "AUCoding" / "AU_INT" / "AU12" / "F001_T1_AU12.csv", "7,0", "8,4")


@pytest.mark.parametrize("kind", [Bp4dDataset, Bp4dPlusDataset])
def test_replica(tmp_path: Path, kind: type[Bp4dDataset]) -> None:
    replica(tmp_path / "BP4D+_v0.2")
    dataset = kind.open(tmp_path, "all")
    assert [sample.id for sample in dataset.samples] == [
        "F001/T1/007.jpg",
        "F001/T1/008.jpg",
        "F001/T8/1030.jpg",
        "M003/T1/0008.jpg",
    ]
    first, second, third, fourth = (sample.aus for sample in dataset.samples)
    assert [(unit.au, str(unit.intensity)) for unit in first.active] == [(1, "nan"), (6, "0.6"), (12, "nan")]
    assert [(unit.au, str(unit.intensity)) for unit in second.active] == [(6, "nan")]
    assert first.is_present(4) is None
    assert first.is_present(15) is None
    assert second.is_present(12) is False
    assert third.coded == {1, 9}
    assert [unit.au for unit in third.active] == [9]
    assert [unit.au for unit in fourth.active] == [12]
    assert dataset.left_out == {"frames that were not coded": 1}
    assert [sample.subject for sample in dataset.samples] == ["F001", "F001", "F001", "M003"]
    elicited = [sample.attributes.get("elicited") for sample in dataset.samples]
    assert elicited == (["happiness", "happiness", "disgust", "happiness"] if kind is Bp4dDataset else [None] * 4)
    assert [sample.attributes["task"] for sample in dataset.samples] == ["T1", "T1", "T8", "T1"]
    assert {sample.label for sample in dataset.samples} == {""}


def test_both_headers_say_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = {frame: {au: int(rng.choice([0, 1, 9])) for au in NEW} for frame in range(5, 40)}
    sequence(tmp_path / "old", "F002_T3", codes, columns=100)
    sequence(tmp_path / "new", "F002_T3", codes)
    old, new = (read_codes(tmp_path / name / "AUCoding" / "AU_OCC" / "F002_T3.csv") for name in ("old", "new"))
    table = pd.read_csv(tmp_path / "old" / "AUCoding" / "AU_OCC" / "F002_T3.csv", index_col="0")
    for frame in codes:
        for au in NEW:
            expected = {0: False, 1: True, 9: None}[int(table.loc[frame, str(au)])]
            assert old[frame].is_present(au) is expected
            assert new[frame].is_present(au) is expected


def test_splits_are_by_person(tmp_path: Path) -> None:
    replica(tmp_path)
    people = {
        split: sorted({sample.subject for sample in Bp4dDataset.open(tmp_path, split).samples})
        for split in ("train", "test", "all", "fold1", "fold3")
    }
    assert people == {
        "train": ["F001"],
        "test": ["M003"],
        "all": ["F001", "M003"],
        "fold1": ["M003"],
        "fold3": ["F001"],
    }
    named = sorted(sum(TESTED.values(), []))
    assert named == [f"F{i:03d}" for i in range(1, 24)] + [f"M{i:03d}" for i in range(1, 19)]
    assert {sample.subject for sample in Bp4dPlusDataset.open(tmp_path, "test").samples} == {"F001"}
    assert len(Bp4dPlusDataset.open(tmp_path, "all:2")) == 3


def test_other_folders_and_missing_pictures(tmp_path: Path) -> None:
    replica(tmp_path)
    (tmp_path / "2D+3D").rename(tmp_path / "frames")
    (tmp_path / "frames" / "F001" / "T1" / "008.jpg").unlink()
    dataset = Bp4dDataset.open(tmp_path, "all")
    assert [sample.path.parts[-4] for sample in dataset.samples] == ["frames"] * 3
    assert dataset.left_out == {"coded frames without a picture": 1, "frames that were not coded": 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("1,1,2", "7,0,1", "8,0,2"), "F001_T1.csv, frame 8: a code must be one of 0, 1, 9, got 2."),
        (("1,1,2", "7,0,1", "8,0"), "F001_T1.csv, line 3: a line must hold 3 numbers, got '8,0'."),
        (("1,1,1", "7,0,1"), "line 1: behind the column of the frame the header must be the numbers of action units"),
        (("7,0,1", "8,0,1"), "F001_T1.csv, line 1: behind the column of the frame the header must be the numbers"),
        (("0,1,2,4", "7,0,1"), "F001_T1.csv, line 2: a line must hold 4 numbers, got '7,0,1'."),
    ],
)
def test_malformed_files(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    replica(tmp_path)
    text(tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv", *lines)
    with pytest.raises(DataError) as error:
        Bp4dDataset.open(tmp_path, "all")
    assert message in str(error.value)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no AUCoding/AU_OCC/F001_T1\.csv in .*binghamton"):
        Bp4dDataset.open(tmp_path, "all")
    text(tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv", "1,1,2", "7,0,1")
    with pytest.raises(DataError, match=r"no pictures such as 2D\+3D/F001/T1/000\.jpg"):
        Bp4dDataset.open(tmp_path, "all")
