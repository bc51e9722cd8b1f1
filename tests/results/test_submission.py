"""A run as an entry of the registry of measured checkpoints."""

from pathlib import Path

import pytest
import torch

import interpfer
from interpfer.datasets.demo import DemoDataset
from interpfer.errors import ModelError
from interpfer.models.measured import read_measured
from interpfer.models.model import Model
from interpfer.models.small import SmallCNN
from interpfer.results.run import Run
from interpfer.results.submission import append_submission, describe_run

CLASSES = ["anger", "happiness", "surprise"]


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return interpfer.load_model(SmallCNN(3), classes=CLASSES, input_size=48)


@pytest.fixture(scope="module")
def run(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Run:
    faces = DemoDataset("test", count=20, size=48)
    file = tmp_path_factory.mktemp("sent") / "measured.yaml"
    return interpfer.score(model, faces, maps="gradcam", metrics="cosine", device="cpu", submit=file)


def test_the_values_are_those_of_the_run(run: Run) -> None:
    entry = describe_run(run, "poster/rafdb")
    assert entry.sha256 == run.manifest["checkpoint_sha256"]
    assert entry.dataset_digest == run.manifest["dataset_digest"]
    assert entry.accuracy.value == pytest.approx(run.manifest["classification"]["accuracy"], abs=1e-4)
    assert (entry.accuracy.low, entry.accuracy.high) == pytest.approx(
        run.manifest["classification"]["accuracy_ci"], abs=1e-4
    )
    assert entry.version == interpfer.__version__
    (agreement,) = entry.agreement
    assert agreement.name.startswith("gradcam@")
    assert agreement.value == pytest.approx(run.score("gradcam"), abs=1e-4)
    assert agreement.low <= agreement.value <= agreement.high


def test_a_file_grows_by_entries_and_replaces_the_same_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "measured.yaml"
    append_submission(path, run)
    append_submission(path, run, "poster/rafdb")
    (entry,) = read_measured(path)
    assert entry.preset == "poster/rafdb"
    text = path.read_text().replace(entry.sha256, "f" * 64)
    path.write_text(text)
    append_submission(path, run)
    assert [each.sha256 for each in read_measured(path)] == ["f" * 64, entry.sha256]


def test_a_file_that_holds_something_else_is_found_before_the_score(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "measured.yaml"
    path.write_text("- 1")
    with pytest.raises(ModelError, match="entry 1: must be a mapping"):
        interpfer.score(model, DemoDataset("test", count=4, size=48), device="cpu", submit=path)
    assert path.read_text() == "- 1"


def test_a_run_without_labels(run: Run) -> None:
    manifest = run.manifest | {"classification": run.manifest["classification"] | {"accuracy": None}}
    nameless = type(run).__new__(type(run))
    nameless.__dict__.update(run.__dict__ | {"manifest": manifest})
    with pytest.raises(ModelError, match="--submit needs labelled images"):
        describe_run(nameless)
