"""Tables of an inspection for the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from interpfer.inspection.candidates import Candidate
from interpfer.inspection.card_search import CardSearch
from interpfer.inspection.heads import HeadTrial
from interpfer.inspection.report import Head, LayerInfo, Report
from interpfer.models.input import InputSpec, describe_input
from interpfer.models.match import Match
from interpfer.models.messages import list_few

MAX_HEADS = 8
"""Outputs that a table lists."""
MAX_MATCHES, MAX_CANDIDATES, MAX_IMPORTS, MAX_TWINS, MAX_TENSORS = 6, 8, 6, 4, 2
"""Items that a table lists."""


def list_sections(
    report: Report, search: CardSearch | None, which: str, trial: HeadTrial | None = None
) -> Iterator[Table | str]:
    """Yield the sections of the output, from the format of the file to what is missing.

    Args:
        report: the inspection.
        search: model cards that were tried on labelled faces; None if there were no faces.
        which: layers to list: "stages", "spatial" or "all".
        trial: outputs that were compared on labelled faces; None if there was nothing to compare.
    """
    yield _facts_table(report)
    if report.keys:
        yield _weights_table(report)
    if report.matches:
        yield _matches_table(report.matches)
    if len(report.heads) > 1 or any(":" in head.guess for head in report.heads):
        yield _heads_table("outputs", report.heads)
    if trial is not None:
        yield _heads_table(f"outputs tried on {trial.heads[0].n} labelled faces", trial.heads[:MAX_HEADS])
        yield f"{trial.verdict}\n"
    if report.layers:
        spatial = sum(layer.spatial for layer in report.layers)
        yield f"layers: {spatial} of {len(report.layers)} are spatial; --layers spatial or all lists more"
        yield _layers_table(report.layers, which)
    if search is not None:
        yield _candidates_table(search)
        yield f"{search.verdict}\n"
    yield f"card ({Path(report.path).with_suffix('.yaml').name}):\n\n{_indent(report.card_yaml())}"
    yield "missing:\n" + "\n".join(f"  - {line}" for line in report.missing) if report.missing else "nothing is missing"


def _facts_table(report: Report) -> Table:
    table = Table(show_header=False, box=None, title=report.path, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "format": report.format,
        "sha256": report.sha256,
        "class": report.class_name,
        "would run": _list_first(report.wants, MAX_IMPORTS),
        "weights": f"{report.parameters:,} values in {sum(group.tensors for group in report.keys)} tensors",
        "architecture": report.verdict,
        "outputs": report.outputs,
        "note": "\n".join(report.notes),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, _escape(value))
    return table


def _weights_table(report: Report) -> Table:
    table = Table(title="weights by name", title_justify="left")
    table.add_column("name", no_wrap=True)
    for name in ("tensors", "values"):
        table.add_column(name, justify="right")
    table.add_column("last tensor", overflow="fold")
    for group in report.keys:
        table.add_row(group.prefix, str(group.tensors), f"{group.parameters:,}", group.example)
    return table


def _matches_table(matches: Sequence[Match]) -> Table:
    table = Table(title="known networks with these weights", title_justify="left")
    table.add_column("architecture", no_wrap=True)
    for name in ("fit", "classes", "channels", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("differences, and networks with the same weights", overflow="fold")
    complete = [match for match in matches if match.is_complete]
    partial = [match for match in matches if not match.is_complete]
    count = len(complete) + 2 if complete else MAX_MATCHES
    for match in [*complete, *partial][:count]:
        share = f"{match.share:.1%}" if match.is_complete or match.share < 0.9995 else "99.9%"
        remarks = "; ".join(_list_remarks(match))
        table.add_row(match.arch, share, str(match.classes or "-"), str(match.channels), str(match.size), remarks)
    return table


def _heads_table(title: str, heads: Sequence[Head]) -> Table:
    table = Table(title=title, title_justify="left")
    has_accuracy = any(head.accuracy is not None for head in heads)
    for name in ("output:", "values", "may be", *(("accuracy", "class order") if has_accuracy else ())):
        table.add_column(name)
    for head in heads:
        tried = (f"{head.accuracy:.1%}", head.order) if head.accuracy is not None else ()
        table.add_row(_escape(head.output) or "itself", head.shape, head.guess, *tried)
    return table


def _list_remarks(match: Match) -> list[str]:
    return [
        *([f"prefix {match.prefix}"] if match.prefix else []),
        *([f"arch_args {dict(match.arch_args)}"] if match.arch_args else []),
        *([f"missing {list_few(match.missing, MAX_TENSORS)}"] if match.missing else []),
        *([f"unexpected {list_few(match.unexpected, MAX_TENSORS)}"] if match.unexpected else []),
        *([f"other shape {list_few(match.differing, MAX_TENSORS)}"] if match.differing else []),
        *([f"also {_list_first(match.twins, MAX_TWINS)}"] if match.twins else []),
    ]


def _layers_table(layers: Sequence[LayerInfo], which: str) -> Table:
    table = Table()
    for name in ("layer", "output", "--layers"):
        table.add_column(name, no_wrap=True)
    has_places = any(layer.place for layer in layers)
    if has_places:
        table.add_column("place")
    if which == "all":
        table.add_column("spatial")
    for layer in layers:
        if which == "all" or (layer.spatial if which == "spatial" else layer.last or layer.all):
            selections = {"last": layer.last, "all": layer.all}
            names = ", ".join(name for name, is_selected in selections.items() if is_selected)
            place = [layer.place] if has_places else []
            spatial = ["yes" if layer.spatial else ""] if which == "all" else []
            table.add_row(layer.name, layer.shape, names, *place, *spatial)
    return table


def _candidates_table(search: CardSearch) -> Table:
    table = Table(title=f"cards tried on {search.n} labelled faces", title_justify="left")
    for name in ("accuracy", "faces"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("class order", "size", "color", "mean, std, scale"):
        table.add_column(name, no_wrap=True)
    table.add_column("")
    candidates = list(search.attempts[:MAX_CANDIDATES])
    candidates += [each for each in (search.best, search.card) if each is not None and each not in candidates]
    for candidate in candidates:
        spec = candidate.input
        cells = (candidate.order, str(spec.size), spec.color, _escape(_describe_normalisation(spec)))
        table.add_row(f"{candidate.accuracy:.1%}", str(candidate.n), *cells, _name_candidate(candidate, search))
    return table


def _describe_normalisation(spec: InputSpec) -> str:
    fields = {name: value for name, value in describe_input(spec).items() if name not in ("size", "color")}
    if list(fields) == ["mean"]:
        return str(fields["mean"])
    return ", ".join(f"{name} {value}" for name, value in fields.items()) or "none"


def _name_candidate(candidate: Candidate, search: CardSearch) -> str:
    if candidate == search.card:
        return "the card"
    return "suggested" if candidate == search.best else ""


def _list_first(items: Sequence[str], count: int) -> str:
    return ", ".join(items[:count]) + (" ..." if len(items) > count else "")


def _escape(text: str) -> str:
    """Escape the brackets that rich would read as markup."""
    return text.replace("[", r"\[")


def _indent(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines()) + "\n"
