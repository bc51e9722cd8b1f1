"""What many tests share: drawn faces on disk, and a small classifier with its card."""

from pathlib import Path

import pytest
import torch
import yaml

from interpfer.datasets.demo import DemoDataset
from interpfer.datasets.export import write_csv_layout
from interpfer.models.small import SmallCNN

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 42 drawn faces in the layout of ``--dataset csv``, with landmarks.txt. Read only."""
    folder = tmp_path_factory.mktemp("faces")
    write_csv_layout(DemoDataset("test", count=42, size=72), folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained classifier, model.pt beside model.yaml. Read only."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(SmallCNN(7, width=8).state_dict(), path)
    card = {
        "arch": "interpfer:small",
        "arch_args": {"width": 8},
        "classes": EXPRESSIONS,
        "input": {"size": 48, "mean": 0.5, "std": 0.25},
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    return path
