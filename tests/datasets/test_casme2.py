from pathlib import Path

import pandas as pd
import pytest

from interpfer.datasets.casme2 import Casme2Dataset
from interpfer.errors import DataError
from tests.replicas import listed, picture, text

HEADER = (
    "Subject", "Filename", "Unnamed: 2", "OnsetFrame", "ApexFrame", "OffsetFrame", "Unnamed: 6", "Action Units",
    "Estimated Emotion",
)  # fmt: skip
ROWS = (
    (1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"),
    (1, "EP19_05f", None, 91, 103, 121, None, "4+L10", "disgust"),
    (2, "EP01_11f", None, 46, "/", 66, None, "4", "repression"),
    (2, "EP03_02f", None, 2, 4, 6, None, "?", "others"),
    (17, "EP01_06", None, 1, 3, 9, None, "1 or 2", "surprise"),
)


def replica(root: Path, suffix: str = "csv", header: tuple[str, ...] = HEADER) -> None:
    root.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(ROWS, columns=header)
    path = root / f"CASME2-coding-20140508.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_excel(path, index=False)
    for subject, name, _, onset, apex, *_ in ROWS:
        for frame in (onset, apex):
            if frame != "/":
                picture(root / "Cropped" / f"sub{subject:02d}" / name / f"reg_img{frame}.jpg")


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_replica(tmp_path: Path, suffix: str) -> None:
    if suffix == "xlsx":
        pytest.importorskip("openpyxl")
    replica(tmp_path / "CASME2", suffix)
    dataset = Casme2Dataset.open(tmp_path, "all")
    assert listed(dataset) == [
        ("sub01/EP02_01f/reg_img59.jpg", "happiness"),
        ("sub01/EP19_05f/reg_img103.jpg", "disgust"),
        ("sub02/EP03_02f/reg_img4.jpg", "others"),
        ("sub17/EP01_06/reg_img3.jpg", "surprise"),
    ]
    smile, disgust, unknown, unread = (sample.aus for sample in dataset.samples)
    assert [unit.au for unit in smile.active] == [12]
    assert smile.is_present(4) is False
    assert [(unit.au, unit.side) for unit in disgust.active] == [(4, None), (10, "right")]
    assert unknown is unread is None
    assert (
        "1 rows that are not FACS text count as not coded, the first: line 6: 'or' in '1 or 2' is not"
        in dataset.notes[0]
    )
    assert dataset.left_out == {"clips without a picture of the apex frame": 1}
    assert {sample.subject for sample in Casme2Dataset.open(tmp_path, "fold1").samples} == {"sub01"}


def test_other_columns(tmp_path: Path) -> None:
    replica(tmp_path, header=("Subject", "Filename", "a", "b", "c", "d", "e", "f", "g"))
    with pytest.raises(DataError, match=r"line 1: column 5 must be 'apexframe', got 'subject, filename, a, b, c"):
        Casme2Dataset.open(tmp_path, "all")


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no CASME2-coding-20140508\.xlsx with Cropped in"):
        Casme2Dataset.open(tmp_path, "all")
    text(tmp_path / "CASME2-coding-20140508.xlsx", "no table")
    (tmp_path / "Cropped").mkdir()
    with pytest.raises(DataError, match=r"CASME2-coding-20140508\.xlsx: not a table"):
        Casme2Dataset.open(tmp_path, "all")
