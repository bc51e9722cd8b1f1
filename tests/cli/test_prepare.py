import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner
from PIL import Image

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
    assert "failed: 2 (unreadable image 1, not in the landmark file 1)" in done.stderr
    assert "  test_0005.png: not in the landmark file: landmarks.txt has names such as test_0001.png" in done.stderr
    failures = pd.read_csv(out.with_suffix(".failures.csv")).set_index("image")
    assert failures["reason"].to_dict() == {
        "test_0002.png": "unreadable image",
        "test_0005.png": "not in the landmark file",
    }
    assert failures.loc["test_0002.png", "detail"].startswith("not a readable image (")
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.width > 1000
    ids = ["test_0001.png", "test_0005.png", "test_0042.png"]
    before, after = (FileLandmarks(path).locate(ids, None) for path in (copy / "landmarks.txt", out))
    assert after.found.tolist() == [True, False, True]
    np.testing.assert_allclose(before.points[[0, 2]], after.points[[0, 2]], atol=0.02)
