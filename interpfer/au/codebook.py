"""Codebooks: the action units (FACS numbers) of each expression, one YAML file per codebook.

A custom codebook is a file such as::

    name: mine
    citation: "its source"
    classes:
      happiness: [6, 12, {au: 25, weight: 0.5}]
      contempt: [{au: 14, side: left}]

Left and right are those of the picture.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from interpfer.errors import DataError
from interpfer.files import parse_yaml, read_text
from interpfer.labels import NEUTRAL, canonical
from interpfer.registry import Registry

SIDES = ("left", "right")

ALIASES = {"martinez2017": "belharbi2024-printed"}
"""Former name of a codebook -> its present name; the former one still works."""


@dataclass(frozen=True)
class ActionUnit:
    """One entry of a codebook.

    Attributes:
        au: FACS number.
        weight: factor in (0, 1] on its plane before planes are merged.
        side: "left" or "right" of the picture; None for both.
    """

    au: int
    weight: float = 1.0
    side: str | None = None


@dataclass(frozen=True)
class Codebook:
    """Action units per canonical expression; an expression that is not listed has no heatmap.

    Attributes:
        name: name of the codebook.
        citation: source to cite.
        classes: expression -> its action units.
    """

    name: str
    citation: str
    classes: Mapping[str, tuple[ActionUnit, ...]]

    def units(self, expression: str) -> tuple[ActionUnit, ...]:
        """Return the entries of a canonical expression; none if the codebook does not list it."""
        return self.classes.get(expression, ())

    def listing(self) -> dict[str, str]:
        """Return column -> text for ``interpfer ls codebooks``."""
        lines = (f"{name}: {' '.join(str(unit.au) for unit in units)}" for name, units in self.classes.items())
        return {"AUs": "\n".join(lines), "source": self.citation}

    def aus(self, expressions: Iterable[str] | None = None) -> tuple[int, ...]:
        """Return the sorted FACS numbers of some expressions; by default of all."""
        names = self.classes if expressions is None else expressions
        return tuple(sorted({unit.au for name in names for unit in self.units(name)}))

    def mirrored(self) -> "Codebook":
        """Return the codebook for mirrored pictures, with left and right swapped."""
        other = {"left": "right", "right": "left", None: None}
        swapped = {
            name: tuple(replace(unit, side=other[unit.side]) for unit in units) for name, units in self.classes.items()
        }
        return replace(self, classes=swapped)


def parse_codebook(text: str, where: str) -> Codebook:
    """Read a codebook from YAML.

    Args:
        text: content of the file.
        where: name of the file, for messages.

    Raises:
        DataError: the text is not a codebook; the message names the field.

    Examples:
        >>> parse_codebook("classes: {happy: [6, 12]}", "mine.yaml").aus()
        (6, 12)
    """
    try:
        raw = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"codebook {where}: not YAML ({error}).") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("classes"), dict) or not raw["classes"]:
        raise DataError(f"codebook {where}: the field 'classes' must list action units per expression.")
    classes: dict[str, tuple[ActionUnit, ...]] = {}
    for label, entries in raw["classes"].items():
        try:
            expression = canonical(str(label))
        except DataError as error:
            raise DataError(f"codebook {where}: {error}") from error
        if expression in classes:
            raise DataError(f"codebook {where}: '{label}' repeats the expression {expression}.")
        if expression == NEUTRAL:
            raise DataError(f"codebook {where}: neutral has no action units; remove it.")
        if not isinstance(entries, list) or not entries:
            raise DataError(f"codebook {where}: '{label}' must be a list of action units.")
        classes[expression] = tuple(_parse_unit(entry, f"codebook {where}, '{label}'") for entry in entries)
    return Codebook(str(raw.get("name", where)), str(raw.get("citation", "")), classes)


def _parse_unit(entry: Any, where: str) -> ActionUnit:
    fields = entry if isinstance(entry, dict) else {"au": entry}
    if type(fields.get("au")) is not int or set(fields) - {"au", "weight", "side"}:  # a bool is an int, too
        raise DataError(
            f"{where}: an entry must be a FACS number or {{au: N, weight: W, side: left|right}}, got '{entry}'."
        )
    au, weight, side = fields["au"], fields.get("weight", 1.0), fields.get("side")
    if not isinstance(weight, int | float) or not 0 < weight <= 1:
        raise DataError(f"{where}: the weight of AU {au} must be in (0, 1], got {weight}.")
    if side is not None and side not in SIDES:
        raise DataError(f"{where}: the side of AU {au} must be one of {', '.join(SIDES)}, got '{side}'.")
    return ActionUnit(au, float(weight), side)


def load_codebook(name: str) -> Codebook:
    """Return a codebook.

    Args:
        name: name of a codebook, an older name in ``ALIASES``, or path of a YAML file.

    Raises:
        PluginError: the name is unknown.
        DataError: the file does not exist or is not a codebook.

    Examples:
        >>> load_codebook("emfacs").aus(["happiness"])
        (6, 12)
        >>> load_codebook("martinez2017").name
        'belharbi2024-printed'
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise DataError(f"codebook file not found: {path}.")
        return parse_codebook(read_text(path), str(path))
    return CODEBOOKS.get(current_name(name))


def current_name(name: str) -> str:
    """Return the present name of a codebook that was renamed; any other name as it is."""
    return ALIASES.get(name, name)


@cache
def _shipped(name: str) -> Codebook:
    return parse_codebook((files("interpfer.au") / "codebooks" / f"{name}.yaml").read_text(encoding="utf-8"), name)


def __getattr__(name: str) -> Codebook:
    if name.upper() == name and not name.startswith("_") and name.lower() in CODEBOOKS.builtin:
        return _shipped(name.lower())
    raise AttributeError(name)


CODEBOOKS: Registry[Codebook] = Registry(
    "codebook",
    "interpfer.codebooks",
    {
        name: f"interpfer.au.codebook:{name.upper()}"
        for name in ("belharbi2024", "belharbi2024-printed", "emfacs", "du2014")
    },
)
