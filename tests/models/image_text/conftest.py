"""Folders of tiny random image-text models."""

from pathlib import Path

import pytest

from tests.image_text_models import write_folder


@pytest.fixture(scope="session", params=["clip", "siglip", "siglip2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each kind. Read only."""
    return write_folder(tmp_path_factory.mktemp("image_text") / request.param, request.param)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of CLIP. Read only."""
    return write_folder(tmp_path_factory.mktemp("one") / "clip", "clip")
