import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpfer.datasets.webdataset import WebDataset
from interpfer.errors import DataError


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), value, np.uint8)).save(out, "png")
    return out.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def shard(start: int, count: int = 3) -> dict[str, bytes]:
    members = {}
    for row in range(start, start + count):
        members |= {f"s{row:07d}.png": png(row), f"s{row:07d}.cls": str(row % 2).encode()}
    return members


def replica(root: Path) -> None:
    """Write an archive for each split."""
    for split in WebDataset.splits:
        write_tar(root / split / "0.tar", shard(0))
    (root / "classnames.txt").write_text("angry\nhappy\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (0, 1, 10):
        write_tar(tmp_path / f"test/{number}.tar", shard(3 * number))
    (tmp_path / "classnames.txt").write_text("angry\nhappy\n")
    return tmp_path


def test_members_of_a_name_belong_together(folder: Path) -> None:
    faces = WebDataset.open(folder, "test")
    assert [sample.id for sample in faces.samples[2:4]] == ["test/0/s0000002", "test/1/s0000003"]
    assert [sample.label for sample in faces.samples[:3]] == ["anger", "happiness", "anger"]
    for row in (8, 0, 4):
        assert np.asarray(faces.image(row)).max() == int(faces.samples[row].id[-7:])
    assert faces.size(0) == (5, 6)
    assert faces.samples[8].id == "test/10/s0000032"
    assert WebDataset.available_splits(folder) == ("test",)
    with pytest.raises(DataError, match="train"):
        WebDataset.open(folder, "train")


def test_labels_as_json_and_text(tmp_path: Path) -> None:
    facts = json.dumps({"label": "fear", "subject": 7, "age": 31, "more": [1]}).encode()
    members = {
        "a/x.y.jpg": png(1),
        "a/x.json": facts,
        "b.png": png(2),
        "b.txt": b"Happy\n",
        "c.cls": b"0",
        "d.png": png(3),
    }
    write_tar(tmp_path / "faces.tar", members)
    faces = WebDataset.open(tmp_path, "test")
    assert [(each.id, each.label, each.subject, each.attributes) for each in faces.samples] == [
        ("faces/b", "happiness", None, {}),
        ("faces/d", "", None, {}),
    ]
    assert faces.left_out == {"no picture": 2}
    write_tar(tmp_path / "faces.tar", {"a/x.jpg": png(1), "a/x.json": facts})
    one = WebDataset.open(tmp_path, "test").samples[0]
    assert (one.id, one.label, one.subject, one.attributes) == ("faces/a/x", "fear", "7", {"age": "31"})


def test_what_is_not_known_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "classnames.txt").write_text("angry\n")
    with pytest.raises(DataError, match=r"0.tar, s0000001: class 1 is none of the 1 that classnames.txt names"):
        WebDataset.open(folder, "test")
    (folder / "classnames.txt").unlink()
    with pytest.raises(DataError, match="the class is the number 0, and there is no classnames.txt that names it"):
        WebDataset.open(folder, "test")
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(DataError, match=r"found no \*.tar"):
        WebDataset.open(bare, "test")
    (bare / "x.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"x.tar.gz is compressed; unpack it to a .tar first"):
        WebDataset.open(bare, "test")
    (bare / "x.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="not a readable tar archive"):
        WebDataset.open(bare, "test")


def test_damaged_archives(folder: Path) -> None:
    path = folder / "test/1.tar"
    path.write_bytes(path.read_bytes()[: 512 * 5 + 100])
    faces = WebDataset.open(folder, "test")
    assert [sample.id for sample in faces.samples] == [
        *(f"test/0/s{row:07d}" for row in range(3)),
        "test/1/s0000003",
        *(f"test/10/s{row:07d}" for row in range(30, 33)),
    ]
    assert "1.tar is damaged at s0000004" in faces.notes[0]
    (folder / "test/0.tar").write_bytes(b"")
    with pytest.raises(DataError, match="test/0/s0000000: .*0.tar ends within this picture"):
        faces.image(0)
