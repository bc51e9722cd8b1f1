from pathlib import Path

import pytest
import yaml

from interpfer.cli.run_tables import notes
from interpfer.models.published import Published
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import leaderboard_rows, read_rows
from interpfer.reports.leaderboard.text import to_markdown
from interpfer.results.published import compare_published
from interpfer.scoring.score import score

STATED = {"rafdb/test": Published(0.9221, "a paper")}


def test_an_accuracy_outside_the_interval_is_not_reproduced() -> None:
    assert compare_published(STATED, "rafdb", "test", 0.3604, (0.35, 0.37))["reproduces"] is False
    assert compare_published(STATED, "rafdb", "test", 0.915, (0.905, 0.925))["reproduces"] is True


def test_other_images_are_not_compared() -> None:
    assert compare_published(STATED, "rafdb", "train", 0.3604, (0.35, 0.37)) == {}
    assert compare_published(STATED, "affectnet", "test", 0.3604, (0.35, 0.37)) == {}
    assert compare_published(STATED, "rafdb", "test", float("nan"), (0.0, 1.0)) == {}


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.999, "does not reproduce"), (None, "reproduces")])
def test_a_score_says_whether_it_reproduces(
    faces: Path, checkpoint: Path, tmp_path: Path, accuracy: float | None, verdict: str
) -> None:
    """In run.json, in the notes of the table, on the report page and on the leaderboard."""
    options = {"data_root": faces, "landmarks": faces / "landmarks.txt", "device": "cpu", "maps": "attention"}
    measured = score(checkpoint, "csv", **options).manifest["classification"]["accuracy"]
    copy = tmp_path / "stated.pt"
    copy.write_bytes(checkpoint.read_bytes())
    card = yaml.safe_load(checkpoint.with_suffix(".yaml").read_text())
    card["published"] = {"csv/all": {"accuracy": accuracy or round(measured, 3), "source": "a paper"}}
    copy.with_suffix(".yaml").write_text(yaml.safe_dump(card))
    run = score(copy, "csv", out=tmp_path / "run", **options)
    published = run.manifest["published"]
    assert (published["measured"], published["reproduces"]) == (measured, verdict == "reproduces")
    (line,) = [note for note in notes(run) if "published" in note]
    assert line.startswith("published accuracy on csv/all .")
    assert line.endswith(f": {verdict}")
    assert f"Reproduction: {line}." in (tmp_path / "run" / "report.html").read_text()
    board = rank_rows(read_rows([tmp_path / "run"]))
    assert [note.rpartition(": ")[2] for note in board.rankings[0].notes] == [verdict]
    assert f": {verdict}" in to_markdown(board.rankings)
    assert leaderboard_rows(run)["published"].tolist() == [f"{published['accuracy']:g}"]
