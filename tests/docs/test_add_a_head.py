"""The files of the page on adding a head are written, checked, and put on a network as the page says."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from interpfer.finetuning.checkpoints import write_model
from interpfer.models.heads import HEADS
from interpfer.models.heads.attach import attach_head
from interpfer.models.loading import load_model
from interpfer.models.small import SmallCNN
from tests.docs.test_pages import ROOT, blocks


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, in an importable folder."""
    page = (ROOT / "docs" / "howto" / "add-a-head.md").read_text()
    for block in blocks(page, "python"):
        name, content = block.split("\n", 1)
        path = tmp_path / name.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_package", "my_package.heads", "test_heads"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (toml,) = blocks(page, "toml")
    (group,) = tomllib.loads(toml)["project"]["entry-points"].items()
    assert group[0] == HEADS.group
    targets = {name: (target, "my-package") for name, target in group[1].items()}
    monkeypatch.setattr(HEADS, "_targets", HEADS._targets | targets)
    return tmp_path


def test_the_head_of_the_page_passes_its_check_and_is_put_on_a_network(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(package / "tests")
    importlib.import_module("test_heads").test_centre()
    card = {"arch": "interpfer:small", "arch_args": {"width": 4}}
    model = load_model(SmallCNN(2, width=4), classes=["anger", "fear"], input_size=64, **card)
    headed = attach_head(model, "centre", border=0.3)
    write_model(package / "model.pt", headed.module, headed.card)
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(load_model(package / "model.pt").predict_logits(images), headed.predict_logits(images))
