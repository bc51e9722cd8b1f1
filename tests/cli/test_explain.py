import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from interpfer.cli import group


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, ["explain", *(str(arg) for arg in args), "--device", "cpu"])


@pytest.fixture
def call(faces: Path, checkpoint: Path) -> list[str | Path]:
    face = sorted((faces / "images").iterdir())[0]
    return [face, "--model", checkpoint, "--landmarks", faces / "landmarks.txt"]


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.json", b"{")]
)
def test_the_name_of_the_file_is_the_format(call: list[str | Path], tmp_path: Path, name: str, begins: bytes) -> None:
    done = invoke(*call, "--label", "happiness", "--maps", "attention,gradcam", "--out", tmp_path / "new" / name)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / name).read_bytes().startswith(begins)
    for text in ("gradcam", "stages.3", "cosine", "happiness", "baseline:uniform", "action units"):
        assert text in done.stdout
    assert "look at" in done.stderr


def test_json_alone_writes_no_file(call: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(*call, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["maps"][0]["map"] == "attention"
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_of_a_folder_every_picture_and_a_summary(call: list[str | Path], tmp_path: Path) -> None:
    face = Path(call[0])
    (tmp_path / "in").mkdir()
    for name in (face.name, "=1+1.png", "<b>x</b>".replace("/", "") + ".png"):
        shutil.copy(face, tmp_path / "in" / name)
    Image.open(face).convert("L").save(tmp_path / "in" / face.with_suffix(".jpg").name)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture")
    done = invoke(tmp_path / "in", "--model", call[2], "--maps", "gradcam", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "4 of 5 pictures explained" in done.stdout
    assert "skipped: bad.jpg: " in done.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "=1+1.png",
        "<b>x<b>.png",
        f"{face.name}.png",
        f"{face.stem}.jpg.png",
        "summary.csv",
        "summary.jsonl",
    }
    lines = [json.loads(line) for line in (tmp_path / "out" / "summary.jsonl").read_text().splitlines()]
    assert len(lines) == 5
    assert "not a readable image" in lines[-1]["skipped"]
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert "'=1+1.png" in {row["image"] for row in rows}
    assert rows[-1]["image"] == "bad.jpg"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ["--out", "why.gif"],
            "error: --out why.gif: the suffix must be one of .png, .svg, .pdf, .json; a name without one is a folder.",
        ),
        (["--maps", "gradcan"], "error: unknown map or group of maps 'gradcan'. Did you mean gradcam"),
        (["--label", "hapy"], "error: unknown expression 'hapy'."),
        (["--landmarks", "none.txt"], "error: landmark file not found: none.txt."),
    ],
)
def test_errors_are_one_line(call: list[str | Path], change: list[str], text: str) -> None:
    done = invoke(*call, *change)
    assert done.exit_code == 1
    assert done.stderr.startswith(text)
    assert len(done.stderr.splitlines()) == 1


def test_pictures_are_not_overwritten_by_their_explanations(call: list[str | Path], tmp_path: Path) -> None:
    shutil.copy(call[0], tmp_path / "a.png")
    done = invoke(tmp_path, "--model", call[2], "--out", tmp_path)
    assert done.exit_code == 1
    assert "a.png is an input picture; pass another folder" in done.stderr
    done = invoke(tmp_path / "none.png", "--model", call[2], "--json")
    assert (done.exit_code, done.stderr) == (1, f"error: {tmp_path}/none.png: no such image file.\n")


def test_the_protocol_and_what_is_not_judged_are_said(call: list[str | Path]) -> None:
    done = invoke(*call, "--maps", "gradcam", "--out", Path(call[0]).parent.parent / "why.json")
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "Protocol corrected, codebook belharbi2024-printed, geometry scaled." in words
    done = invoke(*call, "--protocol", "paper", "--json")
    assert json.loads(done.stdout)["protocol"] == "paper"
    done = invoke(*call, "--target", "label")
    assert (done.exit_code, done.stderr) == (
        1,
        "error: --target label explains the label of the picture; pass --label.\n",
    )
