"""The table of all images, as CSV and as Parquet."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from interpfer.cli import group
from interpfer.errors import PluginError, RunError
from interpfer.results import image_table
from interpfer.results.comparison import compare
from interpfer.results.image_table import IMAGE_FILES, read_images, require_table_format, table_bytes
from interpfer.results.run import load_run
from interpfer.scoring.score import score

TABLE = pd.DataFrame(
    {
        "image": ["001", "a,b.png", "ü.png", "001"],
        "label": ["anger", "", "7", "anger"],
        "predicted": ["NA", "fear", "nan", "NA"],
        "subject": ["07", "", "7", "07"],
        "map": ["gradcam", "gradcam", "baseline:uniform", "1"],
        "layer": ["1", "1", "-", "2"],
        "cosine": [0.1234567, np.nan, 1.0, -0.0000004],
        "count": [1, 2, 3, 4],
    }
)


def written(tmp_path: Path, kind: str, table: pd.DataFrame = TABLE) -> Path:
    folder = tmp_path / kind
    folder.mkdir()
    (folder / IMAGE_FILES[kind]).write_bytes(table_bytes(IMAGE_FILES[kind], table))
    return folder


def test_both_formats_read_the_same(tmp_path: Path) -> None:
    tables = [read_images(written(tmp_path, kind), ["subject"]) for kind in IMAGE_FILES]
    for table in tables:
        assert table["image"].tolist() == ["001", "a,b.png", "ü.png", "001"]
        assert table["label"].isna().tolist() == [False, True, False, False]
        assert table["predicted"].tolist() == ["NA", "fear", "nan", "NA"]
        assert table["layer"].tolist() == ["1", "1", "-", "2"]
        assert table["subject"].tolist()[::3] == ["07", "07"]
        assert table["cosine"].tolist() == pytest.approx([0.123457, np.nan, 1.0, 0.0], abs=1e-12, nan_ok=True)
    pd.testing.assert_frame_equal(*tables, rtol=1e-12, check_dtype=True)


def test_the_same_table_has_the_same_bytes_as_parquet() -> None:
    first, second = (table_bytes("per_image.parquet", TABLE.copy()) for _ in range(2))
    assert first == second
    assert len(table_bytes("per_image.parquet", pd.concat([TABLE] * 500))) < 20_000


def test_an_empty_table_stays_one(tmp_path: Path) -> None:
    assert list(read_images(written(tmp_path, "parquet", TABLE[:0]))) == list(TABLE)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match="has neither per_image.csv nor per_image.parquet"):
        read_images(tmp_path)
    (tmp_path / "per_image.parquet").write_bytes(table_bytes("per_image.parquet", TABLE)[:-30])
    with pytest.raises(RunError, match=r"per_image.parquet is damaged \("):
        read_images(tmp_path)
    monkeypatch.setattr(image_table, "find_spec", lambda _: None)
    require_table_format("csv")
    with pytest.raises(PluginError, match=r"--tables parquet needs pyarrow: pip install 'interpfer\[parquet\]'"):
        require_table_format("parquet")
    with pytest.raises(RunError, match=r"per_image.parquet needs pyarrow: pip install 'interpfer\[parquet\]'"):
        read_images(tmp_path)


def test_every_reader_takes_either_format(faces: Path, checkpoint: Path, tmp_path: Path) -> None:
    folders = [tmp_path / kind for kind in IMAGE_FILES]
    options = {"data_root": faces, "landmarks": faces / "landmarks.txt", "maps": "attention,baseline:uniform"}
    for kind, folder in zip(IMAGE_FILES, folders, strict=True):
        score(checkpoint, "csv", out=folder, tables=kind, limit=8, report=False, metrics="cosine", **options)
        assert [name for name in IMAGE_FILES.values() if (folder / name).exists()] == [IMAGE_FILES[kind]]
    as_csv, as_parquet = map(load_run, folders)
    pd.testing.assert_frame_equal(as_csv.per_image, as_parquet.per_image, rtol=1e-12)
    assert compare(as_csv, as_parquet)["difference"].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    own = str(folders[1])
    for words in (["compare", *map(str, folders)], ["report", own], ["leaderboard", *map(str, folders)],
                  ["bundle", own, "--out", str(tmp_path / "study.zip"), "--no-figures"]):  # fmt: skip
        done = CliRunner().invoke(group, words)
        assert done.exit_code == 0, done.output
    with ZipFile(tmp_path / "study.zip") as bundle:
        packed = [name for name in bundle.namelist() if name.endswith("per_image.parquet")]
        assert [bundle.read(name) for name in packed] == [(folders[1] / "per_image.parquet").read_bytes()]
    score(checkpoint, "csv", out=folders[1], overwrite=True, limit=8, report=False, metrics="cosine", **options)
    assert (folders[1] / "per_image.csv").read_bytes() == (folders[0] / "per_image.csv").read_bytes()
    assert not (folders[1] / "per_image.parquet").exists()
