"""Rankings as one self-contained page with sortable tables."""

import math
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from interpfer import __version__
from interpfer.reports.escape import plain
from interpfer.reports.leaderboard.entries import OrderStability, Ranking
from interpfer.reports.leaderboard.text import LABELS, cell, labels


def to_html(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    """Return a page without network requests, for light and dark schemes; its tables sort by click or key."""
    environment = Environment(
        loader=PackageLoader("interpfer.reports.leaderboard", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    tables = [
        _table(ranking, ranking.metrics if wanted is None else ranking.select_metrics(wanted)) for ranking in rankings
    ]
    return environment.get_template("leaderboard.html").render(tables=tables, version=__version__)


def _table(ranking: Ranking, metrics: Sequence[str]) -> dict[str, object]:
    heads, lines = _heads(ranking, metrics), []
    for entry in ranking.entries:
        texts = ["" if text == "-" else plain(text) for text in labels(entry)]
        cells: list[dict[str, object]] = [{"kind": "rank", "text": texts[0], "key": entry.rank or "", "number": True}]
        cells += [
            {"kind": kind, "text": text, "key": text, "number": False}
            for kind, text in zip(LABELS[1:], texts[1:], strict=True)
        ]
        for name in metrics:
            mean = entry.scores[name].mean
            cells.append({
                "kind": "score",
                "text": cell(entry, name).replace("-", "\N{MINUS SIGN}"),
                "key": "" if math.isnan(mean) else repr(mean),
                "number": True,
                "best": ranking.is_best(entry, name),
            })  # fmt: skip
        count = entry.runs if entry.model else ""
        cells += [{"kind": "count", "text": text, "key": text, "number": True} for text in (count, entry.n)]
        with_names = [{"name": head["name"]} | each for head, each in zip(heads, cells, strict=True)]
        lines.append({"cells": with_names, "is_baseline": entry.is_baseline})
    return {
        "title": plain(ranking.title),
        "sort": ranking.sort,
        "heads": heads,
        "lines": lines,
        "notes": ranking.notes,
        "stability": [_stability_line(order) for order in ranking.stability],
    }


def _stability_line(order: OrderStability) -> dict[str, object]:
    items = ", ".join(f"{plain(name)} ({share:.0%})" for name, share in order.items)
    tau = "" if math.isnan(order.tau) else f"{order.tau:.2f}".replace("-", "\N{MINUS SIGN}")
    drawn = f"{order.n:,} faces, {order.people:,} people" if order.people else f"{order.n:,} faces"
    return {"what": plain(order.what), "items": items, "tau": tau, "drawn": drawn}


def _heads(ranking: Ranking, metrics: Sequence[str]) -> list[dict[str, object]]:
    heads: list[dict[str, object]] = [{"name": "rank", "number": True, "falls": False}]
    heads += [{"name": name, "number": False, "falls": False} for name in LABELS[1:]]
    heads += [{"name": name, "number": True, "falls": name not in ranking.lower} for name in metrics]
    heads += [{"name": name, "number": True, "falls": True} for name in ("runs", "n")]
    return heads
