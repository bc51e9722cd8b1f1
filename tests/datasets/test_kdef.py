from pathlib import Path

import pytest

from interpfer.datasets.kdef import KdefDataset
from interpfer.errors import DataError
from tests.replicas import listed, picture

CODES = {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness",
         "SU": "surprise"}  # fmt: skip


@pytest.mark.parametrize("folders", [True, False])
@pytest.mark.parametrize("below", [".", "KDEF", "KDEF_and_AKDEF/KDEF"])
def test_names_are_parsed(tmp_path: Path, below: str, folders: bool) -> None:
    for person in ("AF01", "BF01", "AM02"):
        for code in CODES:
            for view in ("S", "HL", "FR"):
                folder = tmp_path / below / person if folders else tmp_path / below
                picture(folder / f"{person}{code}{view}.JPG", (6, 8))
    picture(tmp_path / below / "FAFFL.JPG")
    dataset = KdefDataset.open(tmp_path, "all")
    assert len(dataset) == 21
    assert dict(listed(dataset)) == {f"{p}{c}S.JPG": CODES[c] for p in ("AF01", "BF01", "AM02") for c in CODES}
    assert {sample.subject for sample in dataset.samples} == {"F01", "M02"}
    assert dataset.left_out == {"half and full profiles": 42}
    assert dataset.image(0).size == dataset.size(0) == (6, 8)
    test, train = KdefDataset.open(tmp_path, "test"), KdefDataset.open(tmp_path, "train")
    assert {sample.subject for sample in test.samples} == {"F01"}
    assert {sample.subject for sample in train.samples} == {"M02"}
    assert len(test) == 14


def test_lower_case_names(tmp_path: Path) -> None:
    picture(tmp_path / "af01ans.jpg")
    assert listed(KdefDataset.open(tmp_path, "test")) == [("af01ans.jpg", "anger")]


def test_what_is_missing(tmp_path: Path) -> None:
    picture(tmp_path / "AF01ANHL.JPG")
    with pytest.raises(DataError, match=r"found no straight views such as AF01ANS\.JPG in .*kdef\.se"):
        KdefDataset.open(tmp_path, "all")
