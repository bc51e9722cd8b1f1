"""interpfer ls."""

import click

KINDS = ("maps", "metrics", "datasets", "landmarks", "codebooks", "models", "presets", "classes")


@click.command("ls")
@click.argument("kind", type=click.Choice(KINDS))
def command(kind: str) -> None:
    """List the plugins of a KIND with what is worth knowing of each; presets of published models; orders of classes.

    \b
    interpfer ls maps
    interpfer ls presets
    """
    from rich.table import Table

    from interpfer.cli.terminal import stdout
    from interpfer.errors import PluginError

    if kind in LISTS:
        stdout().print(LISTS[kind]())  # type: ignore[no-untyped-call]
        return
    registry, facts = _registry(kind)
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
    stdout().print(table)


def _presets():  # type: ignore[no-untyped-def]
    from rich.table import Table

    from interpfer.models.preset import load_preset, preset_names

    table = Table(
        title="presets: --preset NAME, with your copy of the code as --arch FILE.py:callable", show_lines=True
    )
    table.title_justify = "left"
    table.add_column("name", no_wrap=True)
    for name in ("what", "--arch", "worth knowing"):
        table.add_column(name, overflow="fold")
    for name in preset_names():
        preset = load_preset(name)
        names = "\n".join([name, *(f"{name}/{variant}" for variant in preset.variants)])
        about = f"{preset.summary}\n{preset.citation}\n{preset.code}"
        table.add_row(names, about, preset.arch or "the file brings it", "\n".join(preset.notes))
    return table


def _classes():  # type: ignore[no-untyped-def]
    from rich.table import Table

    from interpfer.expressions import CLASS_ORDERS, ORDER_ALIASES

    table = Table(title="orders of classes: --classes NAME", title_justify="left")
    for name in ("name", "also", "classes in output order"):
        table.add_column(name, overflow="fold")
    for name, order in CLASS_ORDERS.items():
        also = ", ".join(alias for alias, known in ORDER_ALIASES.items() if known == name)
        table.add_row(name, also, ", ".join(order))
    return table


LISTS = {"presets": _presets, "classes": _classes}
"""What is no plugin, but is listed beside them."""


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
