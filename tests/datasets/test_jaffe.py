from pathlib import Path

import pytest

from interpfer.datasets.jaffe import JaffeDataset
from interpfer.errors import DataError
from tests.replicas import listed, picture

NAMES = {"KA.AN1.39.tiff": "anger", "KA.HA2.30.tiff": "happiness", "KL.NE1.155.tiff": "neutral",
         "NM.FE3.113.tiff": "fear", "YM.SU1.58.tiff": "surprise", "YM.DI1.64.tiff": "disgust"}  # fmt: skip


@pytest.mark.parametrize("below", [".", "jaffe", "JAFFE/jaffedbase"])
def test_names_are_parsed(tmp_path: Path, below: str) -> None:
    for name in NAMES:
        picture(tmp_path / below / name, (16, 16))
    picture(tmp_path / below / "README.png")
    dataset = JaffeDataset.open(tmp_path, "all")
    assert dict(listed(dataset)) == NAMES
    assert [sample.subject for sample in dataset.samples] == ["KA", "KA", "KL", "NM", "YM", "YM"]
    assert dataset.image(0).size == dataset.size(0) == (16, 16)
    assert {sample.subject for sample in JaffeDataset.open(tmp_path, "test").samples} == {"KA"}
    assert {sample.subject for sample in JaffeDataset.open(tmp_path, "fold4").samples} == {"YM"}
    with pytest.raises(DataError, match="the split 'fold5' of .* contains no images"):
        JaffeDataset.open(tmp_path, "fold5")


def test_what_is_missing(tmp_path: Path) -> None:
    picture(tmp_path / "KA.XX1.39.tiff")
    with pytest.raises(DataError, match=r"found no images such as KA\.AN1\.39\.tiff in .*zenodo"):
        JaffeDataset.open(tmp_path, "all")
