import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import interpfer
from interpfer.errors import RunError
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import append_rows, leaderboard_rows, read_rows, require_leaderboard


def test_rows_hold_the_headline_of_each_metric(faces: Path, checkpoint: Path) -> None:
    from interpfer.scoring.score import score

    run = score(checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu")
    row = leaderboard_rows(run).set_index("map").loc["gradcam"]
    assert row["cosine"] == run.score("gradcam", "cosine", "macro")
    assert row["pxap"] == run.score("gradcam", "pxap", "micro")
    assert row["n"] == 36
    assert row["protocol"] == "paper"
    assert (row["lower_is_better"], row["decimals"]) == ("-", "pxap:1")
    columns = {"lower_is_better": "novel", "decimals": "novel:0"}
    facts = {"novel": {"headline": "micro", "higher_is_better": False, "decimals": 0, "bounds": [0, None]}}
    novel = replace(
        run,
        manifest=run.manifest | {"readings": columns, "metric_facts": facts},
        scores=run.scores.replace("cosine", "novel"),
    )
    rows = leaderboard_rows(novel)
    assert rows["lower_is_better"].unique() == ["novel"]
    assert rows.set_index("map").loc["gradcam", "novel"] == run.score("gradcam", "cosine", "micro")
    old = replace(novel, manifest={key: value for key, value in run.manifest.items() if key != "readings"})
    assert leaderboard_rows(old)["lower_is_better"].unique() == [""]


def test_rows_of_other_columns_merge(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    append_rows(path, pd.DataFrame([{"model": "a", "map": "gradcam", "cosine": 0.5, "novel": 1.0}]))
    append_rows(path, pd.DataFrame([{"model": "b", "map": "gradcam", "cosine": 0.25}]))
    table = pd.read_csv(path)
    assert table["cosine"].tolist() == [0.5, 0.25]
    assert "0.250000" in path.read_text().splitlines()[2]
    assert table["novel"].tolist()[0] == 1.0
    assert pd.isna(table["novel"].tolist()[1])


def test_a_foreign_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RunError, match="is not a leaderboard: it has no columns model and map"):
        append_rows(path, pd.DataFrame([{"model": "a", "map": "gradcam"}]))
    assert path.read_text() == "a,b\n1,2\n"


PROCESSES = 50


def test_fifty_processes_appending_at_once_lose_no_row(tmp_path: Path) -> None:
    """Forks of one light process wait for each other, then append together."""
    board = tmp_path / "board.csv"
    code = f"""
import os, sys
import pandas as pd
from pathlib import Path
from interpfer.reports.leaderboard.ranking import rank_rows
from interpfer.reports.leaderboard.rows import append_rows
assert "torch" not in sys.modules
wait, go = os.pipe()
children = []
for number in range({PROCESSES}):
    if (child := os.fork()) == 0:
        os.close(go)
        os.read(wait, 1)
        append_rows(Path(sys.argv[1]), pd.DataFrame([{{"model": f"m{{number}}", "map": "gradcam"}}]))
        os._exit(0)
    children.append(child)
os.close(go)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(interpfer.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(board)], check=True, env=environment)
    assert sorted(pd.read_csv(board)["model"]) == sorted(f"m{number}" for number in range(PROCESSES))


def test_names_that_a_spreadsheet_would_run_are_escaped_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    names = ["=1+1", "+x", "-y", "@z", "\t=1", "'=quoted", "-0.5", "plain"]
    for name in names:
        append_rows(path, pd.DataFrame([{"model": name, "map": "gradcam", "layer": "-", "cosine": -0.5}]))
    with path.open(newline="") as file:
        cells = [line["model"] for line in csv.DictReader(file)]
    assert cells == ["'=1+1", "'+x", "'-y", "'@z", "'\t=1", "''=quoted", "-0.5", "plain"]
    assert read_rows([path])["model"].tolist() == names
    assert read_rows([path])["cosine"].tolist() == ["-0.500000"] * len(names)


def test_two_codebook_files_of_one_name_are_distinguished(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    from interpfer.scoring.score import score

    (tmp_path / "mine.yaml").write_text("classes: {happiness: [12], anger: [4]}")
    run = score(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", maps="attention",
        codebook=str(tmp_path / "mine.yaml"), limit=12,
    )  # fmt: skip
    assert leaderboard_rows(run)["codebook"].iloc[0].startswith("mine.yaml#")


def test_the_same_run_appended_again_stays_one_row(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    from interpfer.scoring.score import score

    board = tmp_path / "board.csv"
    for target in ("label", "label", "predicted"):
        score(
            checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu",
            maps="gradcam", target=target, leaderboard=board,
        )  # fmt: skip
    assert pd.read_csv(board)["target"].tolist() == ["label", "predicted"]


def test_a_leaderboard_that_cannot_be_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,label\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"list\.csv is not a leaderboard: it has no columns model and map"):
        require_leaderboard(tmp_path / "list.csv")
    for path in (tmp_path, tmp_path / "file" / "board.csv"):
        with pytest.raises(RunError, match="cannot write the leaderboard .*; pass another file"):
            require_leaderboard(path)
    require_leaderboard(tmp_path / "new" / "board.csv")
    assert not (tmp_path / "new" / "board.csv").exists()
    with pytest.raises(RunError, match=r"list\.csv is not a leaderboard"):
        interpfer.score("no model is loaded", "csv", leaderboard=tmp_path / "list.csv")


def test_rows_of_different_truths_are_never_ranked_together(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    run = interpfer.score(
        checkpoint, "csv", data_root=faces, landmarks=faces / "landmarks.txt", device="cpu", maps="gradcam", limit=12
    )
    arguments = run.manifest["arguments"]

    def with_truth(name: str, **settings: str) -> pd.DataFrame:
        changed = arguments | {"truth": name, "truth_settings": list(settings)} | settings
        return leaderboard_rows(replace(run, manifest=run.manifest | {"arguments": changed}))

    path = tmp_path / "board.csv"
    for rows in (leaderboard_rows(run), with_truth("masks", folder="a"), with_truth("masks", folder="b")):
        append_rows(path, rows)
    truths = read_rows([path])["truth"]
    assert truths[0] == "codebook"
    assert len(set(truths)) == 3
    assert truths[1].startswith("masks#")
    leaderboard = rank_rows(read_rows([path]))
    assert len(leaderboard.rankings) == 3
    assert "truth masks#" in leaderboard.rankings[1].title
