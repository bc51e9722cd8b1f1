import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

import interpfer
from interpfer import registry
from interpfer.cli.ls import KINDS
from interpfer.errors import MAX_LISTED, PluginError
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
    registered = functions()
    assert registered.names() == ("cosine", "sine", "root")
    assert list(registered) == ["cosine", "sine", "root"]
    assert "root" in registered
    assert "log" not in registered
    assert (registered.origin("sine"), registered.origin("root")) == ("interpfer", "other-package")
    assert registered.get("root")(9.0) == 3


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
        ("failing_plugin:anything", "RuntimeError: not today"),
    ],
)
def test_a_broken_plugin_fails_only_when_asked_for(
    plugins: list[EntryPoint], target: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_plugin.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.append(point("broken", target))
    registered = functions()
    assert "broken" in registered
    assert registered.get("sine")(0) == 0
    with pytest.raises(PluginError) as error:
        registered.get("broken")
    assert str(error.value) == f"function 'broken' of other-package cannot be loaded ({target}): {cause}"
    assert error.value.__cause__ is not None


def test_an_unknown_name_suggests_lists_and_says_how_to_add_one(plugins: list[EntryPoint]) -> None:
    plugins.append(point("root", "math:sqrt"))
    with pytest.raises(PluginError) as error:
        functions().get("cosin")
    assert str(error.value) == (
        "unknown function 'cosin'. Did you mean cosine or sine? Known: cosine, sine, root. "
        "A package can add one with an entry point in the group interpfer.tests."
    )


@pytest.mark.usefixtures("plugins")
def test_a_missing_package_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin_with_needs.py").write_text("import no_such_package.part")
    monkeypatch.syspath_prepend(str(tmp_path))
    needs_package = functions({"f": "plugin_with_needs:f"})
    with pytest.raises(PluginError) as error:
        needs_package.get("f")
    needs = "function 'f' needs the package no_such_package, which is not installed: pip install"
    assert str(error.value) == f"{needs} 'no_such_package'"
    monkeypatch.setitem(registry.EXTRAS, "no_such_package", "special")
    with pytest.raises(PluginError) as error:
        needs_package.get("f")
    assert str(error.value) == f"{needs} 'interpfer[special]'"


def test_listing_imports_nothing() -> None:
    code = """
import sys
from interpfer.registry import Registry
registered = Registry("module", "interpfer.tests", {"one": "torch:nn", "two": "pandas:DataFrame"})
assert registered.names() == ("one", "two") and "one" in registered and list(registered) == ["one", "two"]
print(*sorted({"torch", "pandas", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def registries() -> dict[str, Registry]:
    """Return every registry of the package by its entry-point group."""
    root = Path(interpfer.__file__).parent
    by_group: dict[str, Registry] = {}
    for path in sorted(root.rglob("*.py")):
        name = ".".join(["interpfer", *path.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
        for variable in re.findall(r"^([A-Z]+): \"?Registry\[.*= \w*Registry\($", path.read_text(), re.MULTILINE):
            value = getattr(import_module(name), variable)
            assert value.group not in by_group, f"two registries for {value.group}"
            by_group[value.group] = value
    return by_group


def test_every_kind_of_plugin_has_a_group_of_its_own_and_is_listed() -> None:
    groups = {group.removeprefix("interpfer."): value for group, value in registries().items()}
    assert {"models", "datasets", "landmarks", "truths", "maps", "metrics", "codebooks", "reports"} <= set(groups)
    for group, value in groups.items():
        assert value.command == f"interpfer ls {group}"
        if group in KINDS:
            module, _, variable = KINDS[group][0].partition(":")
            assert getattr(import_module(module), variable) is value
        else:  # a message that names the command would lead nowhere
            assert len(value.names()) <= MAX_LISTED, f"`{value.command}` does not exist"
