"""A data set that knows who is on its images: intervals are over people, from the files to scores.csv."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpfer.datasets.ckplus import CkPlusDataset
from interpfer.datasets.csv import CsvDataset
from interpfer.results.run import Run
from interpfer.scoring.score import score
from interpfer.statistics.proportions import wilson_interval
from tests.replicas import text

NUMBERS = {
    "neutral": 0,
    "anger": 1,
    "contempt": 2,
    "disgust": 3,
    "fear": 4,
    "happiness": 5,
    "sadness": 6,
    "surprise": 7,
}
PEOPLE = 6


@pytest.fixture(scope="module")
def ckplus(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn faces as sequences of a few people in the layout of CK+, with landmarks."""
    root = tmp_path_factory.mktemp("ckplus")
    dataset = CsvDataset.open(faces, "test")
    points = {
        line.split(",")[0]: np.array(line.split(",")[1:], float).reshape(2, 68).T
        for line in (faces / "landmarks.txt").read_text().splitlines()
        if not line.startswith("image")
    }
    for row, sample in enumerate(dataset.samples):
        subject, sequence = f"S{row % PEOPLE:03d}", f"{row // PEOPLE:03d}"
        stem, place = f"{subject}_{sequence}_00000001", Path(subject) / sequence
        picture = root / "cohn-kanade-images" / place / f"{stem}.png"
        picture.parent.mkdir(parents=True)
        dataset.image(row).save(picture)
        text(root / "Emotion" / place / f"{stem}_emotion.txt", f"   {NUMBERS[sample.label]:.7e}")
        lines = [f"   {x:.7e}   {y:.7e}" for x, y in points[sample.id]]
        text(root / "Landmarks" / place / f"{stem}_landmarks.txt", *lines)
    return root


def run_on(dataset: Any, checkpoint: Path, **options: Any) -> Run:
    return score(checkpoint, dataset, device="cpu", maps="attention,gradcam", metrics="cosine,pxap", **options)


def test_intervals_are_over_people_where_they_are_known(ckplus: Path, faces: Path, checkpoint: Path) -> None:
    known = run_on(CkPlusDataset.open(ckplus, "all"), checkpoint)
    unknown = run_on("csv", checkpoint, data_root=faces, landmarks=faces / "landmarks.txt")
    assert known.manifest["intervals"] == "95 % bootstrap over subjects"
    assert unknown.manifest["intervals"] == "95 % bootstrap over images"
    assert known.manifest["counts"]["scored"] == unknown.manifest["counts"]["scored"] == 36
    assert list(known.per_image)[:6] == ["image", "label", "predicted", "subject", "map", "layer"]
    assert "subject" not in unknown.per_image
    assert set(known.per_image["subject"]) == {f"S{number:03d}" for number in range(PEOPLE)}
    counts = known.manifest["subjects"]
    assert (counts["people"], counts["images_without_subject"]) == (PEOPLE, 0)
    assert set(counts["people_per_class"]) == {name for name in NUMBERS if name not in ("neutral", "contempt")}
    assert unknown.manifest["subjects"] == {}
    for metric, group in (("cosine", "macro"), ("cosine", "micro"), ("pxap", "micro")):
        people, images = (
            run.scores.query(f"map == 'attention' and metric == '{metric}' and group == '{group}'").iloc[0]
            for run in (known, unknown)
        )
        assert people["value"] == pytest.approx(images["value"], abs=2e-4 if metric == "cosine" else 0.02)
        assert people["ci_low"] < people["value"] < people["ci_high"]
        assert abs(people["ci_low"] - images["ci_low"]) + abs(people["ci_high"] - images["ci_high"]) > 1e-4


def test_the_interval_of_the_accuracy_is_over_people_too(ckplus: Path, faces: Path, checkpoint: Path) -> None:
    known = run_on(CkPlusDataset.open(ckplus, "all"), checkpoint).manifest["classification"]
    unknown = run_on("csv", checkpoint, data_root=faces, landmarks=faces / "landmarks.txt").manifest["classification"]
    assert unknown["accuracy_interval"] == "Wilson, images taken as independent"
    assert known["accuracy_interval"] == "Wilson, effective number of images, from subjects"
    n = unknown["n"]
    assert unknown["accuracy_ci"] == pytest.approx(wilson_interval(round(unknown["accuracy"] * n), n))
    low, high = known["accuracy_ci"]
    assert low < known["accuracy"] < high
    assert high - low > unknown["accuracy_ci"][1] - unknown["accuracy_ci"][0]


def test_images_without_a_subject_are_people_of_their_own(ckplus: Path, checkpoint: Path) -> None:
    dataset = CkPlusDataset.open(ckplus, "all")
    dataset.samples = tuple(
        replace(sample, subject=None if row < 3 else sample.subject) for row, sample in enumerate(dataset.samples)
    )
    run = run_on(dataset, checkpoint)
    assert run.manifest["intervals"] == "95 % bootstrap over subjects"
    assert run.manifest["subjects"]["images_without_subject"] == 3
    assert run.manifest["subjects"]["people"] == PEOPLE + 3
    assert (run.per_image["subject"] == "").sum() == 3 * 2  # two maps
