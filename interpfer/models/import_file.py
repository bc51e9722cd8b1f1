"""Imports a FILE.py of the user's with what lies beside it, and keeps the files of two projects apart."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from interpfer.errors import ModelError

_LOADED: dict[Path, dict[str, Any]] = {}
"""Folder of a project -> the modules that were imported out of it, by name."""


@contextmanager
def importable(path: Path) -> Iterator[None]:
    """Make what lies beside a file importable inside the block: its folder, and the folder above its package.

    Another project's modules are taken out of ``sys.modules`` before, and installed ones of the same names meanwhile,
    so that ``models`` of one project is not taken for ``models`` of another.

    Args:
        path: the FILE.py.
    """
    folder = path.resolve().parent
    root = _package_root(folder)
    for name in [name for project, modules in _LOADED.items() if project != root for name in modules]:
        sys.modules.pop(name, None)
    own = _LOADED.setdefault(root, {})
    names = _names_beside(folder, root) - sys.stdlib_module_names
    hidden = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in names and not _lies_in(module, root)
    }
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(own)
    before = set(sys.modules)
    places = [str(place) for place in dict.fromkeys((folder, root.parent))]
    sys.path[:0] = places
    try:
        yield
    finally:
        for place in places:
            sys.path.remove(place)
        added = {name: sys.modules[name] for name in set(sys.modules) - before}
        own |= {name: module for name, module in added.items() if _lies_in(module, root)}
        sys.modules.update(hidden)


def _names_beside(folder: Path, root: Path) -> set[str]:
    """Return the names of the modules and packages in a folder, and of the package that it belongs to."""
    files = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/*.py")}
    return files | packages | {root.name}


def import_file(path: str | Path) -> ModuleType:
    """Run a FILE.py, and return it as a module; one that imports relatively runs as part of the package around it.

    Raises:
        ModelError: there is no such file, or running it fails.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"arch: file not found: {path}.")
    with importable(path):
        try:
            try:
                return _run(path, f"interpfer_arch_{path.stem}")
            except ImportError as error:
                if "relative import" not in str(error):
                    raise
            return _run(path, _name_in_package(path))
        except SystemExit as error:
            raise _exit_error(path) from error
        except Exception as error:
            raise _error(path, error) from error


def _run(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look up their module by name
    arguments = sys.argv
    try:
        sys.argv = [str(path)]
        with redirect_stderr(StringIO()):  # argparse prints a usage that reads like that of interpfer
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        sys.argv = arguments
    return module


def _package_root(folder: Path) -> Path:
    """Return the outermost folder of the package that a folder belongs to; the folder itself if it is in none."""
    root = folder
    while all((place / "__init__.py").is_file() for place in (root, root.parent)) and root.parent != root:
        root = root.parent
    return root


def _name_in_package(path: Path) -> str:
    """Return the dotted name of a file in the package of its folder, or of its folder where that is no package."""
    folder = path.resolve().parent
    above = _package_root(folder).parent
    return ".".join([*folder.relative_to(above).parts, path.stem])


def _lies_in(module: Any, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    places = [file] if file else [str(place) for place in getattr(module, "__path__", [])]
    return any(Path(place).resolve().is_relative_to(folder) for place in places)


def _error(path: Path, error: Exception) -> ModelError:
    remedy = ""
    if isinstance(error, ModuleNotFoundError):
        remedy = " Install it, or put it beside the file; or set PYTHONPATH and pass --arch package.module:callable."
    return ModelError(f"{path} cannot be imported: {type(error).__name__}: {error}.{remedy}")


def _exit_error(path: Path) -> ModelError:
    return ModelError(
        f"{path} ended the program while it was imported, as a script that reads its command line does (argparse): "
        "move the network to a file of its own, or put the script behind if __name__ == '__main__'."
    )
