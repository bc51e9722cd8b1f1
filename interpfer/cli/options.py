"""Options that several commands share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def stack(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds options in this order."""

    def wrap(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return wrap


def numbers(_: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    """Read a comma-separated list."""
    if value is None:
        return None
    try:
        return [float(item) for item in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{value}' is no list of numbers such as 0.485,0.456,0.406.", param=param) from None


def _key(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    return int(value) if value is not None and value.lstrip("-").isdigit() else value


class Command(click.Command):
    """Names everything that a call lacks at once, also the folder of a data set that needs one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a call.

        Raises:
            UsageError: something is missing; the message names all of it.
        """
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.MissingParameter:
            values, _, _ = self.make_parser(ctx).parse_args(given)
            present = {name for name, value in values.items() if isinstance(value, str)}
            lacking = [param for param in self.get_params(ctx) if param.required and param.name not in present]
            raise click.UsageError(_lacks(ctx, lacking, _needs_folder(values)), ctx) from None
        if _needs_folder(ctx.params):
            raise click.UsageError(_lacks(ctx, [], True), ctx)
        return rest


def _lacks(ctx: click.Context, lacking: list[click.Parameter], folder: bool) -> str:
    options = [param for param in lacking if isinstance(param, click.Option)]
    names = [param.make_metavar(ctx) for param in lacking if param not in options]
    names += [f"{param.opts[0]} {param.make_metavar(ctx)}" for param in options]
    return f"missing: {', '.join([*names, *(['--data-root DIR'] if folder else [])])}"


def _needs_folder(values: Mapping[str, Any]) -> bool:
    """Whether a data set is named that lies in a folder, and no folder is."""
    from interpfer.datasets import DATASETS

    name = values.get("dataset")
    return bool(name in DATASETS and values.get("data_root") is None and DATASETS.get(str(name)).needs_root)


model_options = stack(
    click.option("--trust", is_flag=True, help="Run the code that the card or a pickle brings."),
    click.option("--arch", metavar="ARCH", help="Architecture, e.g. --arch torchvision:resnet18, --arch net.py:build."),
    click.option("--classes", metavar="LIST", help="Expressions in output order, e.g. --classes anger,disgust,..."),
    click.option("--input-size", type=int, metavar="N", help="Side of the input in pixels, e.g. --input-size 112."),
    click.option("--color", type=click.Choice(["rgb", "bgr", "gray"]), help="Channels, e.g. --color gray."),
    click.option("--scale", type=float, metavar="X", help="Factor on pixels in [0, 1], e.g. --scale 255."),
    click.option("--mean", callback=numbers, metavar="LIST", help="Mean, e.g. --mean 0.485,0.456,0.406."),
    click.option("--std", callback=numbers, metavar="LIST", help="Deviation, e.g. --std 0.229,0.224,0.225."),
    click.option("--output", callback=_key, metavar="KEY", help="Where the logits are, e.g. --output 1."),
)
"""Overrides of the model card; the names are those of ``load_model``."""

MODEL_OVERRIDES = ("trust", "arch", "classes", "input_size", "color", "scale", "mean", "std", "output")

data_options = stack(
    click.option("--dataset", required=True, metavar="NAME", help="Data set, e.g. --dataset csv (see `ls datasets`)."),
    click.option(
        "--data-root", type=click.Path(path_type=Path), metavar="DIR", help="Its folder, e.g. --data-root faces."
    ),
    click.option("--split", default="test", show_default=True, metavar="NAME", help="Its part, e.g. --split test."),
    click.option(
        "--landmarks",
        metavar="FILE|PROVIDER",
        help="68 points per face, e.g. --landmarks landmarks.txt; by default what the data set brings, else found.",
    ),
)
