import os
from pathlib import Path

import pytest

from interpfer.datasets import discovery
from interpfer.datasets.discovery import find_path, folders_below, image_names
from tests.replicas import picture, text


def test_the_nearest_is_found(tmp_path: Path) -> None:
    text(tmp_path / "a" / "deep" / "list.txt", "")
    text(tmp_path / "b" / "list.txt", "")
    assert find_path(tmp_path, "list.txt") == tmp_path / "b" / "list.txt"
    assert find_path(tmp_path, "other.txt", "deep/list.txt") == tmp_path / "a" / "deep" / "list.txt"
    assert find_path(tmp_path, "other.txt") is None


def test_hidden_folders_and_leftovers_of_archives_are_not_searched(tmp_path: Path) -> None:
    for name in (".cache", "__MACOSX"):
        text(tmp_path / name / "list.txt", "")
    assert find_path(tmp_path, "list.txt") is None
    for name in ("b.PNG", "a.jpeg", "._a.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert image_names(tmp_path) == ["a.jpeg", "b.PNG"]


def test_the_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(20):
        (tmp_path / f"{i:02d}" / "below").mkdir(parents=True)
    monkeypatch.setattr(discovery, "MAX_FOLDERS", 7)
    assert len(list(folders_below(tmp_path))) == 7
    (tmp_path / "a/b/c/d/e/f").mkdir(parents=True)
    monkeypatch.setattr(discovery, "MAX_FOLDERS", 1000)
    assert max(len(folder.relative_to(tmp_path).parts) for folder in folders_below(tmp_path)) == discovery.DEPTH


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert find_path(tmp_path, "closed/list.txt") is None


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    picture(tmp_path / "a" / "x.png")
    assert find_path(tmp_path, "y.png") is None
