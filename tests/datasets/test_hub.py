"""Data sets of the hub: the cache first, the network only where the copy may be incomplete."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from interpfer.datasets import hub
from interpfer.datasets.folder import FolderDataset
from interpfer.datasets.hub import HubDataset, parse_data_address
from interpfer.errors import DataError
from interpfer.runtime.hub_access import HubAddress
from tests.datasets.test_parquet import png, table

hub_constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "3f2a" * 10


def put(cache: Path, repo: str, names: dict[str, bytes | None]) -> Path:
    """Write files into the layout of huggingface_hub; None is a table of ten rows."""
    folder = cache / f"datasets--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    snapshot = folder / "snapshots" / COMMIT
    for name, content in names.items():
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            pq.write_table(table(), snapshot / name)
        else:
            (snapshot / name).write_bytes(content)
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "is_reachable", lambda _: False)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def remote(monkeypatch: pytest.MonkeyPatch, cache: Path, files: dict[str, bytes | None]) -> list[Any]:
    """Put a repository on the hub; return what was asked for."""
    asked: list[Any] = []

    def info(_: Any, repo: str, **_options: Any) -> SimpleNamespace:
        asked.append(repo)
        return SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename=name) for name in files])

    def download(repo: str, allow_patterns: Any = None, local_files_only: bool = False, **_: Any) -> str:
        snapshot = cache / f"datasets--{repo.replace('/', '--')}/snapshots/{COMMIT}"
        if local_files_only:
            if not snapshot.is_dir():
                raise FileNotFoundError
            return str(snapshot)
        asked.append(allow_patterns)
        return str(put(cache, repo, {name: files[name] for name in allow_patterns}))

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(hub, "is_reachable", lambda _: True)
    return asked


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://datasets/a/b", HubAddress("a/b", is_data=True)),
        (Path("hf://datasets/a/b@v1/x/y"), HubAddress("a/b", "v1", "x/y", is_data=True)),
        ("hf://datasets/a/b/50%", HubAddress("a/b", path="50%", is_data=True)),
        ("hf://datasets/a/b@refs%2Fconvert%2Fparquet", HubAddress("a/b", "refs/convert/parquet", is_data=True)),
    ],
)
def test_addresses(text: str | Path, address: HubAddress) -> None:
    assert parse_data_address(text) == address
    assert parse_data_address(str(address)) == address


@pytest.mark.parametrize("text", ["hf://a/b", "hf://datasets/b", "hf://datasets/a/b/../c", "faces", None])
def test_other_addresses_are_refused(text: str | None) -> None:
    with pytest.raises(DataError, match=r"--data-root must be hf://datasets/OWNER/NAME\[@REVISION\]\[/FOLDER\], got"):
        HubDataset.open(text, "test")


def test_a_proven_copy_needs_no_network(cache: Path) -> None:
    put(cache, "a/b", {"data/test-00000-of-00001.parquet": None, "README.md": b"# Faces"})
    faces = HubDataset.open("hf://datasets/a/b", "test")
    assert (faces.name, len(faces), faces.samples[1].label) == ("parquet", 10, "disgust")
    assert faces.notes == (f"read from hf://datasets/a/b@{COMMIT}",)
    with pytest.raises(DataError, match=r"read it with --dataset hub"):
        FolderDataset.open(Path("hf://datasets/a/b"), "test")


def test_an_unproven_copy_is_said(cache: Path) -> None:
    put(cache, "a/b", {"test/happy/1.png": png(1), "test/sad/2.png": png(2)})
    faces = HubDataset.open("hf://datasets/a/b/test", "test")
    assert [each.label for each in faces.samples] == ["happiness", "sadness"]
    assert faces.notes[-1] == "the copy of a/b in the cache (2 files) is assumed to be complete"


@pytest.mark.usefixtures("cache")
def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"is not in the cache .* hf download --repo-type dataset a/b --revision v1\."):
        HubDataset.open("hf://datasets/a/b@v1", "test")
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        HubDataset.open("hf://datasets/a/b", "test")


def test_only_the_split_is_downloaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"data/{split}-0000{i}-of-00002.parquet" for split in ("train", "test") for i in range(2)]
    asked = remote(monkeypatch, cache, dict.fromkeys(names, None) | {"README.md": b"x", "big.bin": b"x"})
    faces = HubDataset.open("hf://datasets/a/b", "test")
    assert len(faces) == 20
    assert asked == ["a/b", [*names[2:], "README.md"]]
    HubDataset.open("hf://datasets/a/b", "test")
    assert len(asked) == 2, "the cache proves that it is complete"
    with pytest.raises(DataError, match=r"hf://datasets/a/b has no split 'val'.* Known: test, train"):
        HubDataset.open("hf://datasets/a/b", "val")


def test_several_kinds_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, "a/b", {"x/test-00000-of-00001.parquet": None, "y/test.zip": b"x", "z/notes.txt": b"x"})
    with pytest.raises(DataError, match=r"several kinds \(parquet, zip\); name a folder of it"):
        HubDataset.open("hf://datasets/a/b", "test")
    assert len(HubDataset.open("hf://datasets/a/b/x", "test")) == 10
    remote(monkeypatch, cache, {"z/notes.txt": b"x"})
    with pytest.raises(DataError, match=r"neither parquet, tar and zip files nor images; it has z/notes\.txt"):
        HubDataset.open("hf://datasets/a/b/z", "test")
