from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.evaluate import score


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
    lines = pd.read_csv(out)
    assert lines.loc[lines["map"] == "attention", "difference"].item() == 0
    assert lines.loc[lines["map"] == "gradcam", "difference"].item() != 0

    nothing = CliRunner().invoke(group, ["compare", str(tmp_path / "a"), str(tmp_path / "c")])
    assert nothing.exit_code == 1
    assert "there is no run folder" in nothing.stderr
