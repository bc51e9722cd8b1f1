from pathlib import Path

import pytest

from interpfer.datasets.disfa import AUS, FOLDS, DisfaDataset
from interpfer.errors import DataError
from tests.replicas import picture, text

CODES = {
    "SN001": {1: [0, 3, 0], 12: [5, 0, 0], 25: [1, 1, 0]},
    "SN003": {12: [2, 0]},
}


def replica(root: Path, first: int = 0, place: str = "{person}/{number}.png", codes: dict = CODES) -> None:
    for person, columns in codes.items():
        count = len(next(iter(columns.values())))
        for au in AUS:
            levels = columns.get(au, [0] * count)
            lines = [f"{frame},{level}" for frame, level in enumerate(levels, 1)]
            text(root / "ActionUnit_Labels" / person / f"{person}_au{au}.txt", *lines)
        for row in range(count if place else 0):
            picture(root / place.format(person=person, number=row + first))


def seen(dataset: DisfaDataset) -> dict[str, dict[int, float]]:
    return {sample.id: {unit.au: unit.intensity for unit in sample.aus.active} for sample in dataset.samples}


@pytest.mark.parametrize(
    ("first", "place"),
    [
        (0, "{person}/{number}.png"),
        (0, "Frames_LeftCamera/{person}/{number:05d}.png"),
        (1, "images/LeftVideo{person}_comp/LeftVideo{person}_comp_{number:04d}.png"),
        (1, "Videos_LeftCamera_frames/LeftVideo{person}_comp_{number:05d}.jpg"),
    ],
)
def test_frames_are_joined_by_number(tmp_path: Path, first: int, place: str) -> None:
    replica(tmp_path, first, place)
    dataset = DisfaDataset.open(tmp_path, "all")
    assert list(seen(dataset).values()) == [
        {12: 1.0, 25: 0.2},
        {1: 0.6, 25: 0.2},
        {},
        {12: 0.4},
        {},
    ]
    numbers = [Path(sample.id).stem[-1] for sample in dataset.samples]
    assert numbers == [str(n + first) for n in (0, 1, 2, 0, 1)]
    assert [sample.subject for sample in dataset.samples] == ["SN001"] * 3 + ["SN003"] * 2
    assert all(sample.aus.coded == frozenset(AUS) for sample in dataset.samples)
    assert dataset.samples[0].aus.is_present(7) is None
    assert dataset.samples[2].aus.is_present(12) is False
    assert {sample.label for sample in dataset.samples} == {""}
    assert f"pictures are counted from {first}" in dataset.notes[0]
    assert all(sample.path.is_file() for sample in dataset.samples)


def test_a_unit_without_a_file_or_a_frame_is_not_coded(tmp_path: Path) -> None:
    replica(tmp_path)
    folder = tmp_path / "ActionUnit_Labels" / "SN001"
    (folder / "SN001_au12.txt").unlink()
    text(folder / "SN001_au1.txt", "1,0", "3,2")
    first, second, third = DisfaDataset.open(tmp_path, "all").samples[:3]
    assert [first.aus.is_present(au) for au in (1, 12, 25)] == [False, None, True]
    assert [second.aus.is_present(au) for au in (1, 12, 25)] == [None, None, True]
    assert third.aus.is_present(1) is True


def test_one_camera_and_missing_pictures(tmp_path: Path) -> None:
    replica(tmp_path, place="Video_RightCamera/{person}/{number}.png")
    assert [sample.path.parts[-3] for sample in DisfaDataset.open(tmp_path, "all").samples] == ["Video_RightCamera"] * 5
    replica(tmp_path, place="Video_LeftCamera/{person}/{number}.png")
    dataset = DisfaDataset.open(tmp_path, "all")
    assert [sample.path.parts[-3] for sample in dataset.samples] == ["Video_LeftCamera"] * 5
    (tmp_path / "Video_LeftCamera" / "SN001" / "1.png").unlink()
    dataset = DisfaDataset.open(tmp_path, "all")
    assert [sample.id for sample in dataset.samples] == ["SN001/0.png", "SN001/2.png", "SN003/0.png", "SN003/1.png"]
    assert dataset.left_out == {"coded frames without a picture": 1}


def test_splits_are_by_person(tmp_path: Path) -> None:
    replica(tmp_path)
    ids = {
        split: [s.subject for s in DisfaDataset.open(tmp_path, split).samples] for split in ("train", "test", "fold3")
    }
    assert ids == {"train": ["SN001"] * 3, "test": ["SN003"] * 2, "fold3": ["SN001"] * 3}
    people = sorted(sum(FOLDS.values(), []))
    assert len(set(people)) == len(people) == 27
    assert not {"SN014", "SN015", "SN019", "SN020", "SN022"} & set(people)
    assert people[0] == "SN001"
    assert people[-1] == "SN032"


def test_every_second_frame(tmp_path: Path) -> None:
    replica(tmp_path)
    dataset = DisfaDataset.open(tmp_path, "all:2")
    assert [sample.id for sample in dataset.samples] == ["SN001/0.png", "SN001/2.png", "SN003/0.png"]
    assert dataset.split == "all:2"


def test_thousands_of_frames(tmp_path: Path) -> None:
    levels = [frame % 6 for frame in range(1, 2001)]
    replica(tmp_path, place="", codes={"SN001": {12: levels}})
    folder = tmp_path / "SN001"
    folder.mkdir()
    for frame in range(300):
        (folder / f"{frame}.png").touch()
    dataset = DisfaDataset.open(tmp_path, "all")
    assert len(dataset) == 300
    assert dataset.left_out == {"coded frames without a picture": 1700}
    found = [sum(unit.intensity for unit in sample.aus.active) for sample in dataset.samples]
    assert found == pytest.approx([level / 5 for level in levels[:300]])
    assert len({id(sample.aus) for sample in dataset.samples}) == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,6", "SN001_au12.txt, line 2: a code must be one of 0, 1, 2, 3, 4, 5, got 6."),
        ("2;1", "SN001_au12.txt, line 2: a line must hold 2 numbers, got '2;1'."),
        ("2,", "SN001_au12.txt, line 2: a line must hold 2 numbers, got '2,'."),
    ],
)
def test_malformed_lines(tmp_path: Path, line: str, message: str) -> None:
    replica(tmp_path)
    text(tmp_path / "ActionUnit_Labels" / "SN001" / "SN001_au12.txt", "1,0", line, "3,0")
    with pytest.raises(DataError) as error:
        DisfaDataset.open(tmp_path, "all")
    assert message in str(error.value)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no ActionUnit_Labels in .*mohammadmahoor"):
        DisfaDataset.open(tmp_path, "all")
    replica(tmp_path, place="other/{number}.png")
    with pytest.raises(DataError, match=r"no pictures of frames such as SN001/0\.png \(extract them"):
        DisfaDataset.open(tmp_path, "all")
