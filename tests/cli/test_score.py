import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from interpfer.cli import group


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, [str(arg) for arg in args])


def arguments(faces: Path, checkpoint: Path) -> list[str]:
    return ["score", str(checkpoint), "--dataset", "csv", "--data-root", str(faces),
            "--landmarks", str(faces / "landmarks.txt")]  # fmt: skip


def test_table_on_stdout_notes_on_stderr(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    done = invoke(*arguments(faces, checkpoint), "--out", tmp_path / "run", "--leaderboard", tmp_path / "board.csv")
    assert done.exit_code == 0, done.output
    for text in (
        f"model on {faces.name} (csv), all images, protocol paper",
        "gradcam++",
        "baseline:class-mean-au",
        "cosine_skill",
        "stages.3",
    ):
        assert text in done.stdout
    assert "accuracy" in done.stderr
    assert "scored 36 of 42 images; left out: 6 neutral" in done.stderr
    assert "\x1b[" not in done.stdout
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "scores.csv",
        "per_image.csv",
        "confusion.csv",
        "au_profile.csv",
        "run.json",
        "report.html",
        "report.npz",
    }
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    assert list(scores.columns) == ["map", "layer", "metric", "group", "value", "ci_low", "ci_high", "n"]
    board = pd.read_csv(tmp_path / "board.csv")
    assert len(board) == 6
    assert {"model", "dataset", "split", "protocol", "n", "map", "layer", "accuracy", "macro_f1", "cosine", "pxap",
            "date", "version", "checkpoint_sha256", "dataset_digest", "seed"} <= set(board.columns)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ["--layers", "layer4"],
            "error: model model has no spatial layer 'layer4'. Its stages end in stages.0",
        ),
        (["--maps", "gradcan"], "error: unknown map or group of maps 'gradcan'. Did you mean gradcam"),
        (["--landmarks", "none.txt"], "error: landmark file not found: none.txt."),
        (["--data-root", "nowhere"], "error: data set csv: folder not found: nowhere."),
        (["--dataset", "rafdbb"], "error: unknown data set 'rafdbb'."),
        (["--classes", "anger,angre"], "error: model card"),
    ],
)
def test_errors_of_the_user_are_one_line_and_exit_1(
    faces: Path, checkpoint: Path, change: list[str], text: str
) -> None:
    done = invoke(*arguments(faces, checkpoint), *change)
    assert done.exit_code == 1
    assert done.stdout == ""
    line = done.stderr.strip().splitlines()
    assert len(line) == 1
    assert line[0].startswith(text)


def test_debug_shows_the_traceback(faces: Path, checkpoint: Path) -> None:
    done = invoke("--debug", *arguments(faces, checkpoint), "--maps", "nothing")
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "PluginError"


def test_wrong_calls_exit_2(faces: Path, checkpoint: Path) -> None:
    assert invoke("scor").exit_code == 2
    assert "Did you mean score" in invoke("scor").stderr
    assert invoke("score").exit_code == 2
    both = invoke(*arguments(faces, checkpoint), "--resume", "--overwrite", "--out", "x")
    assert both.exit_code == 2
    assert "--resume needs --out" in invoke(*arguments(faces, checkpoint), "--resume").stderr
    assert "is neither a list of numbers" in invoke(*arguments(faces, checkpoint), "--mean", "a,b").stderr


def test_a_label_that_is_no_expression_is_named_with_its_line(checkpoint: Path, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label\na.png,anger\nb.png,hapy\n")
    done = invoke(*arguments(tmp_path, checkpoint), "--landmarks", faces / "landmarks.txt")
    assert done.exit_code == 1
    assert "labels.csv, line 3: unknown expression 'hapy'. Did you mean happy" in done.stderr


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [1], indirect=True)  # as the process has
def test_kill_in_the_middle_then_resume_gives_the_same_bytes(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    call = [*arguments(faces, checkpoint), "--batch-size", "1", "--device", "cpu"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with subprocess.Popen(
        [sys.executable, "-c", "from interpfer.cli import main; main()", *call, "--out", cut],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while len(list(cut.glob(".parts/*.npz"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert not (cut / "run.json").exists()
    assert list(cut.glob(".parts/*.npz"))

    for out, more in ((cut, ["--resume"]), (whole, [])):
        done = invoke(*call, "--out", out, *more)
        assert done.exit_code == 0, done.output
    for name in ("scores.csv", "per_image.csv", "confusion.csv"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


def test_identical_maps_are_marked_and_impossible_ones_named(faces: Path, checkpoint: Path) -> None:
    done = invoke(*arguments(faces, checkpoint), "--maps", "all", "--limit", "12", "--metrics", "cosine")
    assert done.exit_code == 0, done.output
    assert "hirescam = gradcam" in done.stdout
    assert "computed once" in done.stderr
    assert "attention cannot be rolled out" in done.stderr


def test_the_former_spelling_of_aligned_faces_names_the_present_one(checkpoint: Path, faces: Path) -> None:
    call = ["score", str(checkpoint), "--dataset", "csv", "--data-root", str(faces), "--align"]
    done = CliRunner().invoke(group, call)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == "Error: --align of interpfer score is now --align-faces."
    done = CliRunner().invoke(group, [*call[:-1], "--align-faces", "--print-config"])
    assert "align: true" in done.stdout
    for wrong in ("--aline", "--align-face"):
        assert "No such option" in CliRunner().invoke(group, [*call[:-1], wrong]).stderr
