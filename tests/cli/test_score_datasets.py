"""A score of data sets in their official layouts, made of drawn faces."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.datasets.affectnet import ORDER as AFFECTNET
from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.rafdb import ORDER as RAFDB
from tests.replicas import text


def score(checkpoint: Path, *args: object) -> pd.DataFrame:
    out = Path(str(args[-1]))
    call = ["score", checkpoint, *args[:-1], "--maps", "attention", "--out", out]
    done = CliRunner().invoke(group, [str(arg) for arg in call])
    assert done.exit_code == 0, done.output
    return pd.read_csv(out / "per_image.csv")


@pytest.fixture(scope="module")
def drawn() -> DemoDataset:
    return DemoDataset("test", count=14, size=72)


def test_rafdb(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    labels, lines = [], []
    (tmp_path / "basic" / "Image" / "aligned").mkdir(parents=True)
    for i, sample in enumerate(drawn.samples):
        drawn.image(i).save(tmp_path / "basic" / "Image" / "aligned" / f"test_{i + 1:04d}_aligned.jpg")
        labels.append(f"test_{i + 1:04d}.jpg {RAFDB.index(sample.label) + 1}")
        lines.append(",".join([f"test_{i + 1:04d}.jpg", *map(str, drawn.shape(i).points.T.reshape(-1))]))
    text(tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt", *labels)
    points = text(tmp_path / "landmarks.txt", *lines)
    args = ["--dataset", "rafdb", "--data-root", tmp_path, "--landmarks", points]
    table = score(checkpoint, *args, tmp_path / "run")
    assert table["image"].tolist() == [f"test_{i:04d}.jpg" for i in range(1, 15)]
    assert table["label"].tolist() == [sample.label for sample in drawn.samples]
    assert table["cosine"].notna().sum() == 12


def test_affectnet_with_its_own_landmarks(checkpoint: Path, drawn: DemoDataset, tmp_path: Path) -> None:
    (tmp_path / "val_set" / "images").mkdir(parents=True)
    (tmp_path / "val_set" / "annotations").mkdir()
    for i, sample in enumerate(drawn.samples):
        drawn.image(i).save(tmp_path / "val_set" / "images" / f"{i}.jpg")
        np.save(tmp_path / "val_set" / "annotations" / f"{i}_exp.npy", np.array(str(AFFECTNET.index(sample.label))))
        np.save(tmp_path / "val_set" / "annotations" / f"{i}_lnd.npy", drawn.shape(i).points.reshape(-1))
    table = score(checkpoint, "--dataset", "affectnet", "--data-root", tmp_path, tmp_path / "run")
    assert table["label"].tolist() == [sample.label for sample in drawn.samples]
    assert table["cosine"].notna().sum() == 12
