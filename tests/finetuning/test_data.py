import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from interpfer.datasets.base import Dataset
from interpfer.datasets.csv import CsvDataset
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import DataError, InterpferError
from interpfer.finetuning.data import TrainingFaces, split_faces
from interpfer.finetuning.run import finetune
from interpfer.landmarks.base import LandmarkProvider
from interpfer.landmarks.files import FileLandmarks
from interpfer.models.input import InputSpec
from interpfer.models.loading import load_model
from interpfer.runtime.progress import no_progress
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


def split(dataset: Dataset, provider: LandmarkProvider) -> TrainingFaces:
    return split_faces(dataset, range(len(dataset)), provider, InputSpec(48), QUICK)


def test_images_without_a_subject_are_counted_in_a_note(faces: Path) -> None:
    dataset, provider = CsvDataset.open(faces, "test"), FileLandmarks(faces / "landmarks.txt")
    assert split(dataset, provider).notes == []
    assert not split(dataset, provider).has_subjects
    dataset.samples = tuple(
        replace(sample, subject=None if row < 5 else f"S{row // 2}") for row, sample in enumerate(dataset.samples)
    )
    parts = split(dataset, provider)
    assert parts.has_subjects
    assert parts.without_subject == 5
    assert parts.notes == [f"5 of {len(dataset)} images name no subject; each is split as a person of its own"]


def test_held_out_copies_of_training_images_are_left_out(faces: Path) -> None:
    dataset, provider = CsvDataset.open(faces, "test"), FileLandmarks(faces / "landmarks.txt")
    parts = split(dataset, provider)
    first, copy = parts.train.rows[0], parts.heldout.rows[0]
    samples = list(dataset.samples)
    samples[copy] = replace(samples[copy], path=samples[first].path)
    dataset.samples = tuple(samples)
    parts = split(dataset, provider)
    count = len(parts.heldout.rows)
    parts.load(no_progress)
    assert len(parts.heldout.rows) == count - 1
    assert copy not in parts.heldout.rows
    assert parts.notes == [
        "left out of the held-out images, with the same pixels as a training image: 1 "
        f"({samples[copy].id} = {samples[first].id})"
    ]


def test_subjects_go_through_a_training_to_its_comparison(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    dataset = CsvDataset.open(faces, "test")
    dataset.samples = tuple(
        replace(sample, subject=None if row < 4 else f"S{row // 3}") for row, sample in enumerate(dataset.samples)
    )
    provider = FileLandmarks(faces / "landmarks.txt")
    result = train(checkpoint, dataset, tmp_path / "out", landmarks=provider, test=dataset)
    manifest = json.loads((tmp_path / "out" / "finetune.json").read_text())
    assert manifest["held_out_by"] == "subject"
    assert manifest["without_subject"] == 4
    assert manifest["notes"] == list(result.notes)
    assert result.notes == (f"4 of {len(dataset)} images name no subject; each is split as a person of its own",)
    table = pd.read_csv(tmp_path / "out" / "compare.csv")
    assert set(table["test"]) == {"sign flip"}
    assert result.after is not None
    scored = result.after.per_image.drop_duplicates("image")
    own = (scored["subject"] == "").sum()
    assert table["n_subjects"].iloc[0] == scored.loc[scored["subject"] != "", "subject"].nunique() + own


def test_faces_with_implausible_landmarks_are_named_in_a_note(faces: Path, tmp_path: Path) -> None:
    lines = (faces / "landmarks.txt").read_text().splitlines()
    name, *values = lines[3].split(",")
    lines[3] = ",".join([name, *values[68:], *values[:68]])
    (tmp_path / "landmarks.txt").write_text("\n".join(lines))
    parts = split(CsvDataset.open(faces, "test"), FileLandmarks(tmp_path / "landmarks.txt"))
    parts.load(no_progress)
    assert parts.notes == [f"not guided, by their landmarks: 1 ({name}: implausible landmarks: y before x)"]
    (row,) = (parts.train.implausible | parts.heldout.implausible).keys()
    pool = parts.train if row in parts.train.rows else parts.heldout
    assert pool.points(row).isnan().all()
