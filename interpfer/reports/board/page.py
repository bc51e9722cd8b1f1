"""Rankings as one self-contained page whose tables sort."""

import math
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from interpfer import __version__
from interpfer.reports.board.ranking import Ranking
from interpfer.reports.board.text import cell, labels
from interpfer.reports.direction import rises
from interpfer.reports.escape import plain


def to_html(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    """Write a page that needs nothing but itself: no request leaves it, light and dark, tables sort by key or click."""
    environment = Environment(
        loader=PackageLoader("interpfer.reports", "board"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    tables = [_table(ranking, ranking.metrics if wanted is None else ranking.shown(wanted)) for ranking in rankings]
    return environment.get_template("leaderboard.html").render(tables=tables, version=__version__)


def _table(ranking: Ranking, metrics: Sequence[str]) -> dict[str, object]:
    lines = []
    for entry in ranking.entries:
        texts = ["" if text == "-" else plain(text) for text in labels(entry)]
        cells = [{"text": texts[0], "key": entry.rank or "", "number": True}]
        cells += [{"text": text, "key": text, "number": False} for text in texts[1:]]
        for name in metrics:
            mean = entry.values[name].mean
            cells.append({
                "text": cell(entry, name).replace("-", "\N{MINUS SIGN}"),
                "key": "" if math.isnan(mean) else repr(mean),
                "number": True,
                "best": ranking.is_best(entry, name),
            })  # fmt: skip
        count = entry.runs if entry.model else ""
        cells += [{"text": count, "key": count, "number": True}, {"text": entry.n, "key": entry.n, "number": True}]
        lines.append({"cells": cells, "baseline": entry.baseline})
    heads = [{"name": "rank", "number": True, "falls": False}]
    heads += [{"name": name, "number": False, "falls": False} for name in ("model", "map", "layer")]
    heads += [{"name": name, "number": True, "falls": rises(name)} for name in metrics]
    heads += [{"name": name, "number": True, "falls": True} for name in ("runs", "n")]
    return {"title": plain(ranking.title), "sort": ranking.sort, "heads": heads, "lines": lines}
