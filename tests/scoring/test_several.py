import json
from pathlib import Path
from shutil import copy

import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import InterpferError
from interpfer.scoring.options import ScoreOptions
from interpfer.scoring.several import distinct_names, score_models


@pytest.fixture
def models(checkpoint: Path, tmp_path: Path) -> list[Path]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for suffix in (".pt", ".yaml"):
            copy(checkpoint.with_suffix(suffix), tmp_path / name / f"net{suffix}")
    return [tmp_path / name / "net.pt" for name in ("one", "two")]


def test_each_model_has_the_bytes_of_a_score_of_its_own(models: list[Path], faces: Path, tmp_path: Path) -> None:
    words = ["--dataset", "csv", "--data-root", str(faces), "--landmarks", str(faces / "landmarks.txt"), "--device",
             "cpu", "--maps", "gradcam", "--out", str(tmp_path / "runs"), "--quiet"]  # fmt: skip
    first = CliRunner().invoke(group, ["score", str(models[0]), *words[:-2], str(tmp_path / "alone")])
    assert first.exit_code == 0, first.output
    done = CliRunner().invoke(group, ["score", *map(str, models), *words, "--json"])
    assert done.exit_code == 0, done.output
    assert [Path(run["path"]).name for run in json.loads(done.stdout)] == ["one-net", "two-net"]
    for name in ("scores.csv", "per_image.csv"):
        assert (tmp_path / "runs" / "one-net" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    manifest = json.loads((tmp_path / "runs" / "two-net" / "run.json").read_text())
    assert str(models[1]) in manifest["command"]

    again = CliRunner().invoke(group, ["score", *map(str, models), *words])
    assert again.exit_code == 1
    assert "one-net already holds a run; pass --resume" in again.stderr
    kept = (tmp_path / "runs" / "one-net" / "run.json").stat().st_mtime_ns
    resumed = CliRunner().invoke(group, ["score", *map(str, models), *words, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    assert (tmp_path / "runs" / "one-net" / "run.json").stat().st_mtime_ns == kept


def test_several_models_need_a_folder_and_have_names_of_their_own() -> None:
    with pytest.raises(InterpferError, match="several models need a folder for their runs: pass --out DIR"):
        score_models(["a.pt", "b.pt"], "demo", options=ScoreOptions())
    with pytest.raises(InterpferError, match="--name names one model; leave it out for several"):
        score_models(["a.pt", "b.pt"], "demo", options=ScoreOptions(out="runs", name="x"))
    assert distinct_names(["x/a.pt", "x/a.pt", "y.pt"], ["a", "a", "hf://b c"]) == ["x-a-1", "x-a-2", "hf-b-c"]
