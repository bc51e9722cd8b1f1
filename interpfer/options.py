"""Options of a verb: one frozen dataclass owns their names, defaults, choices and checks.

The command line, the keywords of a Python function and a YAML file (``--config``) set the same options::

    @dataclass(frozen=True, kw_only=True)
    class TrainOptions(Options):
        epochs: int = option(16, "Passes over the training images", kind="integer", metavar="N", least=1)

    TrainOptions.of({"epochs": 3})          # keywords, and flags of the command line
    TrainOptions.of(read_config(path))      # a file, read by interpfer.config
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from interpfer.errors import InterpferError, nearest
from interpfer.validation import require_choice, require_range

KINDS: dict[str, str] = {
    "text": "a text",
    "path": "a path",
    "integer": "a whole number",
    "number": "a number",
    "count": "a whole number or auto",
    "switch": "true or false",
    "names": "a name or a list of names",
    "numbers": "a number, a list of numbers or a name",
    "key": "an index, a key or weights of keys",
    "mapping": "a mapping of names",
    "share": "a share such as 0/3",
    "texts": "a text, a list of texts or a mapping of names to texts",
}
"""Kind of a value -> its description in messages."""

NUMERIC = ("integer", "number", "count")

RUN_OPTIONS = "options"
"""Key of run.json under which a run keeps its options."""


OptionsT = TypeVar("OptionsT", bound="Options")


@dataclass(frozen=True)
class Option:
    """Facts of one option.

    Attributes:
        help: a noun phrase for a value, an imperative for a switch.
        kind: one of ``KINDS``.
        metavar: placeholder of the value in help.
        example: a value as typed, for help.
        choices: the values it may take; empty for any.
        least: smallest number.
        most: largest number.
        above: largest number that is too small.
        below: smallest number that is too large.
        flag: its spelling on the command line where that is not its name; "" for no flag at all.
        required: whether a call cannot do without it.
        repeats: whether a run that is repeated takes it over; False for where results go.
        former_flag: a spelling that it had before; typing it names the present one.
    """

    help: str
    kind: str = "text"
    metavar: str = ""
    example: str = ""
    choices: Collection[str] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    flag: str | None = None
    required: bool = False
    repeats: bool = True
    former_flag: str = ""

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        object.__setattr__(self, "choices", tuple(self.choices))


def option(default: Any, help: str, **facts: Any) -> Any:  # noqa: A002
    """Return a dataclass field with an ``Option``."""
    return field(default=default, metadata={"option": Option(help, **facts)})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of the options of a verb.

    Raises:
        InterpferError: a value is of another kind, not one of the choices, or out of range.
    """

    passed: ClassVar[frozenset[str]] = frozenset()
    """Names of the values that the caller passed; the others have their default."""

    def __new__(cls: type[OptionsT], **values: Any) -> OptionsT:  # noqa: D102
        options = super().__new__(cls)
        object.__setattr__(options, "passed", frozenset(values))
        return options

    def __post_init__(self) -> None:
        for name, value in self.defaults().items():
            if name not in self.passed:
                object.__setattr__(self, name, value)
        for each in option_fields(type(self)):
            facts, value = each.metadata["option"], getattr(self, each.name)
            if value is not None:
                _require_kind(each.name, facts, value)
                _require_allowed(each.name, facts, value)

    def defaults(self) -> dict[str, Any]:
        """Return the default of each option; a subclass may let it depend on other options."""
        return {each.name: default_of(each) for each in option_fields(type(self))}

    @classmethod
    def of(cls: type[OptionsT], values: Mapping[str, Any], verb: str = "") -> OptionsT:
        """Return options out of named values; None leaves the default.

        Args:
            values: name -> value.
            verb: the command, to say where an unknown name was met.

        Raises:
            InterpferError: there is no such option, or a value is not allowed.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                where = f"interpfer {verb}" if verb else cls.__name__
                raise InterpferError(f"{where} has no option '{name}'.{nearest(name, known)}")
        return cls(**{name: value for name, value in values.items() if value is not None})

    def to_dict(self, repeats_only: bool = False) -> dict[str, Any]:
        """Return name -> value as JSON and YAML can hold it.

        Args:
            repeats_only: leave out where results go.
        """
        return {
            each.name: _plain(getattr(self, each.name))
            for each in option_fields(type(self))
            if each.metadata["option"].repeats or not repeats_only
        }


def resolve_options(kind: type[OptionsT], options: OptionsT | None, choices: Mapping[str, Any], verb: str) -> OptionsT:
    """Return the options given, or those that single choices make.

    Raises:
        InterpferError: both are given, there is no such choice, or a value is not allowed.
    """
    if options is not None and choices:
        raise InterpferError(f"pass options or single choices ({', '.join(choices)}), not both.")
    return kind.of(choices, verb) if options is None else options


def check_option(kind: type[Options], name: str, value: Any) -> None:
    """Check a value that some other object holds for an option of a class; None is always allowed.

    In place of words that object may hold functions and the like, so only numbers must be of the option's kind.

    Raises:
        InterpferError: the value is not one of the choices, or out of range.
    """
    (facts,) = (each.metadata["option"] for each in option_fields(kind) if each.name == name)
    if value is not None:
        if facts.kind in NUMERIC:
            _require_kind(name, facts, value)
        _require_allowed(name, facts, value)


def option_fields(kind: type[Options]) -> list[Field[Any]]:
    """Return the fields that are options, in order."""
    return [each for each in fields(kind) if "option" in each.metadata]


def default_of(each: Field[Any]) -> Any:
    """Return the default of an option."""
    return None if each.default is MISSING else each.default


def flag_of(each: Field[Any]) -> str:
    """Return the spelling of an option on the command line, "" for one without a flag."""
    facts: Option = each.metadata["option"]
    return f"--{each.name.replace('_', '-')}" if facts.flag is None else facts.flag


def write_command(options: Options, verb: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the words of a command line that gives these options again, without where results go.

    Options at their default are left out, and those without a flag.

    Args:
        options: the options of a verb.
        verb: the command.
        arguments: fields that stand without a flag, in order.
    """
    words = ["interpfer", verb, *(str(getattr(options, name)) for name in arguments)]
    defaults = options.defaults()
    for each in option_fields(type(options)):
        facts: Option = each.metadata["option"]
        flag, value = flag_of(each), getattr(options, each.name)
        if flag and facts.repeats and value is not None and value != defaults[each.name]:
            is_structure = facts.kind == "texts" and not isinstance(value, str)
            if facts.kind == "mapping":
                value = ",".join(f"{key}={json.dumps(item)}" for key, item in value.items())
            words += [flag] if facts.kind == "switch" else [flag, json.dumps(value) if is_structure else _spell(value)]
    return words


