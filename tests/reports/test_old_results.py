"""Run folders and leaderboards of older versions: reported, compared and ranked."""

import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interpfer.cli import group
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, read_rows
from interpfer.reports.page.provenance import placeholder_note, reproduce_command
from interpfer.results.run import load_run

OLD_RUN = Path(__file__).parents[1] / "results" / "old_run"
OLD_BOARD = Path(__file__).parent / "old_leaderboard.csv"


def invoke(*args: str | Path) -> Result:
    return CliRunner().invoke(group, [str(arg) for arg in args])


def test_an_old_run_has_a_page_and_figures(tmp_path: Path) -> None:
    folder = tmp_path / "old_run"
    shutil.copytree(OLD_RUN, folder)
    done = invoke("report", folder, "--figures")
    assert done.exit_code == 0, done.output
    page = (folder / "report.html").read_text()
    assert "The class map (gradcam) of old agrees with the expected action units less than a uniform map." in page
    assert "Selvaraju et al. 2017" in page
    assert "<dt>codebook belharbi2024</dt>" in page
    assert len(list((folder / "figures").glob("*.pdf"))) == 5


def test_the_command_of_an_old_run_is_made_from_its_arguments() -> None:
    run = load_run(OLD_RUN)
    assert placeholder_note(run) == (
        "MODEL is the checkpoint, DIR is the folder of the data set, RUN is a new folder. The inputs have the hashes "
        "below. An older version drew the images of --limit in another way, so this command scores others: the run "
        "cannot be repeated to the byte."
    )
    assert shlex.split(reproduce_command(run).replace("\\\n", " ")) == [
        "interpfer", "score", "MODEL", "--dataset", "demo", "--data-root", "DIR", "--split", "test", "--maps",
        "gradcam,baseline:uniform", "--layers", "stages.3", "--metrics", "cosine,pxap,dice_best", "--target", "label",
        "--protocol", "paper", "--codebook", "belharbi2024", "--geometry", "reference", "--seed", "0", "--limit", "5",
        "--out", "RUN",
    ]  # fmt: skip


def test_old_runs_are_compared() -> None:
    done = invoke("compare", OLD_RUN, OLD_RUN)
    assert done.exit_code == 0, done.output
    assert "+0.000 [+0.000, +0.000]" in done.stdout
    assert "pxap: mean over faces here" in done.stderr
    assert "cosine: mean over faces here" not in done.stderr


def test_an_old_run_and_an_old_leaderboard_are_ranked_together() -> None:
    board = rank_rows(read_rows([OLD_BOARD, OLD_RUN]))
    assert board.repeated == 2
    rankings = {ranking.rules["target"]: ranking for ranking in board.rankings}
    label, predicted = rankings["label"], rankings["predicted"]
    assert [(entry.map, entry.rank) for entry in label.entries] == [("baseline:uniform", None), ("gradcam", 1)]
    assert label.entries[1].scores["pxap"].mean == pytest.approx(15.804867)
    assert label.entries[1].scores["pxap"].decimals == 1
    assert predicted.entries[1].scores["cosine"].mean == pytest.approx(0.246, abs=1e-3)


def test_rows_of_this_version_are_appended_to_an_old_leaderboard(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    shutil.copy(OLD_BOARD, path)
    columns = path.read_text().splitlines()[0].split(",")
    append_rows(path, leaderboard_rows(load_run(OLD_RUN)))
    lines = path.read_text().splitlines()
    assert [name for name in lines[0].split(",") if name in columns] == columns
    assert len(lines) == 5
    done = invoke("leaderboard", path, "--format", "md")
    assert done.exit_code == 0, done.output
    assert "| 1 | old | gradcam | stages.3 |" in done.stdout
