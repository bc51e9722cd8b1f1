from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.rafau import RafAuDataset
from interpfer.errors import DataError
from tests.replicas import listed, picture, text

# as in the release: prefixes L R T B, blanks at the end of many lines
LINES = (
    "0001.jpg 1+2+L12+25",
    "0007.jpg null ",
    "0010.jpg R4+T23+B23+26  ",
    "0012.jpg 6+12+25+L1+R1",
    "0013.jpg 12 ",
    "0021.jpg 4",
)
# surprise, fear, disgust, happiness, sadness, anger
SHARES = {
    "0001.jpg": (0.6, 0.1, 0, 0.3, 0, 0),
    "0007.jpg": (0, 0, 0.5, 0, 0.1, 0.4),
    "0010.jpg": (0, 0, 0.4, 0, 0.2, 0.4),
    "0012.jpg": (0.05, 0, 0, 0.95, 0, 0),
    "0021.jpg": (0, 0, 0, 0, 0, 1),
    "9999.jpg": (1, 0, 0, 0, 0, 0),
}


def replica(root: Path, lines: tuple[str, ...] = LINES, labels: bool = True, aligned: bool = True) -> None:
    text(root / "RAF-AU" / "RAFAU_label.txt", *lines)
    text(root / "RAF-AU" / "RAFAU_landmark.txt", "0001.jpg " + ";".join("1" for _ in range(136)))
    for line in LINES:
        stem = line.split(".")[0]
        picture(root / "RAF-AU" / ("aligned" if aligned else "original") / f"{stem}{'_aligned' * aligned}.jpg")
    if labels:
        shares = (f"{name} " + " ".join(f"{share:.6f}" for share in row) for name, row in SHARES.items())
        text(root / "RAF-ML" / "EmoLabel" / "distribution.txt", *shares)


@pytest.mark.parametrize("aligned", [True, False])
def test_replica(tmp_path: Path, aligned: bool) -> None:
    replica(tmp_path, aligned=aligned)
    dataset = RafAuDataset.open(tmp_path, "all")
    assert listed(dataset) == [
        ("0001.jpg", "surprise"),
        ("0007.jpg", "disgust"),
        ("0010.jpg", ""),
        ("0012.jpg", "happiness"),
        ("0013.jpg", ""),
        ("0021.jpg", "anger"),
    ]
    units = [[(unit.au, unit.side) for unit in sample.aus.active] for sample in dataset.samples]
    assert units == [
        [(1, None), (2, None), (12, "right"), (25, None)],
        [],
        [(4, "left"), (23, None), (26, None)],
        [(6, None), (12, None), (25, None), (1, "right"), (1, "left")],
        [(12, None)],
        [(4, None)],
    ]
    assert all(sample.aus.is_present(17) is False for sample in dataset.samples)
    np.testing.assert_allclose(dataset.probabilities[0], SHARES["0001.jpg"])
    assert np.isnan(dataset.probabilities[4]).all()
    assert dataset.landmarks() is None
    assert "distribution.txt: 1 pictures have two largest shares, so no label." in dataset.notes[0]
    assert all(sample.path.is_file() for sample in dataset.samples)


def test_without_raf_ml_there_are_no_labels(tmp_path: Path) -> None:
    replica(tmp_path, labels=False)
    dataset = RafAuDataset.open(tmp_path / "RAF-AU", "all")
    assert {sample.label for sample in dataset.samples} == {""}
    assert dataset.notes == ()
    assert np.isnan(dataset.probabilities).all()
    assert [sample.id for sample in RafAuDataset.open(tmp_path, "test").samples] == ["0001.jpg", "0021.jpg"]
    assert len(RafAuDataset.open(tmp_path, "train")) == 4


def test_names_without_their_zeros(tmp_path: Path) -> None:
    replica(tmp_path, ("1.jpg 1", "7.jpg null"))
    dataset = RafAuDataset.open(tmp_path, "all")
    assert [(sample.id, sample.path.name) for sample in dataset.samples] == [
        ("1.jpg", "0001_aligned.jpg"),
        ("7.jpg", "0007_aligned.jpg"),
    ]


def test_lines_that_are_not_facs_are_not_coded(tmp_path: Path) -> None:
    replica(tmp_path, ("0001.jpg 1+2", "0007.jpg 1+AD", "0010.jpg", "0012.jpg 80"))
    dataset = RafAuDataset.open(tmp_path, "all")
    assert [sample.aus is None for sample in dataset.samples] == [False, True, True, True]
    assert (
        "RAFAU_label.txt: 2 lines that are not FACS text count as not coded, the first: line 2: 'AD' in '1+AD' is not"
        in (dataset.notes[0])
    )


@pytest.mark.parametrize(
    "line", ["0001.jpg 0.5 0.5", "0001.jpg 0 0 0 0 0 0", "0001.jpg 1 0 0 0 0 x", "0001.jpg -1 2 0 0 0 0"]
)
def test_malformed_shares(tmp_path: Path, line: str) -> None:
    replica(tmp_path)
    text(tmp_path / "RAF-ML" / "EmoLabel" / "distribution.txt", "0007.jpg 1 0 0 0 0 0", line)
    with pytest.raises(DataError) as error:
        RafAuDataset.open(tmp_path, "all")
    assert (
        "distribution.txt, line 2: a line must be a picture and the shares of surprise, fear, disgust, happiness, "
        in (str(error.value))
    )


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no RAFAU_label\.txt in .*whdeng"):
        RafAuDataset.open(tmp_path, "all")
    text(tmp_path / "RAFAU_label.txt", *LINES, LINES[0])
    with pytest.raises(DataError, match=r"RAFAU_label\.txt, line 7: 0001\.jpg is listed twice\."):
        RafAuDataset.open(tmp_path, "all")
    text(tmp_path / "RAFAU_label.txt", *LINES)
    with pytest.raises(DataError, match="neither pictures in aligned nor in original"):
        RafAuDataset.open(tmp_path, "all")
