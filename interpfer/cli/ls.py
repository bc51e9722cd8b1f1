"""interpfer ls."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from interpfer.cli.options import as_json

if TYPE_CHECKING:
    from interpfer.registry import Registry

KINDS = {
    "maps": ("interpfer.maps:MAPS", "Maps of where a model looks, for --maps (groups: all, everything, baselines)"),
    "refiners": ("interpfer.maps.refiners:REFINERS", "Refiners of maps, for --maps MAP.REFINER (such as gradcam.flip)"),
    "metrics": ("interpfer.metrics:METRICS", "Scores of a map (groups: all, agreement, faithfulness, regions)"),
    "datasets": ("interpfer.datasets:DATASETS", "Data sets, for --dataset"),
    "landmarks": ("interpfer.landmarks:PROVIDERS", "Landmark providers (68 points per face), for --landmarks"),
    "truths": ("interpfer.truth:TRUTHS", "What maps are compared with, for --truth"),
    "codebooks": ("interpfer.au:CODEBOOKS", "Action units per expression, for --codebook"),
    "models": (
        "interpfer.models:ARCHITECTURES",
        "Architectures, for arch: NAME:... in a model card",
    ),
    "heads": ("interpfer.models.heads:HEADS", "Heads that networks can be trained with, for finetune --head"),
    "occluders": ("interpfer.occlusion:OCCLUDERS", "What covers faces, for --occlude KIND[:SHARE],..."),
    "exports": ("interpfer.exporting:EXPORTS", "What a run can be exported to, for export --to"),
    "presets": (
        "interpfer.models.preset:list_presets",
        "Published models, for --preset NAME, with your copy of the code as --arch FILE.py:callable",
    ),
    "classes": ("interpfer.labels:list_orders", "Orders of classes, for --classes NAME"),
}
"""Kind -> its registry, or a function that lists what is not a plugin, and the title of its list."""


@click.command("ls")
@click.argument("kind", type=click.Choice(list(KINDS)))
@as_json
def command(kind: str, json_wanted: bool) -> None:
    """List all items of a KIND with key facts.

    \b
    interpfer ls maps
    interpfer ls metrics --json
    """
    from rich.table import Table

    from interpfer.cli.terminal import stdout
    from interpfer.files import json_bytes
    from interpfer.registry import Registry

    place, title = KINDS[kind]
    module, _, name = place.partition(":")
    source = getattr(import_module(module), name)
    listed: dict[str, dict[str, str]] = _plugins(source) if isinstance(source, Registry) else source()
    if json_wanted:
        click.echo(json_bytes([{"name": plugin} | facts for plugin, facts in listed.items()]), nl=False)
        return
    columns = list(dict.fromkeys(column for facts in listed.values() for column in facts))
    links = [column for column in columns if any("://" in facts.get(column, "") for facts in listed.values())]
    table = Table(title=title, title_justify="left")
    table.add_column("name", no_wrap=True)
    for column in columns:
        if column not in links:
            table.add_column(column, overflow="fold")
    for plugin, facts in listed.items():
        cells = (facts.get(column, "") for column in columns if column not in links)
        table.add_row(plugin, *(cell.replace(", arXiv ", ",\narXiv ") for cell in cells))
    console = stdout()
    console.print(table)
    for column in links:  # an address that is broken into lines cannot be followed
        console.print(column)
        for plugin, facts in listed.items():
            if facts.get(column):
                console.print(f"  {plugin.partition(chr(10))[0]}: {facts[column]}", markup=False, soft_wrap=True)
    console.print("To add one from a package of your own, see docs/howto.", markup=False)


def _plugins(registry: "Registry[Any]") -> dict[str, dict[str, str]]:
    from interpfer.errors import PluginError

    listed: dict[str, dict[str, str]] = {}
    for plugin in registry:
        try:
            facts = listing(item := registry.get(plugin))
        except PluginError as error:
            facts, item = {"what": str(error)}, None
        if isinstance(aliases := getattr(item, "aliases", None), tuple) and aliases:
            facts["also called"] = ", ".join(aliases)
        if (package := registry.origin(plugin)) != "interpfer" and facts.get("by", "interpfer") == "interpfer":
            facts["by"] = package
        listed[plugin] = facts
    return listed


def listing(plugin: object) -> dict[str, str]:
    """Return the facts of a plugin: its ``listing()``, its ``summary``, or the first line of its docstring."""
    listed = getattr(plugin, "listing", None)
    if callable(listed):
        return dict(listed())
    return {"what": getattr(plugin, "summary", None) or (plugin.__doc__ or "").strip().partition("\n")[0]}
