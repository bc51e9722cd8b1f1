"""Folders of images with metadata beside them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interpfer.datasets.imagefolder import ImageFolderDataset
from interpfer.errors import DataError
from tests.datasets.test_parquet import png

ROWS = [
    {"file_name": "a.png", "label": "happy", "subject": "p1", "age": 31, "box": [1, 2], "aus": "6+12"},
    {"file_name": "sub/b.png", "label": "Fear", "subject": "p2"},
]
README = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': happy
          '1': angry
---
# Faces
"""


def replica(root: Path) -> None:
    """Write images and metadata for each split."""
    for split in ImageFolderDataset.splits:
        folder = root / split
        (folder / "sub").mkdir(parents=True)
        for value, name in enumerate(("a.png", "sub/b.png", "sub/c.png"), 1):
            (folder / name).write_bytes(png(value))
        (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")


def test_metadata_replaces_folders(tmp_path: Path) -> None:
    replica(tmp_path)
    faces = ImageFolderDataset.open(tmp_path, "validation")
    assert (faces.name, faces.split, faces.left_out) == ("imagefolder", "val", {"not in the metadata": 1})
    first, second = faces.samples
    assert (first.id, first.label, first.subject, first.attributes) == ("val/a.png", "happiness", "p1", {"age": "31"})
    assert first.aus is not None
    assert [unit.au for unit in first.aus.active] == [6, 12]
    assert (second.id, second.label) == ("val/sub/b.png", "fear")
    assert [np.asarray(faces.image(row)).max() for row in (0, 1)] == [1, 2]
    assert ImageFolderDataset.available_splits(tmp_path) == ("test", "train", "val")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_formats(tmp_path: Path, kind: str) -> None:
    rows = {"file_name": ["1.png", "2.png"], "label": ["happy", "sad"], "split": ["Training", "test"]}
    if kind == "parquet":
        pq.write_table(pa.table(rows), tmp_path / "metadata.parquet")
    else:
        lines = (",".join(row) for row in zip(*rows.values(), strict=True))
        (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label,split", *lines]))
    faces = ImageFolderDataset.open(tmp_path, "train")
    assert [(each.id, each.label) for each in faces.samples] == [("1.png", "happiness")]
    with pytest.raises(DataError, match=r"1\.png: no such image file"):
        faces.image(0)


def test_numbers_need_names(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\n1.png,0\n2.png,1\n")
    with pytest.raises(DataError, match=r"metadata.csv, line 2: '0' is a number, not the name of a class"):
        ImageFolderDataset.open(tmp_path, "test")
    (tmp_path / "README.md").write_text(README)
    assert [each.label for each in ImageFolderDataset.open(tmp_path, "test").samples] == ["happiness", "anger"]
    (tmp_path / "metadata.csv").write_text("file_name,label\n1.png,2\n")
    with pytest.raises(DataError, match=r"line 2: class 2 is none of the 2 that README.md names"):
        ImageFolderDataset.open(tmp_path, "test")
    (tmp_path / "README.md").write_text(README.replace("'1'", "'3'"))
    with pytest.raises(DataError, match="the classes of 'label' must be numbered from 0"):
        ImageFolderDataset.open(tmp_path, "test")


def test_without_metadata_or_labels(tmp_path: Path) -> None:
    for name in ("happy/a.png", "sad/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(png(1))
    assert [each.label for each in ImageFolderDataset.open(tmp_path, "test").samples] == ["happiness", "sadness"]
    (tmp_path / "metadata.csv").write_text("file_name\nhappy/a.png\n")
    faces = ImageFolderDataset.open(tmp_path, "test")
    assert [each.label for each in faces.samples] == [""]
    assert "has no column of labels, so that images have none; names of folders are not used" in faces.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"file_name": "../x.png"}', r"line 1: 'file_name' must be a file below the folder of the table, got '\.\./x"),
        ('{"file_name": "/etc/x.png"}', "must be a file below the folder"),
        ('{"label": "happy"}', "the column 'file_name' is missing; it has label"),
        ('{"file_name": "a.png"}\n[1]', "line 2: not a JSON object"),
        ('{"file_name": "a.png"', "line 1: not JSON"),
        ("[" * 100_000, "line 1: not JSON"),
        ('{"file_name": "a.png", "File_Name": "b.png"}', "line 1: two columns are called 'file_name'"),
        ('{"file_name": "a.png", "label": "happyy"}', "line 1: unknown expression 'happyy'. Did you mean happy"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "metadata.jsonl").write_text(content)
    with pytest.raises(DataError, match=message):
        ImageFolderDataset.open(tmp_path, "test")


def test_one_table_per_folder(tmp_path: Path) -> None:
    for name in ("metadata.jsonl", "metadata.csv"):
        (tmp_path / name).write_text("file_name\na.png\n")
    with pytest.raises(DataError, match=r"has both metadata.csv and metadata.jsonl; keep one"):
        ImageFolderDataset.open(tmp_path, "test")
