import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from interpfer import registry
from interpfer.errors import PluginError
from interpfer.registry import Registry

BUILTIN = {"cosine": "math:cos", "sine": "math:sin"}


def point(name: str, value: str, package: str = "other-package") -> EntryPoint:
    entry = EntryPoint(name, value, "interpfer.tests")
    return entry._for(SimpleNamespace(name=package))  # type: ignore[attr-defined]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What other packages would have installed; a test appends to it."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "interpfer.tests" else [])
    return points


def functions(builtin: dict[str, str] | None = None) -> Registry:
    return Registry("function", "interpfer.tests", BUILTIN if builtin is None else builtin)


def test_a_plugin_of_another_package(plugins: list[EntryPoint]) -> None:
    plugins.append(point("root", "math:sqrt"))
    found = functions()
    assert found.names() == ("cosine", "sine", "root")
    assert list(found) == ["cosine", "sine", "root"]
    assert "root" in found
    assert "log" not in found
    assert (found.origin("sine"), found.origin("root")) == ("interpfer", "other-package")
    assert found.get("root")(9.0) == 3


def test_two_packages_with_the_same_name(plugins: list[EntryPoint]) -> None:
    plugins += [point("root", "math:sqrt", "one"), point("root", "cmath:sqrt", "two")]
    with pytest.raises(PluginError) as error:
        functions().names()
    assert str(error.value) == (
        "function 'root' is defined twice, by one and by two: "
        "rename one of the two entry points in the group interpfer.tests."
    )


def test_a_package_cannot_replace_a_built_in_one(plugins: list[EntryPoint]) -> None:
    plugins.append(point("sine", "math:sinh"))
    with pytest.raises(PluginError, match="'sine' is defined twice, by interpfer and by other-package"):
        functions().get("sine")


def test_the_same_entry_point_found_twice_is_one(plugins: list[EntryPoint]) -> None:
    plugins += [point("root", "math:sqrt"), point("root", "math:sqrt")]
    assert functions().names() == ("cosine", "sine", "root")


def test_an_entry_point_of_no_package(plugins: list[EntryPoint]) -> None:
    plugins.append(EntryPoint("root", "math:sqrt", "interpfer.tests"))
    assert functions().origin("root") == "an unknown package"


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("math:sqroot", "AttributeError: module 'math' has no attribute 'sqroot'"),
        ("other.module:f", "ModuleNotFoundError: No module named 'other'"),
        ("email.nothing:f", "ModuleNotFoundError: No module named 'email.nothing'"),
        ("moody_plugin:anything", "RuntimeError: not today"),
    ],
)
def test_a_broken_plugin_fails_only_when_asked_for(
    plugins: list[EntryPoint], target: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moody_plugin.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.append(point("broken", target))
    found = functions()
    assert "broken" in found
    assert found.get("sine")(0) == 0
    with pytest.raises(PluginError) as error:
        found.get("broken")
    assert str(error.value) == f"function 'broken' of other-package cannot be loaded ({target}): {cause}"
    assert error.value.__cause__ is not None


def test_an_unknown_name_suggests_lists_and_says_how_to_add_one(plugins: list[EntryPoint]) -> None:
    plugins.append(point("root", "math:sqrt"))
    with pytest.raises(PluginError) as error:
        functions().get("cosin")
    assert str(error.value) == (
        "no function is called 'cosin'. Did you mean cosine or sine? Known: cosine, sine, root. "
        "A package adds one by an entry point in the group interpfer.tests."
    )


@pytest.mark.usefixtures("plugins")
def test_a_missing_package_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy_plugin.py").write_text("import no_such_package.part")
    monkeypatch.syspath_prepend(str(tmp_path))
    needy = functions({"f": "needy_plugin:f"})
    with pytest.raises(PluginError) as error:
        needy.get("f")
    needs = "function 'f' needs the package no_such_package, which is not installed: pip install"
    assert str(error.value) == f"{needs} 'no_such_package'"
    monkeypatch.setitem(registry.EXTRAS, "no_such_package", "special")
    with pytest.raises(PluginError) as error:
        needy.get("f")
    assert str(error.value) == f"{needs} 'interpfer[special]'"


def test_listing_imports_nothing() -> None:
    code = """
import sys
from interpfer.registry import Registry
found = Registry("module", "interpfer.tests", {"one": "torch:nn", "two": "pandas:DataFrame"})
assert found.names() == ("one", "two") and "one" in found and list(found) == ["one", "two"]
print(*sorted({"torch", "pandas", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
