"""Zip files, read without unpacking."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from interpfer.datasets import zipped
from interpfer.datasets.folder import FolderDataset
from interpfer.datasets.zipped import ZipDataset
from interpfer.errors import DataError
from tests.datasets.test_parquet import png


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def faces(base: str = "archive/") -> dict[str, bytes]:
    return {
        f"{base}{split}/images/{label}/{value}.png": png(value)
        for split, first in (("Training", 0), ("Testing", 10))
        for value, label in enumerate(("happy", "sad", "boredom"), first)
    }


def replica(root: Path) -> None:
    """Write an archive with a folder for each split."""
    members = {f"{split}/happy/{split}.png": png(1) for split in ZipDataset.splits}
    write_zip(root / "faces.zip", members)


def test_class_folders_are_those_of_the_unpacked_archive(tmp_path: Path) -> None:
    members = faces() | {"__MACOSX/archive/._x.png": b"", "archive/readme.txt": b"x", "archive/cover.png": png(3)}
    path = write_zip(tmp_path / "faces.zip", members)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    for split in ("train", "test"):
        inside, outside = ZipDataset.open(path, split), FolderDataset.open(tmp_path / "unpacked", split)
        assert [each.label for each in inside.samples] == [each.label for each in outside.samples]
        for row in range(3):
            assert np.array_equal(inside.image(row), outside.image(row))
            assert inside.size(row) == (5, 6)
    assert inside.left_out == {"not in a class folder": 1}
    assert inside.samples[0].id == "archive/Testing/images/boredom/12.png"
    assert ZipDataset.available_splits(tmp_path) == ("test", "train")
    with pytest.raises(DataError, match="no split 'val'"):
        ZipDataset.open(tmp_path, "val")


def test_tables(tmp_path: Path) -> None:
    table = b"image,label,subject,aus\n1.png,happy,p1,12\nimages/2.png,sad,p2,\n3.png,fear,p3,?\n"
    path = write_zip(tmp_path / "a.zip", {"d/labels.csv": table, "d/images/1.png": png(1), "d/images/2.png": png(2)})
    data = ZipDataset.open(path, "test")
    assert [(each.id, each.label, each.subject) for each in data.samples] == [
        ("d/images/1.png", "happiness", "p1"),
        ("d/images/2.png", "sadness", "p2"),
        ("d/3.png", "fear", "p3"),
    ]
    assert [each.aus is None for each in data.samples] == [False, False, True]
    assert np.asarray(data.image(1)).max() == 2
    with pytest.raises(DataError, match=r"a\.zip, d/3\.png: cannot be unpacked .*no item named"):
        data.image(2)
    rows = b'{"file_name": "1.png", "label": "happy"}\n'
    members = {f"{split}/metadata.jsonl": rows for split in ("train", "test")}
    path = write_zip(tmp_path / "b.zip", members | {"train/1.png": png(1), "test/1.png": png(2), "test/2.png": png(3)})
    data = ZipDataset.open(path, "test")
    assert [each.id for each in data.samples] == ["test/1.png"]
    assert data.left_out == {"not in the table": 1}
    with pytest.raises(DataError, match="found 2 zip files"):
        ZipDataset.open(tmp_path, "test")


def test_names_that_lead_out_and_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("../../evil.png", "/abs/x.png", "C:\\x.png", "happy/../../x.png")
    members = {name: png(9) for name in names} | {"happy/1.png": png(1), "sad/2.png": b"\0" * 50_000}
    path = write_zip(tmp_path / "faces.zip", members)
    data = ZipDataset.open(path, "test")
    assert [each.id for each in data.samples] == ["happy/1.png", "sad/2.png"]
    assert data.left_out == {"name leads out of the archive": 4}
    monkeypatch.setattr(zipped, "LARGEST", 40_000)
    with pytest.raises(DataError, match=r"sad/2\.png: unpacks to more than 0 MB"):
        data.image(1)
    assert np.asarray(data.image(0)).max() == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["faces.zip"]


def test_damaged_encrypted_and_other_archives(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"happy/1.png": png(1), "sad/2.png": png(2)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT")] ^= 1
    path.write_bytes(content)
    data = ZipDataset.open(path, "test")
    with pytest.raises(DataError, match="cannot be unpacked .*CRC"):
        data.image(0)
    assert np.asarray(data.image(1)).max() == 2
    path.write_bytes(path.read_bytes().replace(b"sad/2.png", b"\0ad/2.png"))
    assert ZipDataset.open(path, "test").left_out == {"name leads out of the archive": 1}
    path.write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="not a readable zip file"):
        ZipDataset.open(path, "test")
    write_zip(path, {"happy/1.png": png(1)}, zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="neither stored nor deflated"):
        ZipDataset.open(path, "test").image(0)
    for members, message in (
        ({"read.me": b""}, r"holds no images; it has read\.me"),
        ({"1.png": png(1)}, "neither a table of labels nor a folder per class"),
        ({"a/happy/1.png": png(1), "b/happy/1.png": png(1)}, "a and b both contain folders per class"),
        ({"a/labels.csv": b"", "labels.csv": b"", "1.png": b""}, "holds several tables of labels"),
        ({"labels.csv": b"image,label\n../x.png,happy\n", "1.png": b""}, "line 2: 'image' must be a file below"),
    ):
        write_zip(path, members)
        with pytest.raises(DataError, match=message):
            ZipDataset.open(path, "test")
    with pytest.raises(DataError, match=r"x\.zip is a zip file; unpack it, or read it with --dataset zip"):
        FolderDataset.open(path, "test")


def test_a_forked_process_opens_its_own(tmp_path: Path) -> None:
    data = ZipDataset.open(write_zip(tmp_path / "faces.zip", faces("")), "train")
    assert isinstance(data, ZipDataset)
    data.image(0)
    mine = data._archive()
    data._opened = (os.getpid() + 1, mine)
    assert data._archive() is not mine
    assert data.content(0) == mine.read(data.samples[0].id)
    assert io.BytesIO(data.content(1)).read(4) == b"\x89PNG"
