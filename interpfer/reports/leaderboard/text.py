"""Rankings as CSV, Markdown and plain values for JSON."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from interpfer.files import DIGITS
from interpfer.reports.escape import guard, markdown
from interpfer.reports.leaderboard.entries import Entry, Ranking, number

LABELS = ("rank", "model", "map", "layer")


def map_label(entry: Entry) -> str:
    """Return the name of a map and of the maps identical to it."""
    return " = ".join((entry.map, *entry.aliases))


def cell(entry: Entry, metric: str, plus_minus: str = " ± ") -> str:
    """Return mean and standard deviation as tables print them."""
    score = entry.scores[metric]
    std = "" if math.isnan(score.std) else plus_minus + number(score.std, score.decimals)
    return number(score.mean, score.decimals) + std


def labels(entry: Entry) -> tuple[str, str, str, str]:
    """Return rank, model, map and layer as tables print them."""
    return ("" if entry.rank is None else str(entry.rank), entry.model or "-", map_label(entry), entry.layer)


def records(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return one flat mapping per entry: the entry, the rules, then mean and standard deviation of each metric."""
    lines = []
    for ranking in rankings:
        metrics = ranking.metrics if wanted is None else ranking.select_metrics(wanted)
        for entry in ranking.entries:
            line: dict[str, Any] = {"rank": entry.rank, "ranked_by": ranking.sort, "model": entry.model or "-"}
            line |= {"map": entry.map, "layer": entry.layer, "same_as": " ".join(entry.aliases)}
            line |= {"runs": entry.runs, "n": entry.n} | dict(ranking.rules)
            for name in metrics:
                score = entry.scores[name]
                line |= {name: score.mean, f"{name}_std": score.std}
            lines.append(line)
    return lines


def to_csv(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    """Return all metrics of all rankings, one line per entry; text that a spreadsheet would run is escaped."""
    lines = records(rankings, wanted)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    columns = [
        name for name in columns if not name.endswith("_std") or any(_is_given(line.get(name)) for line in lines)
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([guard(name) for name in columns])
    writer.writerows([_csv_cell(line.get(name)) for name in columns] for line in lines)
    return out.getvalue()


def to_markdown(rankings: Sequence[Ranking], wanted: Sequence[str] | None = None) -> str:
    """Return one table per ranking, the best of each column in bold."""
    parts = []
    for ranking in rankings:
        metrics = ranking.select_metrics(wanted)
        heads = (*LABELS, *metrics, "runs", "n")
        lines = [f"**{markdown(ranking.title)}**", ""]
        lines += [
            _line(markdown(head) for head in heads),
            _line("---:" if _is_numeric(head) else "---" for head in heads),
        ]
        for entry in ranking.entries:
            cells = [markdown(text) for text in labels(entry)]
            for name in metrics:
                text = cell(entry, name)
                cells.append(f"**{text}**" if ranking.is_best(entry, name) else text)
            lines.append(_line([*cells, str(entry.runs) if entry.model else "", markdown(entry.n)]))
        lines += [f"\n{markdown(note)}" for note in ranking.notes]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _is_numeric(head: str) -> bool:
    return head not in LABELS[1:]


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _csv_cell(value: Any) -> str:
    if not _is_given(value):
        return ""
    return f"{value:.{DIGITS}f}" if isinstance(value, float) else guard(str(value))
