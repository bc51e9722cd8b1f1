"""Reports are made from run folders alone: they load no model, read no image and compute no map."""

import ast
from collections.abc import Iterator
from pathlib import Path

import interpfer.reports

ROOT = Path(interpfer.reports.__file__).parent
FORBIDDEN = ("au", "datasets", "faces", "landmarks", "models", "maps.engine", "maps.compute", "maps.capture", "scoring")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_reports_import_nothing_that_runs_a_model() -> None:
    paths = list(ROOT.rglob("*.py"))
    assert len(paths) > 15
    offenders = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in paths
        for module in imported_modules(path)
        if f"{module}.".startswith(tuple(f"interpfer.{name}." for name in FORBIDDEN))
        and not module.startswith(("interpfer.landmarks.reasons.", "interpfer.au.names."))  # words alone
    ]
    assert offenders == []
