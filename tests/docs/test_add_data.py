"""The files of the pages on data sets, landmarks and codebooks are written, registered and checked as the pages say."""

import importlib
import inspect
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from interpfer.au import CODEBOOKS
from interpfer.cli import group
from interpfer.datasets import DATASETS
from interpfer.landmarks import PROVIDERS
from interpfer.registry import Registry
from tests.docs.test_pages import ROOT, blocks


@pytest.fixture
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ModuleType]:
    """Write the files of a page into an importable folder, and register its entry point.

    Returns:
        The name of the plugin, and the module of its test.
    """
    name, registry = request.param
    text = (ROOT / "docs" / "howto" / f"{name}.md").read_text()
    for block in blocks(text, "python", "yaml"):
        path, content = block.split("\n", 1)
        (tmp_path / path.removeprefix("# ")).parent.mkdir(exist_ok=True)
        (tmp_path / path.removeprefix("# ")).write_text(content)
    (test,) = (tmp_path / "tests").iterdir()
    for folder in (tmp_path, test.parent):
        monkeypatch.syspath_prepend(folder)
    for module in ["my_package", test.stem, *(f"my_package.{path.stem}" for path in tmp_path.glob("my_package/*.py"))]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    (toml,) = blocks(text, "toml")
    ((entry_group, points),) = tomllib.loads(toml)["project"]["entry-points"].items()
    assert entry_group == registry.group
    targets = {plugin: (target, "my-package") for plugin, target in points.items()}
    monkeypatch.setattr(registry, "_targets", registry._targets | targets)
    (plugin,) = points
    return plugin, importlib.import_module(test.stem)


PAGES: tuple[tuple[str, Registry], ...] = (
    ("add-a-dataset", DATASETS),
    ("add-landmarks", PROVIDERS),
    ("add-a-codebook", CODEBOOKS),
)


@pytest.mark.parametrize("page", PAGES, indirect=True, ids=[name for name, _ in PAGES])
def test_the_check_of_a_page_passes(page: tuple[str, ModuleType], tmp_path: Path) -> None:
    _, module = page
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        needs_folder = "tmp_path" in inspect.signature(test).parameters
        test(**({"tmp_path": tmp_path} if needs_folder else {}))


@pytest.mark.parametrize("page", PAGES, indirect=True, ids=[name for name, _ in PAGES])
def test_the_plugin_of_a_page_is_listed(page: tuple[str, ModuleType]) -> None:
    plugin, _ = page
    kind = {"myfaces": "datasets", "centred": "landmarks", "mine": "codebooks"}[plugin]
    listing = CliRunner().invoke(group, ["ls", kind, "--json"])
    assert listing.exit_code == 0, listing.output
    assert f'"name": "{plugin}"' in listing.output


@pytest.mark.parametrize("page", [PAGES[1]], indirect=True, ids=["add-landmarks"])
@pytest.mark.usefixtures("page")
def test_the_provider_of_the_page_prepares_a_data_set(faces: Path, tmp_path: Path) -> None:
    arguments = ["prepare", "--dataset", "csv", "--data-root", str(faces), "--landmarks", "centred"]
    done = CliRunner().invoke(group, [*arguments, "--out", str(tmp_path / "landmarks.txt")])
    assert done.exit_code == 0, done.output
    assert "42 of 42 faces found" in done.stdout
    assert "doubtful: 42 (low confidence 42)" in done.stderr
