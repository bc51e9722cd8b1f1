"""From the options value of a verb to its command: flags, ``--config`` and ``--print-config``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

import click
import yaml

from interpfer.config import read_config, write_config
from interpfer.models.options import ModelOptions
from interpfer.options import Option, Options, default_of, flag_of, option_fields

OTHERS = "more_models"
"""Key in a config file for the checkpoints after the first."""


class VerbCommand(click.Command):
    """A command whose flags are the fields of an ``Options`` class.

    Its callback gets the value as ``options``, beside parameters of its own. A call that lacks something names all of
    it at once, also the folder of a data set that needs one.

    Args:
        kind: the class of options.
        arguments: fields that stand without a flag, in order.
    """

    def __init__(self, *args: Any, kind: type[Options], arguments: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        fields = {each.name: each for each in option_fields(kind)}
        self.from_options = [*arguments, *(name for name, each in fields.items() if flag_of(each))]
        params: list[click.Parameter] = [_argument(fields[name]) for name in arguments]
        params += [_click_option(each) for each in _in_help_order(fields.values()) if each.name not in arguments]
        self.params = [*params, *_CONFIG_OPTIONS, *self.params]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a call, and make the options out of the config file and the flags.

        Raises:
            UsageError: something is missing, or two options cannot be combined.
            InterpferError: a value is not allowed.
        """
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            for each in option_fields(self.kind):
                if each.metadata["option"].former_flag == error.option_name:
                    text = f"{error.option_name} of interpfer {self.name} is now {flag_of(each)}."
                    raise click.UsageError(text, ctx) from None
            raise
        flags = {name: ctx.params.pop(name) for name in self.from_options}
        config, wants_config = ctx.params.pop("config"), ctx.params.pop("print_config")
        values = read_config(config) if config else {}
        if "others" in ctx.params and "model" in flags:
            more = values.pop(OTHERS, None) or ()
            if flags.get("model") is None:
                ctx.params["others"] = tuple(map(Path, more))
        values |= {name: value for name, value in flags.items() if value is not None}
        missing = self._missing(values)
        if missing and not wants_config:
            raise click.UsageError(f"missing: {', '.join(missing)}", ctx)
        options = self.kind.of(values, str(self.name))
        if wants_config:
            click.echo(write_config(options) + _write_others(ctx.params.get("others", ())), nl=False)
            ctx.exit()
        if getattr(options, "resume", False):
            if getattr(options, "overwrite", False):
                raise click.UsageError("--resume and --overwrite cannot be combined; pass one.", ctx)
            if getattr(options, "out", "") is None:
                raise click.UsageError("--resume needs --out.", ctx)
        ctx.params["options"] = options
        return rest

    def _missing(self, values: Mapping[str, Any]) -> list[str]:
        fields = [each for each in option_fields(self.kind) if each.name in self.from_options]
        lacking = [each for each in fields if each.metadata["option"].required and values.get(each.name) is None]
        lacking.sort(key=lambda each: self.from_options.index(each.name))
        names = [_spelling(each) for each in lacking]
        if _needs_folder(values):
            names.append("--data-root DIR")
        return names


def verb(name: str, kind: type[Options], arguments: Sequence[str] = ()) -> Callable[[Callable[..., Any]], VerbCommand]:
    """Turn a function of ``options`` into the command of a verb.

    Args:
        name: of the command.
        kind: the class of its options.
        arguments: fields that stand without a flag, in order.
    """

    def wrap(function: Callable[..., Any]) -> VerbCommand:
        command: VerbCommand = click.command(name, cls=VerbCommand, kind=kind, arguments=arguments)(function)
        return command

    return wrap


def _write_others(models: Sequence[Path]) -> str:
    """Return the line of a config file with the checkpoints after the first; "" for none."""
    return f"\n# Further checkpoints.\n{OTHERS}: {json.dumps([str(path) for path in models])}\n" if models else ""


_CONFIG_OPTIONS = [
    click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Options from a YAML file or a run.json; flags override it, e.g. --config runs/mine/run.json.",
    ),
    click.Option(["--print-config"], is_flag=True, help="Print these options as YAML for --config, and stop."),
]


def _in_help_order(fields: Any) -> list[Field[Any]]:
    """Put what overrides the model card last."""
    card = {each.name for each in option_fields(ModelOptions)}
    return sorted((each for each in fields if flag_of(each)), key=lambda each: each.name in card)


def _spelling(each: Field[Any]) -> str:
    facts: Option = each.metadata["option"]
    return f"{flag_of(each)} {facts.metavar}".strip()


def _argument(each: Field[Any]) -> click.Argument:
    facts: Option = each.metadata["option"]
    return click.Argument([each.name], type=click.Path(path_type=Path), metavar=facts.metavar, required=False)


def _click_option(each: Field[Any]) -> click.Option:
    facts: Option = each.metadata["option"]
    flag, default = flag_of(each), default_of(each)
    if facts.kind == "switch":
        value = not default
        return click.Option([flag, each.name], is_flag=True, flag_value=value, default=None, help=f"{facts.help}.")
    kind: Any = {"path": click.Path(path_type=Path), "integer": int, "number": float}.get(facts.kind, str)
    if facts.choices:
        kind = click.Choice(tuple(facts.choices))
    example = facts.example or (tuple(facts.choices)[-1] if facts.choices else "")
    help_text = facts.help + (f", e.g. {flag} {example}" if example else "")
    default_text = ",".join(default) if isinstance(default, tuple) else default
    return click.Option(
        [flag, each.name],
        type=kind,
        callback=_PARSERS.get(facts.kind),
        metavar=None if facts.choices else facts.metavar or None,
        help=f"{help_text}." + ("" if default is None else f"  [default: {default_text}]"),
    )


def parse_numbers(_: click.Context, param: click.Parameter, value: str | None) -> list[float] | str | None:
    """Read a comma-separated list; a name stays one."""
    if value is None or value.strip().isidentifier():
        return value
    try:
        return [float(item) for item in value.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"'{value}' is neither a list of numbers such as 0.485,0.456,0.406 nor a name such as imagenet.",
            param=param,
        ) from None


def _parse_key(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    return int(value) if value is not None and value.lstrip("-").isdigit() else value


def _parse_count(_: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "auto":
        return value
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter(f"'{value}' is neither a number of images nor auto.", param=param)
    return int(value)


def _parse_mapping(_: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read NAME=VALUE,..., each value as in YAML."""
    if value is None:
        return None
    pairs = [item.partition("=") for item in value.split(",")]
    if not all(name.strip() and sign for name, sign, _ in pairs):
        raise click.BadParameter(f"'{value}' must be NAME=VALUE,NAME=VALUE, ...", param=param)
    return {name.strip(): yaml.safe_load(text) for name, _, text in pairs}


_PARSERS: dict[str, Callable[..., Any]] = {
    "numbers": parse_numbers,
    "key": _parse_key,
    "count": _parse_count,
    "mapping": _parse_mapping,
}


def _needs_folder(values: Mapping[str, Any]) -> bool:
    """Return whether a data set is named that lies in a folder, and no folder is."""
    from interpfer.datasets import DATASETS

    name = values.get("dataset")
    return bool(name in DATASETS and values.get("data_root") is None and DATASETS.get(str(name)).needs_root)


as_json = click.option("--json", "json_wanted", is_flag=True, help="Print JSON on stdout instead of a table.")

quiet_option = click.option("--quiet", "-q", is_flag=True, help="Hide progress and notes; errors are still printed.")
