import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import interpfer.demo
from interpfer.cli import group
from interpfer.datasets.demo import COUNTS


def test_demo_writes_scores_pictures_and_a_fine_tuned_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COUNTS, "train", 14)
    monkeypatch.setitem(COUNTS, "test", 14)
    monkeypatch.setattr(interpfer.demo, "EPOCHS", 1)
    monkeypatch.setattr(interpfer.demo, "FINETUNE_OPTIONS", replace(interpfer.demo.FINETUNE_OPTIONS, epochs=1))
    folder = tmp_path / "demo"
    done = CliRunner().invoke(group, ["demo", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    assert "baseline:uniform" in done.stdout
    assert (folder / "maps.png").stat().st_size > 10_000
    assert len(pd.read_csv(folder / "train" / "labels.csv")) == 14
    assert (folder / "run" / "run.json").is_file()
    assert "coded on each face" in done.stdout
    assert json.loads((folder / "run-coded" / "run.json").read_text())["arguments"]["truth"] == "aus"
    assert "fine-tuned towards the action units" in done.stdout
    assert (folder / "tuned" / "before_after.png").stat().st_size > 10_000
    assert json.loads((folder / "tuned" / "finetune.json").read_text())["options"]["epochs"] == 1

    again = CliRunner().invoke(group, ["demo", "--out", str(folder)])
    assert again.exit_code == 1
    assert "is not an empty folder; choose another one with --out" in again.stderr

    rescored = CliRunner().invoke(
        group,
        ["score", str(folder / "model.pt"), "--dataset", "csv", "--data-root", str(folder / "test"),
         "--landmarks", str(folder / "test" / "landmarks.txt"), "--layers", "all", "--maps", "attention"],
    )  # fmt: skip
    assert rescored.exit_code == 0, rescored.output
    for stage in range(4):
        assert f"stages.{stage}" in rescored.stdout
