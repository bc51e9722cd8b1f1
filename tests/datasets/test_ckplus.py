from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.ckplus import CkPlusDataset, CkPlusNeutralDataset
from interpfer.datasets.subject_splits import FOLDS
from interpfer.errors import DataError
from interpfer.landmarks.base import LandmarkProvider
from tests.replicas import listed, picture, points, text

SEQUENCES = [("S005", "001", 3, 3), ("S010", "002", 2, 7), ("S010", "004", 4, 2), ("S011", "001", 2, None)]


def sequences(root: Path, emotion: str = "Emotion", images: str = "cohn-kanade-images") -> None:
    for subject, sequence, frames, label in SEQUENCES:
        stems = [f"{subject}_{sequence}_{frame:08d}" for frame in range(1, frames + 1)]
        for i, stem in enumerate(stems):
            picture(root / images / subject / sequence / f"{stem}.png", (12, 10))
            face = [f"   {x:.7e}   {y:.7e}" for x, y in points(i)]
            text(root / "Landmarks" / subject / sequence / f"{stem}_landmarks.txt", *face)
        folder = root / emotion / subject / sequence
        folder.mkdir(parents=True)
        if label is not None:
            text(folder / f"{stems[-1]}_emotion.txt", f"   {label:.7e}")


@pytest.mark.parametrize("below", [".", "CK+", "data/CK+"])
@pytest.mark.parametrize("emotion", ["Emotion", "Emotion_labels/Emotion"])
@pytest.mark.parametrize("images", ["cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images"])
def test_last_frames(tmp_path: Path, below: str, emotion: str, images: str) -> None:
    sequences(tmp_path / below, emotion, images)
    dataset = CkPlusDataset.open(tmp_path, "all")
    assert listed(dataset) == [
        ("S005_001_00000003.png", "disgust"),
        ("S010_002_00000002.png", "surprise"),
        ("S010_004_00000004.png", "contempt"),
    ]
    assert [sample.subject for sample in dataset.samples] == ["S005", "S010", "S010"]
    assert dataset.image(2).size == dataset.size(2) == (12, 10)


def test_first_frames_as_neutral(tmp_path: Path) -> None:
    sequences(tmp_path)
    dataset = CkPlusNeutralDataset.open(tmp_path, "all")
    assert listed(dataset)[:2] == [("S005_001_00000003.png", "disgust"), ("S005_001_00000001.png", "neutral")]
    assert len(dataset) == 6


FACS = {
    "S005/001/S005_001_00000003": ("   9.0000000e+00   4.0000000e+00", "\t17.0000000e+00 0.0000000e+00 "),
    "S010/002/S010_002_00000002": (),
    "S011/001/S011_001_00000002": ("1 2", "25 0", "25 5"),
}


def with_facs(root: Path, place: str = "FACS") -> None:
    sequences(root)
    for stem, lines in FACS.items():
        text(root / place / f"{stem}_facs.txt", *lines)


@pytest.mark.parametrize("place", ["FACS", "FACS_labels/FACS"])
def test_action_units_of_last_frames(tmp_path: Path, place: str) -> None:
    with_facs(tmp_path, place)
    dataset = CkPlusDataset.open(tmp_path, "all")
    assert listed(dataset) == [
        ("S005_001_00000003.png", "disgust"),
        ("S010_002_00000002.png", "surprise"),
        ("S010_004_00000004.png", "contempt"),
        ("S011_001_00000002.png", ""),
    ]
    first, nothing, unknown, unlabelled = (sample.aus for sample in dataset.samples)
    assert [(unit.au, str(unit.intensity)) for unit in first.active] == [(9, "0.8"), (17, "nan")]
    assert first.at_least(1).is_present(17) is True  # present, though not graded
    assert first.is_present(12) is False
    assert nothing.active == ()
    assert unknown is None
    assert [(unit.au, unit.intensity) for unit in unlabelled.active] == [(1, 0.4), (25, 1.0)]
    (tmp_path / "Emotion").rename(tmp_path / "elsewhere")
    assert [sample.id for sample in CkPlusDataset.open(tmp_path, "all").samples] == [
        "S005_001_00000003.png",
        "S010_002_00000002.png",
        "S011_001_00000002.png",
    ]


def test_first_frames_are_not_coded(tmp_path: Path) -> None:
    with_facs(tmp_path)
    dataset = CkPlusNeutralDataset.open(tmp_path, "all")
    assert {sample.aus for sample in dataset.samples if sample.label == "neutral"} == {None}
    assert len(dataset) == 7


