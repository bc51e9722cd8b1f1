from pathlib import Path

import pytest

from interpfer.datasets.rafce import ORDER, RafCeDataset
from interpfer.errors import DataError
from interpfer.labels import EXPRESSIONS, canonical
from tests.replicas import listed, picture, text

LABELS = {"0001.jpg": 0, "0002.jpg": 13, "0003.jpg": 9, "0005.jpg": 6}
PARTS = {"0001.jpg": 0, "0002.jpg": 1, "0003.jpg": 2, "0005.jpg": 0}
CODES = {"0001.jpg": "1+2+12+25 ", "0002.jpg": "null", "0003.jpg": "L4+5"}


def replica(root: Path, at: str = ".") -> None:
    text(root / at / "RAFCE_emolabel.txt", *(f"{name} {label}" for name, label in LABELS.items()))
    text(root / at / "RAFCE_partition.txt", *(f"{name} {part}" for name, part in PARTS.items()))
    text(root / at / "RAFCE_AUlabel.txt", *(f"{name} {codes}" for name, codes in CODES.items()))
    for name in LABELS:
        picture(root / "RAF-AU" / "aligned" / f"{name[:4]}_aligned.jpg")


@pytest.mark.parametrize("at", [".", "RAF-AU", "RAF-CE"])
def test_replica(tmp_path: Path, at: str) -> None:
    replica(tmp_path, at)
    dataset = RafCeDataset.open(tmp_path, "all")
    assert listed(dataset) == [
        ("0001.jpg", "happiness+surprise"),
        ("0002.jpg", "happiness+sadness"),
        ("0003.jpg", "anger+surprise"),
        ("0005.jpg", "fear+anger"),
    ]
    assert [sample.attributes["partition"] for sample in dataset.samples] == ["0", "1", "2", "0"]
    assert [unit.au for unit in dataset.samples[0].aus.active] == [1, 2, 12, 25]
    assert dataset.samples[1].aus.active == ()
    assert [(unit.au, unit.side) for unit in dataset.samples[2].aus.active] == [(4, "right"), (5, None)]
    assert dataset.samples[3].aus is None
    assert all(sample.path.is_file() for sample in dataset.samples)
    assert [sample.id for sample in RafCeDataset.open(tmp_path, "train").samples] == ["0001.jpg", "0005.jpg"]
    assert [sample.id for sample in RafCeDataset.open(tmp_path, "test").samples] == ["0002.jpg", "0003.jpg"]


def test_compounds_are_classes_of_their_own() -> None:
    assert len(set(ORDER)) == 14
    for name in ORDER:
        assert canonical(name) == name
        assert set(name.split("+")) < set(EXPRESSIONS)
    assert len({frozenset(name.split("+")) for name in ORDER}) == 14


def test_partitions_are_needed_for_splits_alone(tmp_path: Path) -> None:
    replica(tmp_path)
    (tmp_path / "RAFCE_partition.txt").unlink()
    (tmp_path / "RAFCE_AUlabel.txt").unlink()
    dataset = RafCeDataset.open(tmp_path, "all")
    assert [sample.aus for sample in dataset.samples] == [None] * 4
    with pytest.raises(DataError, match=r"found no RAFCE_partition\.txt in"):
        RafCeDataset.open(tmp_path, "test")


@pytest.mark.parametrize("line", ["0002.jpg 14", "0002.jpg", "0002.jpg x", "0001.jpg 3"])
def test_malformed_labels(tmp_path: Path, line: str) -> None:
    replica(tmp_path)
    text(tmp_path / "RAFCE_emolabel.txt", "0001.jpg 0", line)
    with pytest.raises(DataError) as error:
        RafCeDataset.open(tmp_path, "all")
    assert f"line 2: a line must be a picture of its own and a number from 0 to 13, got '{line}'." in str(error.value)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no RAFCE_emolabel\.txt in .*whdeng"):
        RafCeDataset.open(tmp_path, "all")
