from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets.ferplus import COLUMNS, FerPlusDataset, FerPlusProbabilityDataset, majority, probability
from interpfer.errors import DataError
from tests.replicas import listed, picture, text

VOTES = [
    ("Training", "8 0 0 1 1 0 0 0 0 0"),  # neutral
    ("Training", "4 0 0 4 0 0 0 2 0 0"),  # no majority
    ("Training", "0 0 0 0 0 0 0 0 0 10"),  # no face
    ("PublicTest", "0 0 0 0 0 0 0 8 2 0"),  # contempt
    ("PrivateTest", "0 6 4 0 0 0 0 0 0 0"),  # happiness
    ("PrivateTest", "0 0 0 0 5 0 5 0 0 0"),  # anger or fear
]


def tables(root: Path, votes: list[tuple[str, str]] = VOTES) -> None:
    names = ["" if row.endswith("10") else f"fer{i:07d}.png" for i, (_, row) in enumerate(votes)]
    lines = [f"{use},{name},{row.replace(' ', ',')}" for (use, row), name in zip(votes, names, strict=True)]
    text(root / "fer2013new.csv", f"Usage,Image name,{','.join(COLUMNS)}", *lines)
    pixels = [" ".join([str(i)] * 2304) for i in range(len(VOTES))]
    text(root / "fer2013.csv", "emotion,pixels,Usage", *(f"0,{p},{u}" for p, (u, _) in zip(pixels, VOTES, strict=True)))


def test_the_majority(tmp_path: Path) -> None:
    tables(tmp_path / "FERPlus")
    train = FerPlusDataset.open(tmp_path, "train")
    assert listed(train) == [("fer0000000.png", "neutral")]
    assert train.left_out == {"without agreement on an expression": 2}
    assert listed(FerPlusDataset.open(tmp_path, "val")) == [("fer0000003.png", "contempt")]
    test = FerPlusDataset.open(tmp_path, "test")
    assert listed(test) == [("fer0000004.png", "happiness")]
    assert np.asarray(test.image(0)).max() == np.asarray(test.image(0)).min() == 4
    np.testing.assert_array_equal(test.probabilities, [[0, 1, 0, 0, 0, 0, 0, 0]])


def test_probabilities(tmp_path: Path) -> None:
    tables(tmp_path)
    train = FerPlusProbabilityDataset.open(tmp_path, "train")
    assert listed(train) == [("fer0000000.png", "neutral"), ("fer0000001.png", "neutral")]
    np.testing.assert_allclose(train.probabilities[1], [0.5, 0, 0, 0.5, 0, 0, 0, 0])
    test = FerPlusProbabilityDataset.open(tmp_path, "test")
    assert listed(test) == [("fer0000004.png", "happiness"), ("fer0000005.png", "anger")]
    np.testing.assert_allclose(test.probabilities, [[0, 0.6, 0.4, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.5, 0, 0.5, 0]])
    assert np.asarray(test.image(1)).max() == 5


def plain(votes: list[float], mode: str) -> list[float] | None:
    """The rules step by step, as Microsoft's reader describes them; None where the picture is left out."""
    votes = [v if v > 1 else 0.0 for v in votes]
    total, kept = sum(votes), [0.0] * 10
    if mode == "majority":
        if max(votes) > 0.5 * total:
            kept[votes.index(max(votes))] = 1.0
    else:
        left, count, going = list(votes), 0, True
        gathered = 0.0
        while gathered < 0.75 * total and count < 3 and going:
            top = max(left)
            for i in range(10):
                if left[i] == top:
                    kept[i], left[i] = top, 0.0
                    gathered += top
                    count += 1
                    if i >= 8:
                        going = False
                        if sum(kept) > top:
                            kept[i] = 0.0
                            count -= 1
                        break
        if sum(kept) <= 0.5 * total or count > 3:
            return None
    if not any(kept) or kept.index(max(kept)) >= 8:
        return None
    return [v / sum(kept[:8]) for v in kept[:8]]


@pytest.mark.parametrize(("rule", "mode"), [(majority, "majority"), (probability, "probability")])
def test_the_rules_step_by_step(rule: type, mode: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        votes = rng.multinomial(10, rng.dirichlet([rng.choice([0.1, 0.3, 1.0])] * 10))
        expected = plain(votes.astype(float).tolist(), mode)
        np.testing.assert_allclose(rule(votes), expected or [0.0] * 8, err_msg=str(votes))


@pytest.mark.parametrize("labels", ["fer2013new.csv", "label.csv"])
def test_the_folders_of_the_script(tmp_path: Path, labels: str) -> None:
    tables(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    if labels == "label.csv":
        (tmp_path / "fer2013new.csv").unlink()
        rows = [f'fer{i:07d}.png,"(0, 0, 48, 48)",{VOTES[i][1].replace(" ", ",")}' for i in (4, 5)]
        text(tmp_path / "data" / "FER2013Test" / "label.csv", *rows)
    picture(tmp_path / "data" / "FER2013Test" / "fer0000004.png", (48, 48), 77)
    dataset = FerPlusDataset.open(tmp_path, "test")
    assert listed(dataset) == [("fer0000004.png", "happiness")]
    assert dataset.size(0) == (48, 48)
    assert np.asarray(dataset.image(0)).max() == 77


def test_tables_that_do_not_belong_together(tmp_path: Path) -> None:
    tables(tmp_path, [VOTES[-1], *VOTES[:-1]])
    with pytest.raises(
        DataError, match="do not have the same rows: 2 and 2 of PrivateTest; the first difference is at row 4"
    ):
        FerPlusDataset.open(tmp_path, "test")
    tables(tmp_path, VOTES[:5])
    with pytest.raises(DataError, match="do not have the same rows: 1 and 2"):
        FerPlusDataset.open(tmp_path, "test")


def test_what_is_missing_or_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither fer2013new\.csv nor FER2013Test/label\.csv .*microsoft/FERPlus"):
        FerPlusDataset.open(tmp_path, "test")
    tables(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    with pytest.raises(DataError, match=r"neither fer2013\.csv nor icml_face_data\.csv nor FER2013Test"):
        FerPlusDataset.open(tmp_path, "test")
    tables(tmp_path, [*VOTES[:5], ("PrivateTest", "0 many 0 0 5 0 5 0 0 0")])
    with pytest.raises(DataError, match=r"fer2013new\.csv, line 7: the votes must be ten numbers, got 0, many"):
        FerPlusDataset.open(tmp_path, "test")
    text(tmp_path / "fer2013new.csv", "Usage,Image name,neutral", "Training,a,1")
    with pytest.raises(DataError, match="the column 'happiness' is missing"):
        FerPlusDataset.open(tmp_path, "test")
