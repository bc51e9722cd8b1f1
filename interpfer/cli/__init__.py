"""The command line. Commands are imported when they are called, so that ``interpfer --help`` is light."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, cast

import click

from interpfer import __version__
from interpfer.errors import InterpferError, nearest

COMMANDS = {
    "score": "Score where a trained classifier looks, against AU heatmaps of faces or masks of pictures.",
    "merge": "Make one run out of the shards of `interpfer score --shard I/N`.",
    "finetune": "Fine-tune a classifier to look at action units or inside masks, and compare before and after.",
    "demo": "Run the offline demo on synthetic faces: draw, train, score, fine-tune.",
    "inspect": "Identify a checkpoint, the model card it needs, and whether its class order is right.",
    "prepare": "Detect the landmarks of a data set once, and write a failure list and a contact sheet.",
    "check-data": "Check that a data set is complete: published counts, readable images.",
    "explain": "Show where a classifier looks in a picture, in FACS terms or beside its mask.",
    "leaderboard": "Rank leaderboards and runs: a table, CSV, Markdown, LaTeX or a page.",
    "report": "Rebuild the report page of a run, or of several runs side by side; figures for a paper.",
    "compare": "Compare two runs on the same images, with confidence intervals and p-values.",
    "robustness": "Show how conclusions depend on protocol, codebook, geometry and landmarks.",
    "rationales": "Score what a language model says of faces: answers, action units and boxes.",
    "bundle": "Pack runs into one zip to send: tables, figures, comparisons, hashes and commands.",
    "export": "Hand a run on: a model card, masks or heatmaps for another program.",
    "serve": "Show in a browser what `explain` shows, for one model or several side by side.",
    "ls": "List maps, metrics, datasets, landmarks, truths, codebooks, models, presets or class orders.",
}


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, importlib.import_module(f"interpfer.cli.{cmd_name.replace('-', '_')}").command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for a mistyped one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'.{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Print the user's errors as one line; any other exception is a bug and shows its traceback."""
        try:
            return super().invoke(ctx)
        except InterpferError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `interpfer demo`, then `interpfer score MODEL --dataset csv --data-root DIR`.",
)
@click.version_option(__version__, prog_name="interpfer")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:  # noqa: ARG001
    """Where does a facial-expression classifier look, and is it where the expression's action units are?

    Other classifiers of images are compared with masks: `interpfer score MODEL --truth masks --masks FILE ...`.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line."""
    sys.exit(group.main(args=args, prog_name="interpfer", standalone_mode=True))
