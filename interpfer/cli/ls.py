"""interpfer ls."""

import click

from interpfer.cli.options import as_json

KINDS = ("maps", "metrics", "datasets", "landmarks", "codebooks", "models")


@click.command("ls")
@click.argument("kind", type=click.Choice(KINDS))
@as_json
def command(kind: str, json_wanted: bool) -> None:
    """List the plugins of a KIND with what is worth knowing of each.

    \b
    interpfer ls maps
    interpfer ls metrics --json
    """
    from rich.table import Table

    from interpfer.cli.terminal import stdout
    from interpfer.errors import PluginError
    from interpfer.results.files import json_bytes

    registry, facts = _registry(kind)
    told = []
    table = Table(title=f"{kind}: entry-point group {registry.group}", title_justify="left")
    table.add_column("name", no_wrap=True)
    for name in facts:
        table.add_column(name, overflow="fold")
    for name in registry:
        try:
            plugin = registry.get(name)
            cells = [fact(plugin) for fact in facts.values()]
        except PluginError as error:
            cells = [str(error), *[""] * (len(facts) - 1)]
        table.add_row(name, *cells)
        told.append({"name": name, **dict(zip(facts, cells, strict=True))})
    if json_wanted:
        click.echo(json_bytes(told), nl=False)
    else:
        stdout().print(table)


def _needs(method):  # type: ignore[no-untyped-def]
    if method.source == "baseline":
        return "heatmaps"
    return "many passes" if method.cost != "one pass" else "backward" if method.gradient else "forward"


def _registry(kind: str):  # type: ignore[no-untyped-def]
    from interpfer.au import CODEBOOKS
    from interpfer.datasets import DATASETS
    from interpfer.landmarks import PROVIDERS
    from interpfer.maps import MAPS
    from interpfer.metrics import METRICS
    from interpfer.models import ARCHITECTURES

    return {
        "maps": (
            MAPS,
            {
                "what": lambda m: m.summary,
                "needs": _needs,
                "class": lambda m: "yes" if m.class_specific else "no",
                "by": lambda m: m.provider,
                "source": lambda m: m.source.replace(", arXiv", ",\narXiv"),
            },
        ),
        "metrics": (
            METRICS,
            {
                "what": lambda m: m.facts.summary,
                "better": lambda m: "higher" if m.facts.higher_is_better else "lower",
                "bounds": lambda m: "{:g} .. {:g}".format(*m.facts.bounds),
                "source": lambda m: m.facts.source,
            },
        ),
        "datasets": (
            DATASETS,
            {
                "what": lambda d: d.summary,
                "classes in order": lambda d: ", ".join(d.order) or "by name",
                "splits": lambda d: ", ".join(d.splits),
                "licence and where to request it": lambda d: "\n".join(filter(None, (d.licence, d.request))) or "-",
            },
        ),
        "landmarks": (PROVIDERS, {"what": lambda p: p.summary}),
        "codebooks": (
            CODEBOOKS,
            {
                "AUs": lambda c: "\n".join(f"{k}: {' '.join(str(u.au) for u in v)}" for k, v in c.classes.items()),
                "source": lambda c: c.citation,
            },
        ),
        "models": (ARCHITECTURES, {"what": lambda b: (b.__doc__ or "").partition("\n")[0]}),
    }[kind]
