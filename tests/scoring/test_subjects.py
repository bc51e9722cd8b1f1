"""A data set that knows who is on its images: intervals are over people, from the files to scores.csv."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpfer.datasets.ckplus import CkPlusDataset
from interpfer.datasets.csv import CsvDataset
from interpfer.results.run import Run
from interpfer.scoring.score import score
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
    for metric, group in (("cosine", "macro"), ("cosine", "micro"), ("pxap", "micro")):
        people, images = (
            run.scores.query(f"map == 'attention' and metric == '{metric}' and group == '{group}'").iloc[0]
            for run in (known, unknown)
        )
        assert people["value"] == pytest.approx(images["value"], abs=2e-4 if metric == "cosine" else 0.02)
        assert people["ci_low"] < people["value"] < people["ci_high"]
        assert abs(people["ci_low"] - images["ci_low"]) + abs(people["ci_high"] - images["ci_high"]) > 1e-4
