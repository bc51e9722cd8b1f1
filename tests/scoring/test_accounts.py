"""Every image of a score is counted once; the sample of --limit holds every class; gaps are named."""

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import interpfer
from interpfer.errors import InterpferError
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.scoring.spec import sample_by_class
from tests.conftest import EXPRESSIONS


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)


def count_images(counts: dict[str, Any]) -> int:
    """Return scored images and those of every reason, added up."""
    skipped = counts["skipped"]
    reasons = [counts["scored"], counts["neutral"], counts["unlabelled"], sum(counts["without_truth"].values())]
    return sum(reasons) + sum(len(names) for names in skipped.values())


KINDS = ("fine", "fine", "fine", "neutral", "unlabelled", "no landmarks", "unreadable", "neutral without landmarks")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=14), small=st.booleans())
def test_scored_and_left_out_add_up(
    kinds: list[str], small: bool, model: Model, faces: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("accounts")
    rows, points = make_faces(faces, folder, ["fine", *kinds])
    codebook = folder / "two.yaml"
    codebook.write_text("classes: {happiness: [6, 12], anger: [4]}")
    options = {"codebook": str(codebook)} if small else {}
    run = interpfer.score(
        model, "csv", data_root=folder, landmarks=points, maps="gradcam", metrics="cosine", device="cpu", **options
    )
    counts = run.manifest["counts"]
    assert counts["images"] == count_images(counts) == len(rows)
    found = Counter(["fine", *kinds])
    assert counts["neutral"] == found["neutral"] + found["neutral without landmarks"]
    assert counts["unlabelled"] == found["unlabelled"]
    assert len(counts["skipped"]["unreadable"]) == found["unreadable"]
    assert len(counts["skipped"]["no landmarks"]) == found["no landmarks"]


def make_faces(faces: Path, folder: Path, kinds: list[str]) -> tuple[list[str], Path]:
    """Write a csv data set of drawn faces with the faults that ``kinds`` name; the first face is of happiness."""
    with (faces / "labels.csv").open() as file:
        source = [row for row in csv.DictReader(file) if row["label"] != "neutral"]
    source.sort(key=lambda row: row["label"] != "happiness")
    marks = dict(line.split(",", 1) for line in (faces / "landmarks.txt").read_text().splitlines())
    (folder / "images").mkdir()
    rows, lines = [], []
    for place, kind in enumerate(kinds):
        old, name = source[place], f"{place}.png"
        image = faces / "images" / old["image"] if (faces / "images").is_dir() else faces / old["image"]
        if kind == "unreadable":
            (folder / "images" / name).write_bytes(b"no picture")
        else:
            shutil.copy(image, folder / "images" / name)
        label = "neutral" if kind.startswith("neutral") else "" if kind == "unlabelled" else old["label"]
        rows.append(f"{name},{label}")
        if not kind.endswith("landmarks"):
            lines.append(f"{name},{marks[old['image']]}")
    (folder / "labels.csv").write_text("\n".join(["image,label", *rows]))
    (folder / "points.txt").write_text("\n".join(lines))
    return rows, folder / "points.txt"


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 3))
def test_the_sample_holds_each_class_in_proportion(labels: list[str], limit: int, seed: int) -> None:
    rows = sample_by_class(labels, limit, seed)
    assert rows == sample_by_class(labels, limit, seed)
    assert list(rows) == sorted(set(rows))
    assert len(rows) == min(limit, len(labels))
    whole, sample = Counter(labels), Counter(labels[row] for row in rows)
    if limit >= len(whole):
        assert sample.keys() == whole.keys()
    if limit >= len(labels):
        return
    rare = sum(max(1 - limit * count / len(labels), 0) for count in whole.values())
    for name, count in whole.items():
        assert abs(sample[name] - limit * count / len(labels)) < 1 + rare


def test_the_seed_of_the_sample_is_its_own(model: Model, faces: Path) -> None:
    options = {"data_root": faces, "landmarks": faces / "landmarks.txt", "maps": "gradcam", "limit": 14}
    options |= {"device": "cpu", "metrics": "cosine"}

    def images(**more: int) -> list[str]:
        return list(interpfer.score(model, "csv", **options, **more).per_image["image"])

    assert images() == images(seed=5)
    assert images() != images(sample_seed=5)


def test_classes_without_a_scored_image_are_named(model: Model, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("classes: {happiness: [6, 12], anger: [4]}")
    run = interpfer.score(
        model,
        "csv",
        data_root=faces,
        landmarks=faces / "landmarks.txt",
        codebook=str(tmp_path / "two.yaml"),
        maps="gradcam",
        device="cpu",
    )
    note = "macro means are over anger, happiness: no image of disgust, fear, sadness, surprise was scored"
    assert note in run.manifest["warnings"]


def test_a_class_that_the_data_set_lacks_is_named(model: Model, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(faces, folder)
    lines = (folder / "labels.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(line for line in lines if "fear" not in line))
    run = interpfer.score(
        model, "csv", data_root=folder, landmarks=folder / "landmarks.txt", maps="gradcam", device="cpu"
    )
    found = "anger, disgust, happiness, sadness, surprise"
    assert f"macro means are over {found}: no image of fear was scored" in run.manifest["warnings"]


def test_seeds_are_not_negative(model: Model) -> None:
    for name in ("seed", "sample_seed"):
        with pytest.raises(InterpferError, match=f"{name.replace('_', ' ')} must be at least 0, got -1"):
            interpfer.score(model, "demo", **{name: -1})


class OnlyAnger(SmallCNN):
    """A network whose logits depend on the picture for the first class alone, so that no other has a Grad-CAM."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return torch.cat([logits[:, :1], logits[:, 1:] * 0], 1)


def test_a_map_that_is_undefined_somewhere_is_set_beside_baselines_of_the_same_faces(faces: Path) -> None:
    torch.manual_seed(0)
    network = interpfer.load_model(OnlyAnger(7), classes=EXPRESSIONS, input_size=48, name="only")
    run = interpfer.score(
        network,
        "csv",
        data_root=faces,
        landmarks=faces / "landmarks.txt",
        maps="gradcam,baseline:center",
        metrics="cosine",
        device="cpu",
    )
    table = run.per_image.pivot(index=["image", "label"], columns="map", values="cosine").reset_index()
    table = table[np.isfinite(table["baseline:center"])]
    defined = table[np.isfinite(table["gradcam"])]
    assert 0 < len(defined) < len(table)
    means = {
        name: pd.Series(defined[name]).groupby(defined["label"]).mean().mean()
        for name in ("gradcam", "baseline:center")
    }
    layer = run.manifest["arguments"]["layers"][0]
    note = (
        f"gradcam@{layer} is undefined on {len(table) - len(defined)} of {len(table)} faces; over the other "
        f"{len(defined)}, the mean cosine is: gradcam {means['gradcam']:.3f}, "
        f"baseline:center {means['baseline:center']:.3f}"
    )
    assert note in run.manifest["warnings"]