def _require_kind(name: str, facts: Option, value: Any) -> None:
    if not _is_of_kind(facts.kind, value):
        raise InterpferError(f"{name.replace('_', ' ')} must be {KINDS[facts.kind]}, got '{value}'.")


def _require_allowed(name: str, facts: Option, value: Any) -> None:
    title = name.replace("_", " ")
    if facts.choices and isinstance(value, str):
        require_choice(title, value, tuple(facts.choices))
    limits = (facts.least, facts.most, facts.above, facts.below)
    if facts.kind in NUMERIC and value != "auto" and any(limit is not None for limit in limits):
        require_range(title, _plain(value), facts.least, facts.most, above=facts.above, below=facts.below)


def _is_of_kind(kind: str, value: Any) -> bool:
    """Return whether a value has the type of its kind."""
    items = [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
    if kind in ("integer", "count"):
        return _is_number(value, Integral) or (kind == "count" and value == "auto")
    if kind == "numbers":
        return isinstance(value, str) or (all(_is_number(item, Real) for item in items) and bool(items))
    if kind == "share" and not isinstance(value, str):
        return all(_is_number(item, Integral) for item in items) and len(items) == 2
    simple: dict[str, Any] = {"text": str, "share": str, "path": str | Path, "switch": bool, "mapping": Mapping}
    if kind in simple:
        return isinstance(value, simple[kind])
    if kind == "texts" and isinstance(value, Mapping):
        return True
    if kind == "key":
        return _is_number(value, Integral) or isinstance(value, str | Mapping)
    return _is_number(value, Real) if kind == "number" else all(isinstance(item, str) for item in items)


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _spell(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return "+".join(f"{weight}*{key}" for key, weight in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if _is_number(value, Integral):
        return int(value)
    if _is_number(value, Real):
        return float(value)
    return value if value is None or isinstance(value, str | bool) else str(value)
