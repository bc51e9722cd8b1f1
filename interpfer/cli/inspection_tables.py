"""How an inspection looks in the terminal."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from interpfer.inspection.candidates import CardSearch
from interpfer.inspection.report import Report
from interpfer.models.input import describe_input

MOST_MATCHES, MOST_ATTEMPTS = 6, 8


def tables(report: Report, trial: CardSearch | None, which: str) -> Iterator[Table | str]:
    """Yield what is printed, from what the file is to what is missing.

    Args:
        report: what was found.
        trial: what was tried on labelled faces.
        which: layers to list: "stages", "spatial" or "all".
    """
    yield _head(report)
    if report.keys:
        yield _keys(report)
    if report.matches:
        yield _matches(report)
    if report.layers:
        spatial = sum(layer.spatial for layer in report.layers)
        yield f"layers: {spatial} of {len(report.layers)} keep a grid; --layers spatial or all lists more"
        yield _layers(report, which)
    if trial is not None:
        yield _trial(trial)
        yield f"{trial.verdict}\n"
    yield f"card ({Path(report.path).with_suffix('.yaml').name}):\n\n{_indented(report.card_text())}"
    yield "missing:\n" + "\n".join(f"  - {line}" for line in report.missing) if report.missing else "nothing is missing"


def _head(report: Report) -> Table:
    table = Table(show_header=False, box=None, title=report.path, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "format": report.format,
        "sha256": report.sha256,
        "class": report.class_name,
        "would run": ", ".join(report.wants[:6]) + (" ..." if len(report.wants) > 6 else ""),
        "weights": f"{report.parameters:,} numbers in {sum(group.tensors for group in report.keys)} tensors",
        "architecture": report.verdict,
        "outputs": report.outputs,
        "note": "\n".join(report.notes),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value.replace("[", r"\["))
    return table


def _keys(report: Report) -> Table:
    table = Table(title="weights by name", title_justify="left")
    table.add_column("name", no_wrap=True)
    for name in ("tensors", "numbers"):
        table.add_column(name, justify="right")
    table.add_column("the last of them", overflow="fold")
    for group in report.keys:
        table.add_row(group.prefix, str(group.tensors), f"{group.parameters:,}", group.example)
    return table


def _matches(report: Report) -> Table:
    table = Table(title="known networks with these weights", title_justify="left")
    table.add_column("architecture", no_wrap=True)
    for name in ("fit", "classes", "channels", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what does not fit, or has the same weights", overflow="fold")
    whole = [match for match in report.matches if match.complete]
    for match in [*whole, *(other for other in report.matches if not other.complete)][: len(whole) + 2 or MOST_MATCHES]:
        remarks = [
            *([f"under {match.prefix}"] if match.prefix else []),
            *([f"arch_args {dict(match.arch_args)}"] if match.arch_args else []),
            *([f"lacks {_few(match.missing)}"] if match.missing else []),
            *([f"has beside {_few(match.unexpected)}"] if match.unexpected else []),
            *([f"other shape {_few(match.differing)}"] if match.differing else []),
            *([f"also {', '.join(match.twins[:4])}{' ...' if len(match.twins) > 4 else ''}"] if match.twins else []),
        ]
        share = f"{match.share:.1%}" if match.complete or match.share < 0.9995 else "99.9%"
        cells = (share, str(match.classes or "-"), str(match.channels), str(match.size), "; ".join(remarks))
        table.add_row(match.arch, *cells)
    return table


def _layers(report: Report, which: str) -> Table:
    shown = [
        layer
        for layer in report.layers
        if which == "all" or (layer.spatial if which == "spatial" else layer.last or layer.all)
    ]
    table = Table()
    table.add_column("layer", no_wrap=True)
    table.add_column("output", no_wrap=True)
    table.add_column("--layers", no_wrap=True)
    if which == "all":
        table.add_column("grid")
    for layer in shown:
        chosen = ", ".join(name for name, taken in (("last", layer.last), ("all", layer.all)) if taken)
        table.add_row(layer.name, layer.shape, chosen, *([("yes" if layer.spatial else "")] if which == "all" else []))
    return table


def _trial(trial: CardSearch) -> Table:
    table = Table(title=f"cards tried on {trial.n} labelled faces", title_justify="left")
    table.add_column("right", justify="right", no_wrap=True)
    for name in ("order of classes", "size", "color", "mean, std, scale"):
        table.add_column(name, no_wrap=True)
    table.add_column("")
    attempts = list(trial.attempts[:MOST_ATTEMPTS])
    attempts += [one for one in (trial.best, trial.card) if one is not None and one not in attempts]
    for attempt in attempts:
        fields = describe_input(attempt.input)
        rest = {name: value for name, value in fields.items() if name not in ("size", "color")}
        told = str(rest["mean"]) if list(rest) == ["mean"] else ", ".join(f"{k} {v}" for k, v in rest.items()) or "none"
        remark = "the card" if attempt == trial.card else "suggested" if attempt == trial.best else ""
        cells = (str(attempt.input.size), attempt.input.color, told.replace("[", r"\["), remark)
        table.add_row(f"{attempt.accuracy:.1%}", attempt.order, *cells)
    return table


def _few(items: tuple[str, ...], count: int = 2) -> str:
    return ", ".join(items[:count]) + (f" and {len(items) - count} more" if len(items) > count else "")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines()) + "\n"
