"""The pages on maps and metrics, from the first line to the green check: their files, written as they stand there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interpfer.registry import Registry

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = {"add-a-map": "map", "add-a-metric": "metric"}


def files(page: str) -> Iterator[tuple[str, str]]:
    """Yield path and content of the files on a page: fenced blocks whose first line is a comment with a path."""
    text = (HOWTO / f"{page}.md").read_text(encoding="utf-8")
    for block in re.finditer(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield block[1], block[2]


@pytest.fixture(params=PAGES)
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The kind of plugin of a page, and its files in a folder, as they are when the package is installed."""
    for name, content in files(request.param):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "my_package" / "__init__.py").touch()
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    lines = (tmp_path / "pyproject.toml").read_text().splitlines()
    (info / "entry_points.txt").write_text(f"[interpfer.{PAGES[request.param]}s]\n" + "\n".join(
        line.replace('"', "") for line in lines if " = " in line) + "\n")  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        monkeypatch.delitem(sys.modules, name)
    return PAGES[request.param], tmp_path


def test_entry_points_lead_to_plugins_and_the_check_is_green(package: tuple[str, Path]) -> None:
    kind, folder = package
    plugins: Registry = Registry(kind, f"interpfer.{kind}s", {})
    names = [name for name in plugins if plugins.origin(name) == "my-package"]
    assert len(names) == 3
    for name in names:
        assert plugins.get(name).listing()["what"].endswith(".")
    (path,) = (folder / "tests").glob("test_*.py")
    names_of_test: dict[str, object] = {}
    exec(compile(path.read_text(), str(path), "exec"), names_of_test)
    checks = [value for name, value in names_of_test.items() if name.startswith("test_")]
    assert len(checks) == 1
    checks[0]()  # type: ignore[operator]


def test_the_lists_show_them(package: tuple[str, Path]) -> None:
    kind, folder = package
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        f"from interpfer.{kind}s import {kind.upper()}S, select_{kind}s\n"
        f"names = [name for name in {kind.upper()}S if {kind.upper()}S.origin(name) == 'my-package']\n"
        f"assert len(names) == 3 and set(names) <= set(select_{kind}s(['all', *names]))\n"
        "from interpfer.cli import main\n"
        f"main(['ls', '{kind}s', '--json'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in re.findall(r'^"?([\w:-]+)"? = "my_package', (folder / "pyproject.toml").read_text(), re.MULTILINE):
        assert f'"{name}"' in done.stdout


def test_the_example_of_masks_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (HOWTO / "masks.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, "masks.md", "exec"), names)
    assert names["run"].manifest["counts"]["scored"] == 12
