"""One registry class for every kind of plugin.

A plugin is an object at ``module:attribute``. Built-in plugins are listed in their package's ``__init__.py`` (for
example ``interpfer/maps/__init__.py``); other packages add theirs through an entry point of the same group. Listing the
names imports nothing; a plugin is imported when it is first used.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from interpfer.errors import PluginError, suggest_names

T = TypeVar("T")

EXTRAS = {
    "timm": "timm",
    "transformers": "hf",
    "open_clip": "clip",
    "huggingface_hub": "hub",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "ai_edge_litert": "tflite",
    "keras": "keras",
    "h5py": "keras",
    "pyarrow": "parquet",
    "av": "video",
    "gradio": "app",
    "wandb": "wandb",
    "tensorboard": "tensorboard",
}
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

    def resolve(self, name: str) -> str | None:
        """Return the name of the plugin that a spelling stands for; None if there is none, or more than one.

        Case, hyphens, underscores and spaces make no difference; where that finds nothing, the aliases that plugins
        state (``aliases``) are searched, which imports them.

        Args:
            name: a name, in any spelling, or an alias.
        """
        if name in self:
            return name
        if not name or name[-1] in "-_ ":  # the beginning of another name
            return None
        wanted = fold_name(name)
        found = [known for known in self if fold_name(known) == wanted] or self._by_alias.get(wanted, [])
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_alias(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for name in self:
            try:
                aliases = getattr(self.get(name), "aliases", ())
            except PluginError:
                continue
            for alias in aliases if isinstance(aliases, tuple) else ():
                named.setdefault(fold_name(alias), []).append(name)
        return named

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


def also_called(*aliases: str) -> Callable[[T], T]:
    """Return a decorator that gives a map or a metric other names, for ``--maps`` and ``--metrics``.

    Args:
        aliases: the names; case, hyphens, underscores and spaces make no difference.

    Examples:
        >>> @also_called("CAM-COS", "ATT-COS")
        ... def cosine(maps, heat): ...
        >>> cosine.aliases
        ('CAM-COS', 'ATT-COS')
    """

    def wrap(plugin: T) -> T:
        object.__setattr__(plugin, "aliases", aliases)
        return plugin

    return wrap


def fold_name(name: str) -> str:
    """Return a name without case, hyphens, underscores and spaces.

    Examples:
        >>> fold_name("Grad-CAM++"), fold_name("cosine_skill")
        ('gradcam++', 'cosineskill')
    """
    return "".join(character for character in name.casefold() if character not in "-_ ")


def missing_package(error: ModuleNotFoundError) -> str:
    """Return which package is missing and the command that installs it."""
    package = (error.name or "an unknown package").split(".")[0]
    install = f"interpfer[{EXTRAS[package]}]" if package in EXTRAS else package
    return f"the package {package}, which is not installed: pip install '{install}'"
