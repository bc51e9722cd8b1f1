import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner, Result

from interpfer.cli import group
from interpfer.models.small import SmallCNN


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, ["inspect", *map(str, args)])


def test_everything_is_shown(checkpoint: Path) -> None:
    done = invoke(checkpoint)
    assert done.exit_code == 0, done.output
    for text in (
        "state_dict",
        "stages.3",
        "head.bias 7",
        "last, all",
        "a tensor (1, 7)",
        "interpfer:small",
        "--layers",
    ):
        assert text in done.stdout
    assert "arch_args: {width: 8}" in done.stdout
    assert "input: {size: 48, color: rgb, mean: [0.5], std: [0.25]}" in done.stdout
    assert done.stdout.rstrip().endswith("nothing is missing")
    assert "\x1b[" not in done.stdout
    more = invoke(checkpoint, "--layers", "all").stdout
    assert "stages.0.1 " in more
    assert "head " in more


def test_json(checkpoint: Path) -> None:
    facts = json.loads(invoke(checkpoint, "--json").stdout)
    assert facts["ready"]
    assert facts["card"]["classes"][0] == "anger"
    assert yaml.safe_load(facts["card_yaml"]) == facts["card"]
    assert {layer["name"] for layer in facts["layers"] if layer["last"]} == {"stages.3"}


def test_cards_are_tried_on_labelled_faces(checkpoint: Path, faces: Path) -> None:
    done = invoke(checkpoint, "--dataset", "csv", "--data-root", faces, "--limit", "21")
    assert done.exit_code == 0, done.output
    assert "cards tried on 21 labelled faces" in done.stdout
    assert "the card" in done.stdout
    facts = json.loads(invoke(checkpoint, "--dataset", "csv", "--data-root", faces, "--limit", "14", "--json").stdout)
    assert facts["trial"]["n"] == 14


def test_what_is_missing_is_listed_with_status_0(tmp_path: Path, faces: Path) -> None:
    torch.save(SmallCNN(7, width=8).state_dict(), tmp_path / "m.pt")
    done = invoke(tmp_path / "m.pt", "--dataset", "csv", "--data-root", faces)
    assert done.exit_code == 0, done.output
    assert "missing:\n  - classes: 7 expressions in output order" in done.stdout
    assert "class orders were not compared" in done.stderr
    again = invoke(tmp_path / "m.pt", "--arch", "interpfer:small", "--classes", "fer2013", "--input-size", "48")
    assert "arch: the weights of" in again.stdout
    assert "do not fit the architecture" in again.stdout


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "is empty; copy or download it again"), (b"<!DOCTYPE html>", "error: "), (None, "checkpoint not found")],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, text: str) -> None:
    if content is not None:
        (tmp_path / "m.pt").write_bytes(content)
    done = invoke(tmp_path / "m.pt")
    assert done.exit_code == 1
    assert text in done.stderr
    assert "Traceback" not in done.output


def test_wrong_calls(checkpoint: Path) -> None:
    assert "--data-root needs --dataset" in invoke(checkpoint, "--data-root", ".").output
    assert "unknown preset 'postr'. Did you mean poster" in invoke(checkpoint, "--preset", "postr").stderr
    assert "neither a list of numbers" in invoke(checkpoint, "--mean", "0.5;0.5").output


def test_a_real_process(checkpoint: Path) -> None:
    code = "from interpfer.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(checkpoint)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing is missing" in done.stdout
    assert done.stderr == ""
