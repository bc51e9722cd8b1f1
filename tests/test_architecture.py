"""Data flows one way: a module imports from the packages before its own, never from a later one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import interpfer

ROOT = Path(interpfer.__file__).parent

ORDER: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("choices", "registry", "types"),
    ("files", "labels", "runtime", "validation"),
    ("options",),
    ("config",),
    ("landmarks",),
    ("datasets",),
    ("au",),
    ("truth",),
    ("models",),
    ("occlusion",),
    ("faces",),
    ("maps",),
    ("metrics",),
    ("statistics",),
    ("results",),
    ("reports",),
    ("bundle",),
    ("rationales",),
    ("scoring",),
    ("explain", "exporting", "inspection", "robustness"),
    ("finetuning",),
    ("demo", "serving", "testing"),
    ("cli",),
    ("__main__",),
)
"""Packages in order; those of one line do not know each other."""

PACKAGES = {package: place for place, packages in enumerate(ORDER) for package in packages}


def name_of(path: Path) -> str:
    """Return the dotted name of a module within the package; "" for the package itself."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"}


def package_of(module: str) -> str:
    """Return the longest name in ``ORDER`` that ``module`` belongs to."""
    fitting = [package for package in PACKAGES if f"{module}.".startswith(f"{package}.")]
    if not fitting:
        raise LookupError(f"interpfer.{module} has no place in ORDER")
    return max(fitting, key=len)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of every module of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is relative; imports are written in full"
            names = [
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}"[10:] in MODULES else str(node.module)
                for alias in node.names
            ]
        else:
            continue
        yield from ((node.lineno, name.removeprefix("interpfer.")) for name in names if name.startswith("interpfer."))


def backward(path: Path, module: str) -> list[str]:
    """Say which imports of a file point to a later package, or to another one on the same line."""
    own = package_of(module)
    return [
        f"interpfer/{path.name}:{line} {module} -> {target}"
        for line, target in imports(path)
        if (PACKAGES[package_of(target)], package_of(target)) > (PACKAGES[own], own)
        or (PACKAGES[package_of(target)] == PACKAGES[own] and package_of(target) != own)
    ]


@pytest.mark.parametrize("module", MODULES)
def test_no_arrow_points_back(module: str) -> None:
    assert backward(MODULES[module], module) == []


def test_every_module_has_a_package() -> None:
    assert len(MODULES) > 40
    for module in MODULES:
        assert package_of(module)
    with pytest.raises(LookupError, match=r"interpfer\.attic has no place"):
        package_of("attic")


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("au.drawing", "from interpfer.models.model import Model", True),
        ("models.card", "def f():\n    import interpfer.scoring.score", True),
        ("types", "from interpfer.registry import Registry", True),
        ("maps.capture", "from interpfer.models.model import Model", False),
        ("maps.capture", "from interpfer.maps.base import RawMap", False),
        ("landmarks.base", "from interpfer.datasets.base import Dataset", True),
        ("landmarks.files", "from interpfer.landmarks.base import LandmarkProvider", False),
        ("errors", "import torch", False),
    ],
)
def test_the_test_sees_an_arrow_that_points_back(tmp_path: Path, module: str, line: str, wrong: bool) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)
    assert bool(backward(path, module)) == wrong


def test_no_two_modules_import_each_other() -> None:
    """Within a package the order is free, but it must not run in a circle (an __init__ may name what is inside)."""
    graph = {
        module: {target for _, target in imports(path) if target in MODULES and target != module}
        for module, path in MODULES.items()
        if path.name != "__init__.py"
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in finished:
            for target in graph.get(module, ()):
                visit(target, (*trail, module))
            finished.add(module)

    for module in graph:
        visit(module, ())


def test_the_page_lists_the_packages_in_this_order() -> None:
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Packages")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")][2:]
    assert [tuple(sorted(re.findall(r"`(\w+)`", row))) for row in rows] == [tuple(sorted(line)) for line in ORDER]
