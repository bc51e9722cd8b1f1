import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from interpfer.cli import group
from interpfer.cli.board_table import board_table
from interpfer.errors import RunError
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import read_rows

HEAD = "model,dataset,split,protocol,n,map,layer,accuracy,cosine,pxap,checkpoint_sha256\n"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.csv"
    rows = (
        "a[red],rafdb,test,paper,9,gradcam,l4,0.9,0.5,20,1",
        "b,rafdb,test,paper,9,gradcam,l4,0.8,0.6,10,2",
        "b,rafdb,test,corrected,9,gradcam,l4,0.8,0.6,10,2",
    )
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, ["leaderboard", *(str(arg) for arg in args)])


def test_a_table_per_ranking_on_stdout(board: Path) -> None:
    done = invoke(board)
    assert done.exit_code == 0, done.output
    assert "rafdb test, protocol paper" in done.stdout
    assert "rafdb test, protocol corrected" in done.stdout
    assert "a[red]" in done.stdout
    assert "\x1b" not in done.stdout
    assert "2 rankings: different data sets, protocols and settings are never ranked together" in done.stderr
    assert invoke(board, "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("name", "begins"), [("b.csv", "rank,"), ("b.md", "**rafdb"), ("b.tex", "% "), ("b.html", "<!doctype")]
)
def test_the_suffix_of_out_sets_the_format(board: Path, tmp_path: Path, name: str, begins: str) -> None:
    done = invoke(board, board, "--sort", "pxap", "--out", tmp_path / "new" / name)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert (tmp_path / "new" / name).read_text().startswith(begins)
    assert "left out: 3 rows that repeat identical runs" in done.stderr


def test_json_is_one_record_per_line(board: Path) -> None:
    lines = json.loads(invoke(board, "--sort", "pxap", "--json").stdout)
    assert [(line["model"], line["rank"], line["protocol"]) for line in lines] == [
        ("a[red]", 1, "paper"), ("b", 2, "paper"), ("b", 1, "corrected")]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--sort", "cosin"], "error: no row has a metric 'cosin'. Did you mean cosine?"),
        (["--metrics", "pxp"], "error: no row has a metric 'pxp'. Did you mean pxap?"),
        (["--format", "latx"], "error: unknown leaderboard format 'latx'. Did you mean latex?"),
        (
            ["--out", "board.doc"],
            "error: cannot infer the format from board.doc: pass --format csv|md|latex|bibtex|html.",
        ),
        (["nowhere.csv"], "error: no leaderboard or run folder at nowhere.csv."),
    ],
)
def test_errors_are_one_line(board: Path, args: list[str], text: str) -> None:
    done = invoke(board, *args)
    assert done.exit_code == 1
    assert done.stderr.startswith(text)


@pytest.mark.parametrize(("wish", "coloured"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    board: Path, monkeypatch: pytest.MonkeyPatch, wish: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in wish.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in invoke(board).stdout) == coloured


@pytest.mark.parametrize("width", [50, 60, 80, 140])
def test_a_narrow_terminal_keeps_names_and_scores_whole(tmp_path: Path, width: int) -> None:
    path = tmp_path / "board.csv"
    path.write_text(
        HEAD.replace("pxap", "pxap,cosine_skill,macro_f1")
        + "a_model_of_some_length,rafdb,test,paper,166,attention-first-half,stages.3.block,0.9,0.5,20.1,0.3,0.8,1\n"
    )
    ranking = rank_rows(read_rows([path])).rankings[0]
    table, hidden_columns = board_table(ranking, None, width)
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "0.500" in text
    assert (hidden_columns == []) == (width == 140)
    for name in set(ranking.select_metrics(None)) - set(hidden_columns):
        assert name in text
    if width >= 60:
        assert "a_model_of_some_length" in text
    asked, _ = board_table(ranking, ["accuracy", "pxap"], 20)
    assert [str(column.header) for column in asked.columns][-2:] == ["accuracy", "pxap"]


def test_maps_and_metrics_are_found_by_other_spellings(board: Path) -> None:
    usual = json.loads(invoke(board, "--maps", "gradcam", "--metrics", "cosine", "--json").stdout)
    other = json.loads(invoke(board, "--maps", "Grad-CAM", "--metrics", "Cosine", "--json").stdout)
    assert usual == other
    assert len(usual) == 3
    unknown = invoke(board, "--maps", "gradcamm")
    assert isinstance(unknown.exception, RunError) or "no row has the map 'gradcamm'" in unknown.stderr
