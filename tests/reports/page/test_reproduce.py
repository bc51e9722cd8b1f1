"""The command on the page repeats the run to the byte."""

import shlex
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

import interpfer
from interpfer.cli import group
from interpfer.models.small import SmallCNN
from interpfer.reports.page.provenance import placeholder_note, reproduce_command
from interpfer.results.run import load_run

NETWORK = """
from interpfer.models.small import SmallCNN

def build():
    return SmallCNN(7, width=8)
"""


def words_of(command: str) -> list[str]:
    """Return the words that a shell would read."""
    return shlex.split(command.replace("\\\n", " "))


def run_cli(*words: object) -> None:
    result = CliRunner().invoke(group, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@pytest.fixture
def untrusted(tmp_path: Path) -> Path:
    """A checkpoint in a folder with a space in its name, whose card brings code and the wrong order of classes."""
    folder = tmp_path / "my models"
    folder.mkdir()
    torch.save(SmallCNN(7, width=8).state_dict(), folder / "net.pt")
    (folder / "net.py").write_text(NETWORK)
    classes = ["surprise", "sadness", "neutral", "happiness", "fear", "disgust", "anger"]
    card = {"arch": "net.py:build", "classes": classes, "input": {"size": 48, "mean": 0.5, "std": 0.25}}
    (folder / "net.yaml").write_text(yaml.safe_dump(card))
    return folder / "net.pt"


def test_the_command_of_a_score_repeats_its_bytes(faces: Path, untrusted: Path, tmp_path: Path) -> None:
    options = [
        "--data-root", faces, "--landmarks", faces / "landmarks.txt", "--trust", "--classes",
        "anger,disgust,fear,happiness,neutral,sadness,surprise", "--mean", "0.4,0.5,0.6", "--std", "0.3",
        "--maps", "attention,gradcam,baselines", "--layers", "all", "--metrics", "cosine,kl", "--protocol", "corrected",
        "--target", "predicted", "--align-faces", "--limit", 20, "--seed", 3, "--batch-size", 7, "--device", "cpu",
        "--no-faces",
    ]  # fmt: skip
    run_cli("score", untrusted, "--dataset", "csv", *options, "--out", tmp_path / "run")
    run = load_run(tmp_path / "run")
    words = words_of(reproduce_command(run))
    assert words[:3] == ["interpfer", "score", str(untrusted)]
    assert words[-2:] == ["--out", "RUN"]
    assert {str(option) for option in options} <= set(words)
    assert placeholder_note(run) == "RUN is a new folder. The inputs have the hashes below."
    run_cli(*words[1:-1], tmp_path / "again")
    for name in ("scores.csv", "per_image.csv", "confusion.csv", "au_profile.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    page = (tmp_path / "again" / "report.html").read_text()
    assert "--landmarks" in page
    assert "--trust" in page
    assert words_of(reproduce_command(load_run(tmp_path / "again"))) == words


def test_placeholders_stand_for_objects_that_were_passed_in_python() -> None:
    from interpfer.datasets.demo import DemoDataset

    model = interpfer.load_model(SmallCNN(3), classes=["anger", "happiness", "surprise"], input_size=48)
    run = interpfer.score(model, DemoDataset("test", count=7, size=48), maps="gradcam", metrics="cosine", device="cpu")
    assert reproduce_command(run) == (
        "interpfer score MODEL \\\n    --dataset demo \\\n    --name SmallCNN \\\n    --maps gradcam \\\n"
        "    --metrics cosine \\\n    --device cpu \\\n    --out RUN"
    )
    assert placeholder_note(run).startswith("MODEL is the checkpoint")
    assert "DIR" not in placeholder_note(run)