def test_facs_moves_nobody_to_another_split(tmp_path: Path) -> None:
    for i in range(12):
        place = Path(f"S{i:03d}") / "001" / f"S{i:03d}_001_00000001"
        picture(tmp_path / "cohn-kanade-images" / place.with_suffix(".png"))
        if i % 3:
            text(tmp_path / "Emotion" / f"{place}_emotion.txt", "1")
        text(tmp_path / "coded" / f"{place}_facs.txt", "4 1")
    splits = ("train", "test", "fold2")
    before = {split: listed(CkPlusDataset.open(tmp_path, split)) for split in splits}
    (tmp_path / "coded").rename(tmp_path / "FACS")
    for split in splits:
        now = listed(CkPlusDataset.open(tmp_path, split))
        assert [each for each in now if each[1]] == before[split]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9 6", "the intensity of AU 9 must be between 0 and 5, got 6."),
        ("0 1", "an action unit must be a number from 1 to 99, got 0."),
        ("9", "_facs.txt, line 1: a line must hold 2 numbers, got '9'."),
    ],
)
def test_a_bad_action_unit(tmp_path: Path, line: str, message: str) -> None:
    with_facs(tmp_path)
    path = text(tmp_path / "FACS" / "S005" / "001" / "S005_001_00000003_facs.txt", line)
    with pytest.raises(DataError) as error:
        CkPlusDataset.open(tmp_path, "all")
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_its_landmarks(tmp_path: Path) -> None:
    sequences(tmp_path)
    (tmp_path / "Landmarks" / "S010" / "002" / "S010_002_00000002_landmarks.txt").write_text("1 2")
    provider = CkPlusDataset.open(tmp_path, "all").landmarks()
    assert isinstance(provider, LandmarkProvider)
    found = provider.locate(["S005_001_00000003.png", "S010_002_00000002.png", "S099_001_00000001.png", "x.png"], None)
    assert found.found.tolist() == [True, False, False, False]
    np.testing.assert_allclose(found.points[0].numpy(), points(2))


def test_nobody_is_in_two_parts(tmp_path: Path) -> None:
    for i in range(23):
        for take in range(2):
            picture(tmp_path / "CK+48" / "happy" / f"S{i:03d}_001_0000000{take}.png")
    parts = {
        split: {sample.subject for sample in CkPlusDataset.open(tmp_path, split).samples}
        for split in ("train", "test", "all", *FOLDS)
    }
    assert parts["test"] == {"S000", "S005", "S010", "S015", "S020"} == parts["fold1"] | parts["fold6"]
    assert not parts["train"] & parts["test"]
    assert parts["train"] | parts["test"] == parts["all"] == set().union(*(parts[fold] for fold in FOLDS))
    assert sum(len(parts[fold]) for fold in FOLDS) == 23
    with pytest.raises(DataError, match="no split 'fold11'. Did you mean fold1"):
        CkPlusDataset.open(tmp_path, "fold11")


def test_ck48_keeps_contempt(tmp_path: Path) -> None:
    for name in ("anger", "contempt", "happy"):
        for frame in (15, 16, 17):
            picture(tmp_path / "CK+48" / name / f"S010_004_000000{frame}.png".replace("004", name[:3]), (48, 48))
    dataset = CkPlusDataset.open(tmp_path, "test")
    assert len(dataset) == 9
    assert dataset.classes == ("anger", "happiness", "contempt")
    assert dataset.samples[0].id == "S010_ang_00000015.png"
    assert dataset.samples[0].subject == "S010"
    assert dataset.landmarks() is None


@pytest.mark.parametrize("value", ["8", "-1", "happy", ""])
def test_a_bad_label(tmp_path: Path, value: str) -> None:
    sequences(tmp_path)
    text(tmp_path / "Emotion" / "S005" / "001" / "S005_001_00000003_emotion.txt", value)
    with pytest.raises(DataError, match=r"00000003_emotion\.txt: the emotion must be a number from 0 to 7, got '"):
        CkPlusDataset.open(tmp_path, "all")


def test_what_is_missing(tmp_path: Path) -> None:
    message = "neither cohn-kanade-images with Emotion nor folders anger to surprise of CK.48 in .*jeffcohn"
    with pytest.raises(DataError, match=message):
        CkPlusDataset.open(tmp_path, "all")
    picture(tmp_path / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000001.png")
    with pytest.raises(DataError, match=message):
        CkPlusDataset.open(tmp_path, "all")
    sequences(tmp_path / "CK+")
    last = tmp_path / "CK+" / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000003.png"
    last.unlink()
    (tmp_path / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000001.png").unlink()
    dataset = CkPlusDataset.open(tmp_path / "CK+", "all")
    assert dataset.samples[0].id == "S005_001_00000002.png"
