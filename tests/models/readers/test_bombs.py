"""Hostile archives: far larger unpacked, with names outside their folder, or an index that points elsewhere."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from interpfer.errors import InterpferError, ModelError
from interpfer.models.checkpoint import read_checkpoint
from interpfer.models.readers import pickles, signatures
from interpfer.models.readers.shards import list_shards, read_shards

WEIGHTS = {"weight": torch.ones(2, 3)}


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "FREE_BYTES", 1 << 16)


def add(path: Path, name: str, content: bytes) -> Path:
    torch.save(WEIGHTS, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["m.pt", "m.pt2", "m.bin"])
@pytest.mark.usefixtures("small_limit")
def test_a_zip_bomb(tmp_path: Path, name: str) -> None:
    path = add(tmp_path / name, "m/data/9", bytes(1 << 22))
    with pytest.raises(ModelError, match=r"would unpack to 0\.0 GB from 0\.0 MB, which no checkpoint does"):
        read_checkpoint(path)


@pytest.mark.usefixtures("small_limit")
def test_a_zip_bomb_in_programs(tmp_path: Path) -> None:
    for name, member in (("s.pt", "m/constants.pkl"), ("e.pt2", "m/models/model.json")):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, bytes(1 << 22))
        with pytest.raises(ModelError, match="would unpack to"):
            read_checkpoint(tmp_path / name)


@pytest.mark.usefixtures("small_limit")
def test_a_bomb_within_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.pkl", bytes(1 << 22))
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pt", inner.getvalue())
    assert pickles.find_imports(tmp_path / "m.pt") == (pickles.BOMB,)
    assert pickles.select_suspicious((pickles.BOMB,)) == (pickles.BOMB,)


@pytest.mark.usefixtures("small_limit")
def test_tar_archives(tmp_path: Path) -> None:
    for mode in ("w:gz", "w:xz"):
        with tarfile.open(tmp_path / "m.tar", mode) as archive:  # type: ignore[call-overload]
            info = tarfile.TarInfo("storages")
            info.size = 1 << 22
            archive.addfile(info, io.BytesIO(bytes(1 << 22)))
        with pytest.raises(InterpferError, match="unpack it first"):
            read_checkpoint(tmp_path / "m.tar")
    block = tarfile.TarInfo("../storages")
    block.size = 1 << 33  # says more than the file holds
    (tmp_path / "m.tar").write_bytes(block.tobuf() + bytes(10240))
    with pytest.raises(InterpferError):
        read_checkpoint(tmp_path / "m.tar")
    assert not (tmp_path.parent / "storages").exists()


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "m/../../evil", "C:/evil", "..\\evil"])
def test_names_outside_an_archive(tmp_path: Path, name: str) -> None:
    path = add(tmp_path / "m.pt", name, b"x")
    with pytest.raises(ModelError, match=r"has a part '.*evil' outside its own folder; do not load it"):
        read_checkpoint(path)
    assert not (tmp_path.parent / "evil").exists()


def index(folder: Path, **files: str) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return path


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "C:x", "..\\x"])
def test_an_index_that_points_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    save_file(WEIGHTS, tmp_path / "secret.safetensors")
    path = index(folder, weight=name)
    with pytest.raises(ModelError, match=r"names the file '.*', which is outside its own folder; do not load it"):
        list_shards(path)
    for config in ({"model_type": "vit"}, {"architecture": "test_resnet"}):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="outside its own folder"):
            read_checkpoint(folder)


def test_weights_in_several_files(tmp_path: Path) -> None:
    one, two = {"a.weight": torch.rand(2, 3)}, {"b.weight": torch.rand(3)}
    save_file(one, tmp_path / "model-00001-of-00002.safetensors")
    files = {"a.weight": "model-00001-of-00002.safetensors", "b.weight": "model-00002-of-00002.safetensors"}
    path = index(tmp_path, **files)
    with pytest.raises(ModelError, match=r"names the file 'model-00002-of-00002\.safetensors', which is not beside it"):
        read_shards(path)
    save_file(two, tmp_path / "model-00002-of-00002.safetensors")
    assert {name: value.tolist() for name, value in read_shards(path).items()} == {
        name: value.tolist() for name, value in (one | two).items()
    }
    index(tmp_path, **files, c="model-00001-of-00002.safetensors")
    with pytest.raises(ModelError, match="lists c, which no file holds"):
        read_shards(path)
    path.write_text("{}")
    with pytest.raises(ModelError, match="has no weight_map"):
        read_shards(path)
