import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.landmarks.files import FileLandmarks


def test_prepare_writes_landmarks_failures_and_a_sheet(faces: Path, tmp_path: Path) -> None:
    copy = tmp_path / "faces"
    shutil.copytree(faces, copy)
    (copy / "images" / "test_0002.png").write_bytes(b"no image")
    lines = (copy / "landmarks.txt").read_text().splitlines()
    (copy / "landmarks.txt").write_text("\n".join(lines[:4] + lines[5:]))
    out = tmp_path / "prepared" / "landmarks.txt"
    done = CliRunner().invoke(
        group,
        ["prepare", "--dataset", "csv", "--data-root", str(copy), "--landmarks", str(copy / "landmarks.txt"),
         "--out", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "40 of 42 faces found" in done.stdout
    assert "failed: test_0005.png: no face found" in done.stderr
    failures = pd.read_csv(out.with_suffix(".failures.csv")).set_index("image")["reason"]
    assert set(failures.index) == {"test_0002.png", "test_0005.png"}
    assert out.with_suffix(".png").stat().st_size > 10_000
    ids = ["test_0001.png", "test_0005.png", "test_0042.png"]
    before, after = (FileLandmarks(path).locate(ids, None) for path in (copy / "landmarks.txt", out))
    assert after.found.tolist() == [True, False, True]
    np.testing.assert_allclose(before.points[[0, 2]], after.points[[0, 2]], atol=0.02)
