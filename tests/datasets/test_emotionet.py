import sys
from pathlib import Path

import pandas as pd
import pytest

from interpfer.datasets.emotionet import EmotioNetDataset
from interpfer.errors import DataError
from tests.replicas import picture, text

HEADER = ["'URL'", "'URL orig'", *(f"'AU {number}'" for number in range(1, 61))]
SERVER = "https://emotionet.s3.amazonaws.com/emotionet/Images"


def row(name: str, codes: dict[int, int]) -> list[str]:
    return [
        f" '{SERVER}/{name[:12]}/{name}'",
        f"'http://example.org/{name}?a=1'",
        *(f" {codes.get(number, 0)}" for number in range(1, 61)),
    ]


ROWS = [
    row("N_0000000001_00001.jpg", {1: 1, 12: 1, 4: 999}),
    row("N_0000000001_00002.jpg", {}),
    row("N_0000000002_00007.jpg", dict.fromkeys(range(1, 61), 999)),
    row("N_0000000003_00001.jpg", {25: 1}),
    row("N_0000000009_00001.jpg", {25: 1}),
    row("N_0000000001_00001.jpg", {}),
]


def replica(root: Path, xlsx: bool = False) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "EmotioNet_FACS_aws_2020_24600.csv"
    if xlsx:
        path = path.with_suffix(".xlsx")
        pd.DataFrame(ROWS, columns=HEADER).to_excel(path, index=False)
    else:
        text(path, ",".join(HEADER), *(",".join(cells) for cells in ROWS))
    for name in ("N_0000000001/N_0000000001_00001", "N_0000000001/N_0000000001_00002", "N_0000000003_00001"):
        picture(root / "imgs" / f"{name}.jpg")
    picture(root / "imgs" / "N_0000000002_00007.jpg")
    return path


@pytest.mark.parametrize("xlsx", [False, True])
def test_replica(tmp_path: Path, xlsx: bool) -> None:
    if xlsx:
        pytest.importorskip("openpyxl")
    replica(tmp_path / "EmotioNet", xlsx)
    dataset = EmotioNetDataset.open(tmp_path, "all")
    assert [sample.id for sample in dataset.samples] == [
        "N_0000000001_00001.jpg",
        "N_0000000001_00002.jpg",
        "N_0000000003_00001.jpg",
    ]
    first, second, third = (sample.aus for sample in dataset.samples)
    assert [(unit.au, str(unit.intensity)) for unit in first.active] == [(1, "nan"), (12, "nan")]
    assert first.is_present(4) is None
    assert first.is_present(2) is False
    assert second.active == ()
    assert second.coded == frozenset(range(1, 61))
    assert [unit.au for unit in third.active] == [25]
    assert dataset.left_out == {"not coded": 1, "picture not found": 1, "listed more than once": 1}
    assert all(sample.path.is_file() and not sample.label and sample.subject is None for sample in dataset.samples)


def test_splits(tmp_path: Path) -> None:
    replica(tmp_path)
    test, train = (EmotioNetDataset.open(tmp_path, split) for split in ("test", "train"))
    assert [sample.id for sample in test.samples] == ["N_0000000001_00001.jpg"]
    assert [sample.id for sample in train.samples] == ["N_0000000001_00002.jpg", "N_0000000003_00001.jpg"]


def test_malformed_rows(tmp_path: Path) -> None:
    path = replica(tmp_path)
    lines = path.read_text().splitlines()
    text(path, *lines[:2], lines[2].replace(" 0", " 3", 1))
    with pytest.raises(DataError, match=r"24600\.csv, line 3: a code must be one of 0, 1, 999, got 3\.$"):
        EmotioNetDataset.open(tmp_path, "all")
    text(path, *lines[:2], lines[2].replace(" 0", " x", 1))
    with pytest.raises(DataError, match=r"24600\.csv, line 3: a code must be one of 0, 1, 999, got nan\.$"):
        EmotioNetDataset.open(tmp_path, "all")
    text(path, *lines[1:])
    with pytest.raises(
        DataError, match=r"24600\.csv, line 1: the columns must be 'URL' and 'AU 1' to 'AU 60', got 'http"
    ):
        EmotioNetDataset.open(tmp_path, "all")


def test_xlsx_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EmotioNet_FACS_aws_2020_24600.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.setattr(pd, "read_excel", lambda *_, **__: (_ for _ in ()).throw(ImportError("openpyxl")))
    with pytest.raises(DataError, match=r"reading xlsx needs openpyxl: pip install openpyxl, or save it as CSV\.$"):
        EmotioNetDataset.open(tmp_path, "all")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"neither EmotioNet_FACS_aws_2020_24600\.csv nor EmotioNet_FACS_aws_2020_24600\.x"
    ):
        EmotioNetDataset.open(tmp_path, "all")
