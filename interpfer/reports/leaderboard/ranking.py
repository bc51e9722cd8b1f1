"""Ranking of leaderboard rows.

A ranking holds one data set, identified by the hash of its images and labels, scored by one set of rules. Identical
runs, identified by the hash of the checkpoint, count once. Different checkpoints of one model name are seeds: their
mean is ranked, with its standard deviation. Identical maps are one entry. Baselines stand among the entries in the
order of their scores, without a rank.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from interpfer.errors import RunError, nearest
from interpfer.reports.leaderboard.entries import HEADLINES, RULES, Entry, Leaderboard, MeanScore, Ranking, number
from interpfer.reports.leaderboard.rows import COLUMNS, TRAILER
from interpfer.results.metric_facts import MetricFacts, read_leaderboard_columns

MODEL_METRICS = ("accuracy", "macro_f1")
"""Metrics of the model, which a baseline does not have."""

FACTS = {*COLUMNS, *TRAILER, "same_as"} - set(HEADLINES)
"""Columns that are not scores."""

Row = Mapping[str, str]


def rank_rows(table: pd.DataFrame, sort: str = "cosine", each: bool = False) -> Leaderboard:
    """Rank the rows of leaderboards.

    Args:
        table: rows, see ``interpfer.reports.leaderboard.rows.read_rows``.
        sort: metric of the ranks.
        each: one line per checkpoint, instead of the mean over the checkpoints of one name.

    Raises:
        RunError: no row has the metric.
    """
    metrics = _find_metrics(table)
    require_metrics([sort], metrics)
    rows, repeated = _drop_repeated([{str(k): str(v) for k, v in row.items()} for row in table.to_dict("records")])
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, "") for name in RULES), []).append(row)
    facts = read_leaderboard_columns(table, metrics)
    rankings = [
        _make_ranking(dict(zip(RULES, key, strict=True)), group, facts, sort, each) for key, group in groups.items()
    ]
    return Leaderboard(tuple(rankings), repeated)


def require_metrics(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuse metrics that no row has.

    Raises:
        RunError: a metric is not known.
    """
    names = list(known)
    for name in wanted:
        if name not in names:
            raise RunError(f"no row has a metric '{name}'.{nearest(name, names)} Known: {', '.join(names)}.")


def _find_metrics(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns with a number in any row, the headlines first."""
    names = [str(name) for name in table if name not in FACTS and any(not math.isnan(_float(x)) for x in table[name])]
    return tuple(sorted(names, key=lambda name: HEADLINES.index(name) if name in HEADLINES else len(HEADLINES)))


def _drop_repeated(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Leave out repetitions: the same weights on the same images by the same rules; the latest row stays.

    Weights under another name are a repetition if they also classify equally well: with another model card they would
    not.
    """
    latest: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row.get("date", "")):
        rules = tuple(row.get(name, "") for name in (*RULES, "map", "layer"))
        sha = row.get("checkpoint_sha256", "")
        key = (*rules, row["model"], sha, "" if sha else repr(sorted(row.items())))
        latest.pop(key, None)
        latest[key] = row
    distinct: dict[tuple[str, ...], Row] = {}
    for key, row in latest.items():
        sha = row.get("checkpoint_sha256", "")
        nameless = (*key[: len(RULES) + 2], sha, *(row.get(name, "") for name in ("accuracy", "macro_f1", "cosine")))
        distinct[nameless if sha else key] = row
    order = {id(row): place for place, row in enumerate(rows)}
    return sorted(distinct.values(), key=lambda row: order[id(row)]), len(rows) - len(distinct)


def _make_ranking(rules: Row, rows: Sequence[Row], facts: Mapping[str, MetricFacts], sort: str, each: bool) -> Ranking:
    entries = _make_entries(rows, facts, each)
    sign = -1 if facts[sort].higher_is_better else 1
    entries.sort(key=lambda e: (math.isnan(e.scores[sort].mean), sign * e.scores[sort].mean, e.model, e.map, e.layer))
    best = {
        name: (max if own.higher_is_better else min)(means)
        for name, own in facts.items()
        if (means := [e.scores[name].mean for e in entries if not (e.is_baseline or math.isnan(e.scores[name].mean))])
    }
    scored = tuple(name for name in facts if any(not math.isnan(e.scores[name].mean) for e in entries))
    lower = frozenset(name for name, own in facts.items() if not own.higher_is_better)
    return Ranking(rules, sort, tuple(_with_ranks(entries, sort)), scored, best, lower, tuple(_reproductions(rows)))


def _reproductions(rows: Iterable[Row]) -> Iterable[str]:
    """Yield for each checkpoint with a published accuracy whether it reproduces it."""
    lines = {}
    for row in rows:
        if row.get("published") and row.get("layer") != "-":
            verdict = "reproduces" if row.get("reproduces") == "yes" else "does not reproduce"
            measured = number(_float(row.get("accuracy", "")), 4)
            key = row["model"], row.get("checkpoint_sha256", "")
            lines[key] = f"{row['model']}: published accuracy {row['published']}, measured {measured}: {verdict}"
    return lines.values()


def _make_entries(rows: Sequence[Row], facts: Mapping[str, MetricFacts], each: bool) -> list[Entry]:
    """Return an entry per model, map and layer: the mean over its checkpoints, identical maps as aliases."""
    present = {(row["model"], row.get("checkpoint_sha256"), row["map"], row.get("layer")) for row in rows}
    groups: dict[tuple[str, str, str], list[Row]] = {}
    aliases: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        layer, sha = row.get("layer", ""), row.get("checkpoint_sha256", "")
        model = "" if layer == "-" else f"{row['model']} ({sha[:8]})" if each and sha else row["model"]
        twin = row.get("same_as", "")
        if twin and (row["model"], row.get("checkpoint_sha256"), twin, row.get("layer")) in present:
            aliases.setdefault((model, twin, layer), {})[row["map"]] = None
        else:
            groups.setdefault((model, row["map"], layer), []).append(row)
    entries = []
    for key, group in groups.items():
        model, name, layer = key
        scores = {
            metric: _mean_score([_float(row.get(metric, "")) for row in group], bool(model), own.decimals)
            for metric, own in facts.items()
        }
        if not model:
            scores |= {metric: MeanScore(math.nan) for metric in MODEL_METRICS if metric in scores}
        counts = " / ".join(dict.fromkeys(row.get("n", "") for row in group))
        entries.append(Entry(None, model, name, layer, tuple(aliases.get(key, ())), len(group), counts, scores))
    return entries


def _with_ranks(entries: Iterable[Entry], sort: str) -> Iterable[Entry]:
    place, rank, before = 0, 0, math.nan
    for entry in entries:
        mean = entry.scores[sort].mean
        if entry.is_baseline or math.isnan(mean):
            yield entry
            continue
        place += 1
        rank = rank if mean == before else place
        before = mean
        yield replace(entry, rank=rank)


def _mean_score(values: Sequence[float], has_std: bool, decimals: int) -> MeanScore:
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return MeanScore(math.nan, decimals=decimals)
    std = statistics.stdev(defined) if has_std and len(defined) > 1 else math.nan
    return MeanScore(statistics.fmean(defined), std, decimals)


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
