from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest

from interpfer.errors import RunError
from interpfer.reports.leaderboard import append, leaderboard_rows


def test_rows_hold_the_headline_of_each_metric(faces: Path, checkpoint: Path) -> None:
    from interpfer.evaluate import score  # spawned processes import this file, and need no torch

    run = score(checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu")
    row = leaderboard_rows(run).set_index("map").loc["gradcam"]
    assert row["cosine"] == run.score("gradcam", "cosine", "macro")
    assert row["pxap"] == run.score("gradcam", "pxap", "micro")
    assert row["n"] == 36
    assert row["protocol"] == "paper"


def test_rows_of_other_columns_merge(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    append(path, pd.DataFrame([{"model": "a", "map": "gradcam", "cosine": 0.5, "novel": 1.0}]))
    append(path, pd.DataFrame([{"model": "b", "map": "gradcam", "cosine": 0.25}]))
    table = pd.read_csv(path)
    assert table["cosine"].tolist() == [0.5, 0.25]
    assert "0.250000" in path.read_text().splitlines()[2]
    assert table["novel"].tolist()[0] == 1.0
    assert pd.isna(table["novel"].tolist()[1])


def test_a_foreign_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match="is no leaderboard: it has no columns model and map"):
        append(path, pd.DataFrame([{"model": "a", "map": "gradcam"}]))
    assert path.read_text() == "a,b\n1,2\n"


def _append_one(path: str, number: int) -> None:
    append(Path(path), pd.DataFrame([{"model": f"m{number}", "map": "gradcam"}]))


def test_processes_appending_at_once_lose_no_row(tmp_path: Path) -> None:
    path = str(tmp_path / "board.csv")
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(_append_one, [path] * 24, range(24)))
    assert sorted(pd.read_csv(path)["model"]) == sorted(f"m{i}" for i in range(24))


def test_the_same_run_appended_again_stays_one_row(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    from interpfer.evaluate import score

    board = tmp_path / "board.csv"
    for target in ("label", "label", "predicted"):
        score(
            checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
            maps="gradcam", target=target, leaderboard=board,
        )  # fmt: skip
    assert pd.read_csv(board)["target"].tolist() == ["label", "predicted"]
