from pathlib import Path

import pytest

from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import DataError, InterpferError
from interpfer.finetuning.run import finetune
from interpfer.landmarks.files import FileLandmarks
from interpfer.models.loading import load_model
from tests.finetuning.trainings import QUICK, train


def test_an_unknown_split_is_refused(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no split 'tset'"):
        finetune(checkpoint, "demo", out=tmp_path / "a", recipe=QUICK, test="tset", device="cpu")
    with pytest.raises(InterpferError, match="test='val': an open data set has no other splits"):
        train(checkpoint, drawn, tmp_path / "b", test="val")
    assert not (tmp_path / "a").exists()


def test_labels_that_the_model_does_not_know_are_refused(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    model.classes = ("contempt",)
    with pytest.raises(InterpferError, match=r"has a label that the model knows \(contempt\)"):
        finetune(
            model, CsvDataset.open(faces, "test"), landmarks=FileLandmarks(faces / "landmarks.txt"), out=tmp_path / "x",
            test=None, device="cpu",
        )  # fmt: skip
