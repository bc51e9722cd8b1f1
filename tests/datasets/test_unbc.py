from pathlib import Path

import pytest

from interpfer.datasets.unbc import UnbcDataset
from interpfer.errors import DataError
from tests.replicas import picture, text

# as in the archive: AU, intensity, onset, offset; the last row is AU 43, which is 0 or 1
CODES = {
    1: [],
    2: [(4, 2, 0, 0), (6, 3, 0, 0), (7, 1, 0, 0), (10, 5, 0, 0), (43, 1, 0, 0)],
    3: [(12, 0, 0, 0), (25, 2, 0, 0), (43, 0, 0, 0)],
}


def pain(codes: list[tuple[int, ...]]) -> int:
    """Return the score of Prkachin and Solomon: AU 4, the stronger of 6 and 7, that of 9 and 10, and AU 43."""
    level = {au: intensity for au, intensity, *_ in codes}
    pairs = max(level.get(6, 0), level.get(7, 0)) + max(level.get(9, 0), level.get(10, 0))
    return level.get(4, 0) + pairs + level.get(43, 0)


def replica(root: Path, images: str = "Images", ending: str = "png") -> None:
    for person, sequence in (
        ("042-ll042", "ll042t1aaaff"),
        ("047-jl047", "jl047t1aeunaff"),
        ("048-aa048", "aa048t2aeaff"),
    ):
        for frame, codes in CODES.items():
            stem, place = f"{sequence}{frame:03d}", Path(person) / sequence
            lines = ["".join(f"   {number:.7e}" for number in row) for row in codes]
            text(root / "Frame_Labels" / "FACS" / place / f"{stem}_facs.txt", *lines)
            text(root / "Frame_Labels" / "PSPI" / place / f"{stem}_facs.txt", f"   {pain(codes):.7e}")
            picture(root / images / place / f"{stem}.{ending}")


@pytest.mark.parametrize(("images", "ending"), [("Images", "png"), ("aligned", "jpg")])
def test_replica(tmp_path: Path, images: str, ending: str) -> None:
    replica(tmp_path / "UNBC", images, ending)
    dataset = UnbcDataset.open(tmp_path, "all")
    assert len(dataset) == 9
    nothing, strong, weak = dataset.samples[:3]
    assert nothing.id == f"042-ll042/ll042t1aaaff/ll042t1aaaff001.{ending}"
    assert nothing.subject == "042-ll042"
    assert nothing.aus.active == ()
    assert nothing.aus.is_present(12) is False
    assert {unit.au: str(unit.intensity) for unit in strong.aus.active} == {
        4: "0.4",
        6: "0.6",
        7: "0.2",
        10: "1.0",
        43: "nan",
    }
    assert [unit.au for unit in strong.aus.at_least(0.4).active] == [4, 6, 10, 43]
    assert {unit.au: unit.intensity for unit in weak.aus.active} == {25: 0.4}
    assert weak.aus.is_present(12) is False
    assert weak.aus.is_present(43) is False
    assert [sample.attributes for sample in dataset.samples[:3]] == [{"pspi": "0"}, {"pspi": "11"}, {"pspi": "0"}]
    assert {sample.label for sample in dataset.samples} == {""}
    assert {sample.subject for sample in UnbcDataset.open(tmp_path, "test").samples} == {"042-ll042"}
    assert len(UnbcDataset.open(tmp_path, "train:2")) == 4


def test_the_pain_scores_are_not_read_as_action_units(tmp_path: Path) -> None:
    replica(tmp_path)
    (tmp_path / "Frame_Labels" / "FACS").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="found no Frame_Labels/FACS in"):
        UnbcDataset.open(tmp_path, "all")
    (tmp_path / "Frame_Labels" / "PSPI").rename(tmp_path / "Frame_Labels" / "FACS")
    with pytest.raises(DataError, match=r"001_facs\.txt, line 1: a line must hold 4 numbers, got '0\.0000000e\+00'\.$"):
        UnbcDataset.open(tmp_path, "all")


def test_without_pain_scores_and_some_pictures(tmp_path: Path) -> None:
    replica(tmp_path)
    (tmp_path / "Frame_Labels" / "PSPI").rename(tmp_path / "Frame_Labels" / "other")
    (tmp_path / "Images" / "042-ll042" / "ll042t1aaaff" / "ll042t1aaaff002.png").unlink()
    dataset = UnbcDataset.open(tmp_path, "test")
    assert [sample.attributes for sample in dataset.samples] == [{}, {}]
    assert dataset.left_out == {"coded frames without a picture": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4 6 0 0", "the intensity of AU 4 must be between 0 and 5, got 6."),
        ("43 2 0 0", "the intensity of AU 43 must be between 0 and 1, got 2."),
        ("0 2 0 0", "an action unit must be a number from 1 to 99, got 0."),
        ("4 x 0 0", "line 1: a line must hold 4 numbers, got '4 x 0 0'."),
    ],
)
def test_malformed_lines(tmp_path: Path, line: str, message: str) -> None:
    replica(tmp_path)
    path = text(tmp_path / "Frame_Labels" / "FACS" / "042-ll042" / "ll042t1aaaff" / "ll042t1aaaff002_facs.txt", line)
    with pytest.raises(DataError) as error:
        UnbcDataset.open(tmp_path, "all")
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_what_is_missing(tmp_path: Path) -> None:
    replica(tmp_path, images="pictures")
    with pytest.raises(DataError, match="found no Images next to Frame_Labels in"):
        UnbcDataset.open(tmp_path, "all")
