from pathlib import Path

import pytest

from interpfer.datasets.sfew import SfewDataset
from interpfer.errors import DataError
from tests.replicas import listed, picture


@pytest.mark.parametrize("below", [".", "SFEW_2.0", "data/SFEW 2.0"])
@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Train", "Val"),
        ("Train_Aligned_Faces", "Val_Aligned_Faces"),
        ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ],
)
def test_folders(tmp_path: Path, below: str, train: str, val: str) -> None:
    for name in ("Angry", "Sad"):
        picture(tmp_path / below / train / name / "Movie_000123_00000045.png")
        picture(tmp_path / below / val / name / "Movie_000999_00000001.png")
    expected = [("Angry/Movie_000999_00000001.png", "anger"), ("Sad/Movie_000999_00000001.png", "sadness")]
    dataset = SfewDataset.open(tmp_path, "val")
    assert listed(dataset) == expected == listed(SfewDataset.open(tmp_path, "test"))
    assert listed(SfewDataset.open(tmp_path, "train"))[0] == ("Angry/Movie_000123_00000045.png", "anger")
    assert dataset.image(0).size == dataset.size(0) == (8, 8)


def test_what_is_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither Val/Angry nor Val_Aligned_Faces/Angry in .*cs\.anu\.edu\.au"):
        SfewDataset.open(tmp_path, "val")
    picture(tmp_path / "Val" / "Angry" / "a.png")
    (tmp_path / "Val" / "Happpy").mkdir()
    with pytest.raises(DataError, match="Val/Happpy: unknown expression 'Happpy'. Did you mean happy"):
        SfewDataset.open(tmp_path, "val")
