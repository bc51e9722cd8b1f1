import statistics
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import interpfer
from interpfer.cli import group
from interpfer.models.small import SmallCNN
from interpfer.results.group_comparison import compare_run_groups
from interpfer.results.run import load_run
from interpfer.scoring.score import score
from tests.conftest import EXPRESSIONS

FIGURES = ("scores", "layers-by-class", "confusion", "au-profile", "mean-maps")


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def runs(faces: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, target in (("a", "label"), ("b", "predicted")):
        score(checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
              maps="gradcam,baselines", metrics="cosine", target=target, out=folder / name)  # fmt: skip
    return folder


def test_the_page_of_one_run_is_rebuilt_from_its_folder(runs: Path) -> None:
    page = runs / "a" / "report.html"
    before = page.read_bytes()
    page.unlink()
    done = invoke("report", runs / "a")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(page)
    assert page.read_bytes() == before


def test_two_runs_and_their_names(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    done = invoke("report", runs / "a", runs / "b", "--out", out, "--names", "before,after")
    assert done.exit_code == 0, done.output
    assert "before → after" in out.read_text()
    assert "From before to after, accuracy does not change significantly" in out.read_text()
    wrong = invoke("report", runs / "a", runs / "b", "--names", "one")
    assert wrong.exit_code == 2
    assert "--names must have one name per run (2), got 1." in wrong.stderr


def test_groups_of_runs_are_compared_as_compare_does(faces: Path, tmp_path: Path) -> None:
    folders = []
    for seed in range(4):
        torch.manual_seed(seed)
        model = interpfer.load_model(SmallCNN(7), classes=EXPRESSIONS, input_size=48)
        folders.append(tmp_path / f"run{seed}")
        score(model, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", maps="attention",
              metrics="cosine", out=folders[-1])  # fmt: skip
    out = tmp_path / "groups.html"
    done = invoke("report", *folders, "--groups", "plain,plain,guided,guided", "--out", out)
    assert done.exit_code == 0, done.output
    page = out.read_text()
    assert "guided (2 runs) compared with plain (2 runs)" in page
    own = [load_run(folder) for folder in folders]
    line = compare_run_groups({"plain": own[:2], "guided": own[2:]}).set_index("metric").loc["cosine"]
    assert f"{line['a']:.3f} ± {line['std_a']:.3f}" in page
    assert f"{line['b']:.3f} ± {line['std_b']:.3f}" in page
    values = [run.score("attention") for run in own[:2]]
    assert line["a"] == pytest.approx(sum(values) / 2, abs=1e-5)
    assert line["std_a"] == pytest.approx(statistics.stdev(values), abs=1e-5)
    alone = invoke("report", *folders[:2], "--groups", "plain,plain", "--out", out)
    assert (alone.exit_code, alone.stderr) == (
        1,
        "error: --groups must name two groups at least, got 'plain' for all runs.\n",
    )


def test_figures_are_vectors_and_pictures(runs: Path) -> None:
    done = invoke("report", runs / "a", "--figures")
    assert done.exit_code == 0, done.output
    folder = runs / "a" / "figures"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{end}" for name in FIGURES for end in ("pdf", "svg", "png")
    }
    for name in FIGURES:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (folder / f"{name}.svg").read_text()
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 400


def test_errors_are_one_line(tmp_path: Path) -> None:
    nothing = invoke("report", tmp_path)
    assert nothing.exit_code == 1
    assert "holds no finished run" in nothing.stderr
    assert invoke("report").exit_code == 2


def test_a_run_without_pictures_is_drawn_without(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    done = invoke("score", checkpoint, "--dataset", "csv", "--data-root", faces, "--landmarks", faces / "landmarks.txt",
                  "--maps", "attention", "--out", tmp_path / "run", "--no-report")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "run" / "report.html").exists()
    drawn = invoke("report", tmp_path / "run")
    assert drawn.exit_code == 0
    assert "the page has no pictures: a run was scored with --no-report" in drawn.stderr
    assert 'id="gallery"' not in (tmp_path / "run" / "report.html").read_text()
