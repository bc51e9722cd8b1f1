"""Every image of a data set is counted once: by a training, and by the preparation of landmarks."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import interpfer
from interpfer.datasets.csv import CsvDataset
from interpfer.faces.prepare import prepare
from interpfer.landmarks.files import FileLandmarks
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN

KINDS = ("fine", "copy", "neutral", "unlabelled", "contempt", "unreadable", "no landmarks")


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "neutral"], input_size=32)


def write_faces(folder: Path, faces: Path, kinds: list[str]) -> Path:
    """Write one picture of noise per kind, with the points of drawn faces; a copy has the pixels of the first one."""
    rng = np.random.default_rng(len(kinds))
    marks = [line.split(",", 1)[1] for line in (faces / "landmarks.txt").read_text().splitlines()]
    (folder / "images").mkdir(parents=True)
    rows, lines = [], []
    for place, kind in enumerate(kinds):
        name = f"{place}.png"
        if kind == "unreadable":
            (folder / "images" / name).write_bytes(b"no picture")
        else:
            pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            first = pixels if place == 0 else first
            Image.fromarray(first if kind == "copy" else pixels).save(folder / "images" / name)
        own = {"neutral": "neutral", "unlabelled": "", "contempt": "contempt"}
        label = own.get(kind, ("anger", "happiness")[place % 2])
        rows.append(f"{name},{label}")
        lines += [] if kind == "no landmarks" else [f"{name},{marks[place]}"]
    (folder / "labels.csv").write_text("\n".join(["image,label", *rows]))
    (folder / "landmarks.txt").write_text("\n".join(lines))
    return folder


many_kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=12).map(lambda kinds: ["fine"] * 12 + kinds)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=many_kinds)
def test_a_training_counts_every_image_once(
    kinds: list[str], model: Model, faces: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_faces(tmp_path_factory.mktemp("faces") / "set", faces, kinds)
    out = folder.parent / "tuned"
    landmarks = FileLandmarks(folder / "landmarks.txt")
    dataset = CsvDataset.open(folder, "test")
    options = {"out": out, "test": None, "epochs": 1, "device": "cpu", "weight": 0.0}
    interpfer.finetune(model, dataset, landmarks=landmarks, **options)
    counts = json.loads((out / "finetune.json").read_text())["counts"]
    found = Counter(kinds)
    assert counts["unlabelled"] == found["unlabelled"]
    assert sum(counts["unknown_class"].values()) == found["contempt"]
    assert counts["unreadable"] == found["unreadable"]
    used = counts["train"] + counts["validation"]
    left_out = counts["unlabelled"] + sum(counts["unknown_class"].values()) + counts["unreadable"] + counts["copies"]
    assert used + left_out == counts["images"] == len(kinds)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=many_kinds)
def test_prepared_landmarks_count_every_image_once(
    kinds: list[str], faces: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_faces(tmp_path_factory.mktemp("faces") / "set", faces, kinds)
    landmarks = FileLandmarks(folder / "landmarks.txt")
    done = prepare(CsvDataset.open(folder, "test"), landmarks, folder.parent / "points.txt")
    found = Counter(kinds)
    assert done.found + len(done.failed) == len(kinds)
    assert len(done.failed) == found["unreadable"] + found["no landmarks"]
    assert not set(done.doubtful) & set(done.failed)
