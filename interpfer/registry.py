"""One registry class for every kind of plugin.

A plugin is an object at ``module:attribute``. Built-in plugins are listed in their package's ``__init__.py`` (for
example ``interpfer/maps/__init__.py``); other packages add theirs through an entry point of the same group. Listing the
names imports nothing; a plugin is imported when it is first used.
"""

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from interpfer.errors import PluginError, suggest_names

T = TypeVar("T")

EXTRAS = {"timm": "timm", "transformers": "hf", "onnx": "onnx", "onnxruntime": "onnx", "onnx2torch": "onnx"}
"""Optional package -> the extra of interpfer that installs it."""


class Registry(Generic[T]):
    """Plugins of one kind, by name.

    Args:
        kind: the word for one plugin in messages, such as ``"map"``.
        group: entry-point group through which other packages add plugins.
        builtin: name -> ``"module:attribute"`` of the built-in plugins.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self.builtin = dict(builtin)

    @cached_property
    def _targets(self) -> dict[str, tuple[str, str]]:
        targets = {name: (target, "interpfer") for name, target in self.builtin.items()}
        for point in entry_points(group=self.group):
            origin = point.dist.name if point.dist else "an unknown package"
            if point.name in targets and targets[point.name] != (point.value, origin):
                raise PluginError(
                    f"{self.kind} '{point.name}' is defined twice, by {targets[point.name][1]} and by {origin}: "
                    f"rename one of the two entry points in the group {self.group}."
                )
            targets[point.name] = (point.value, origin)
        return targets

    @property
    def command(self) -> str:
        """Command that lists the plugins."""
        return f"interpfer ls {self.group.rpartition('.')[2]}"

    def names(self) -> tuple[str, ...]:
        """Return the names of all plugins, built-in ones first, without importing any."""
        return tuple(self._targets)

    def origin(self, name: str) -> str:
        """Return the name of the package that provides a plugin."""
        return self._targets[name][1]

    def __repr__(self) -> str:
        return f"{self.kind}s: {', '.join(self)}"

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def get(self, name: str) -> T:
        """Import and return a plugin.

        Raises:
            PluginError: the name is unknown, or the import fails.
        """
        if name not in self._targets:
            raise PluginError(
                f"unknown {self.kind} '{name}'.{suggest_names(name, self._targets, self.command)} "
                f"A package can add one with an entry point in the group {self.group}."
            )
        target, origin = self._targets[name]
        module, _, attribute = target.partition(":")
        try:
            return cast(T, getattr(importlib.import_module(module), attribute))
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
                raise PluginError(f"{self.kind} '{name}' needs {missing_package(error)}") from error
            raise PluginError(
                f"{self.kind} '{name}' of {origin} cannot be loaded ({target}): {type(error).__name__}: {error}"
            ) from error


def missing_package(error: ModuleNotFoundError) -> str:
    """Return which package is missing and the command that installs it."""
    package = (error.name or "an unknown package").split(".")[0]
    install = f"interpfer[{EXTRAS[package]}]" if package in EXTRAS else package
    return f"the package {package}, which is not installed: pip install '{install}'"
