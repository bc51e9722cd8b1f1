"""The files of the page on adding a model are written, loaded and checked as the page says."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from interpfer.models import ARCHITECTURES
from interpfer.models.loading import load_model
from tests.docs.test_pages import ROOT, blocks


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, in an importable folder."""
    page = (ROOT / "docs" / "howto" / "add-a-model.md").read_text()
    for block in blocks(page, "python", "yaml"):
        name, content = block.split("\n", 1)
        path = tmp_path / name.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_package", "my_package.networks"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (toml,) = blocks(page, "toml")
    (group,) = tomllib.loads(toml)["project"]["entry-points"].items()
    assert group[0] == ARCHITECTURES.group
    targets = {name: (target, "my-package") for name, target in group[1].items()}
    monkeypatch.setattr(ARCHITECTURES, "_targets", ARCHITECTURES._targets | targets)
    return tmp_path


def test_the_check_of_the_page_passes(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package / "tests")
    monkeypatch.delitem(sys.modules, "test_networks", raising=False)
    module = importlib.import_module("test_networks")
    assert Path(module.__file__ or "").is_relative_to(package)
    module.test_small()


def test_a_card_names_the_network_without_trust(package: Path) -> None:
    network = importlib.import_module("my_package.networks").build("small", 7, width=32)
    torch.save(network.state_dict(), package / "model.pt")
    model = load_model(package / "model.pt")
    assert type(model.module).__name__ == "SmallNet"
    assert (model.card.input.size, len(model.classes)) == (112, 7)
    assert model.layers("all") == ("stem", "body")
