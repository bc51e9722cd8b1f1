import io
import json
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from interpfer.cli import group
from interpfer.cli.run_tables import comparison_table
from interpfer.scoring.score import score


def test_compare_prints_differences_with_intervals(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    for name, target in (("a", "label"), ("b", "predicted")):
        score(
            checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
            maps="attention,gradcam", metrics="cosine", target=target, out=tmp_path / name,
        )  # fmt: skip
    out = tmp_path / "compare.csv"
    done = CliRunner().invoke(group, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    for text in ("accuracy", "attention", "gradcam", "p (Holm)"):
        assert text in done.stdout
    assert "images taken as independent: no subject is known" in done.stderr
    lines = pd.read_csv(out)
    assert lines["test"].tolist() == ["McNemar", "sign flip", "sign flip"]
    assert lines.loc[lines["map"] == "attention", "difference"].item() == 0
    assert lines.loc[lines["map"] == "gradcam", "difference"].item() != 0

    done = CliRunner().invoke(group, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    assert [(line["n_subjects"], line["better"]) for line in json.loads(done.stdout)][0] == (0, "")

    nothing = CliRunner().invoke(group, ["compare", str(tmp_path / "a"), str(tmp_path / "c")])
    assert nothing.exit_code == 1
    assert "run folder not found" in nothing.stderr


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_comparison_fits_the_terminal(width: int) -> None:
    line = {"map": "attention", "layer_a": "blocks.3", "layer_b": "blocks.3", "metric": "cosine_skill", "a": -0.145,
            "b": 0.1, "difference": 0.245, "ci_low": 0.2, "ci_high": 0.3, "p_holm": 1.1e-13, "n": 166}  # fmt: skip
    console = Console(width=width, file=io.StringIO())
    console.print(comparison_table(pd.DataFrame([line]), "before", "after", width))
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for text in (
        "attention",
        "blocks.3",
        "cosine_skill",
        "-0.145",
        "0.100",
        "+0.245",
        "[+0.200, +0.300]",
        "1.1e-13",
        "166",
    ):
        assert text in shown


def test_what_is_undefined_is_a_dash() -> None:
    nan = float("nan")
    line = {"map": "attention", "layer_a": "blocks.3", "layer_b": "blocks.3", "metric": "cosine", "a": nan, "b": nan,
            "difference": nan, "ci_low": nan, "ci_high": nan, "p_holm": nan, "n": 0}  # fmt: skip
    console = Console(width=140, file=io.StringIO())
    console.print(comparison_table(pd.DataFrame([line]), "before", "after", 140))
    shown = console.file.getvalue()
    assert "nan" not in shown
    cells = shown.splitlines()[-2].replace("│", " ").replace("|", " ").split()
    assert cells == ["attention", "blocks.3", "cosine", "-", "-", "-", "-", "-", "0"]


@pytest.fixture
def two_runs(faces: Path, checkpoint: Path, tmp_path: Path) -> list[str]:
    for name, protocol in (("a", "paper"), ("b", "corrected")):
        score(
            checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
            maps="attention,gradcam", metrics="cosine,pxap", protocol=protocol, out=tmp_path / name,
        )  # fmt: skip
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_stability_of_any_number_of_runs(two_runs: list[str], tmp_path: Path) -> None:
    out = tmp_path / "stability.csv"
    done = CliRunner().invoke(group, ["compare", *two_runs, "--stability", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "maps of model" in done.stdout
    assert "agreement between orders" in done.stdout
    assert "Kendall's tau between the order of all images and that of a resample" in done.stderr
    assert set(pd.read_csv(out)["item"]) >= {"attention", "gradcam"}
    pairs = pd.read_csv(tmp_path / "stability.agreement.csv")
    assert (pairs["rules_a"] != pairs["rules_b"]).sum() == 2, "cosine and pxap, by the two protocols"
    tables = json.loads(CliRunner().invoke(group, ["compare", *two_runs, "--stability", "--json"]).stdout)
    assert set(tables) == {"orders", "agreements"}

    more = CliRunner().invoke(group, ["compare", *two_runs, two_runs[0]])
    assert more.exit_code == 2
    assert "compare takes two runs, or any number with --stability." in more.stderr


def test_the_leaderboard_page_of_runs_shows_how_stable_its_orders_are(two_runs: list[str], tmp_path: Path) -> None:
    page = tmp_path / "board.html"
    done = CliRunner().invoke(group, ["leaderboard", *two_runs, "--out", str(page)])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.count("How stable these orders are") == 2, "one per protocol"
    assert "maps of model" in text


def test_groups_and_different_images_from_the_command_line(two_runs: list[str], tmp_path: Path) -> None:
    first, out = two_runs[0], tmp_path / "groups.csv"
    for name in ("c", "d"):
        copytree(first, tmp_path / name)
    sides = ["--group", f"one={first}", "--group", f"two={tmp_path / 'c'},{tmp_path / 'd'}"]
    done = CliRunner().invoke(group, ["compare", *sides, "--metrics", "cosine", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "a: one (1 run), b: two (2 runs)" in done.stdout
    assert "a single run, so the result holds for that run and not for its training: one" in done.stderr
    table = pd.read_csv(out)
    assert (table["difference"] == 0).all()
    assert table["std_b"].tolist() == [0, 0]

    for words, message in (
        ([first, *sides], "--group takes all runs"),
        (sides[:2], "--group must be passed at least twice"),
        (["--group", "one", *sides], "--group must be NAME=RUN,RUN with a name of its own, got 'one'"),
        ([first], "missing: RUN_B"),
    ):
        refused = CliRunner().invoke(group, ["compare", *words])
        assert refused.exit_code == 2
        assert message in refused.stderr
    unpaired = CliRunner().invoke(group, ["compare", first, str(tmp_path / "c"), "--unpaired", "--json"])
    assert {line["test"] for line in json.loads(unpaired.stdout)} == {"Welch t"}
