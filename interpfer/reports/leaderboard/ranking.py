"""Ranking of leaderboard rows.

A ranking holds one data set, identified by the hash of its images and labels, scored by one set of rules. Identical
runs, identified by the hash of the checkpoint, count once. Different checkpoints of one model name are seeds: their
mean is ranked, with its standard deviation. Identical maps are one entry. Baselines stand among the entries in the
order of their scores, without a rank.
"""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from interpfer.errors import RunError, nearest
from interpfer.reports.leaderboard.entries import HEADLINES, RULES, Entry, Leaderboard, MeanScore, Ranking, number
from interpfer.reports.leaderboard.rows import COLUMNS, OCCLUSION, TRAILER
from interpfer.results.metric_facts import MetricFacts, read_leaderboard_columns

MODEL_METRICS = ("accuracy", "macro_f1", "au_f1")
"""Metrics of the model, which a baseline does not have."""

FACTS = {*COLUMNS, *TRAILER, "same_as", OCCLUSION} - set(HEADLINES)
"""Columns that are not scores."""

SAME_BASELINE = 1e-6
"""Largest difference of two values of one baseline on the same faces."""

SEED = re.compile(r", seed \d+$")
"""End of a lineage in which seeds of one training differ."""

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
    notes = (*_reproductions(rows), *_unequal_repetitions(rows), *_unequal_baselines(rows))
    return Ranking(rules, sort, tuple(_with_ranks(entries, sort)), scored, best, lower, notes, (), *_names(rows))


def _names(rows: Iterable[Row]) -> tuple[str, str]:
    """Return the names that rows give to the data set and to the landmarks."""
    table = list(rows)
    dataset, landmarks = (
        " / ".join(dict.fromkeys(row[name] for row in table if row.get(name))) for name in ("dataset_name", "landmarks")
    )
    return dataset, landmarks


def _unequal_repetitions(rows: Iterable[Row]) -> Iterable[str]:
    """Yield a line on each model whose weights were scored more than once by the same rules, with other results."""
    groups: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        if row.get("layer") != "-" and row.get("checkpoint_sha256"):
            key = row["model"], row["checkpoint_sha256"], row["map"], row.get("layer", "")
            groups.setdefault(key, set()).add(row.get("cosine", ""))
    for name in dict.fromkeys(key[0] for key, values in groups.items() if len(values) > 1):
        yield f"{name}: the same weights were scored with different results; both rows are in the mean"


def _unequal_baselines(rows: Iterable[Row]) -> Iterable[str]:
    """Yield a line on each baseline whose values differ between models, as where their input sizes differ."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if row.get("layer") == "-":
            values.setdefault(row["map"], []).append(_float(row.get("cosine", "")))
    for name, found in values.items():
        known = [value for value in found if not math.isnan(value)]
        if known and max(known) - min(known) > SAME_BASELINE:
            yield (
                f"{name} differs between models (cosine {min(known):.3f} to {max(known):.3f}), as it sees pictures of "
                "their sizes; its row is the mean"
            )


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
    titles = _model_titles(rows)
    groups: dict[tuple[str, str, str], list[Row]] = {}
    aliases: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        layer, sha = row.get("layer", ""), row.get("checkpoint_sha256", "")
        model = "" if layer == "-" else f"{row['model']} ({sha[:8]})" if each and sha else titles[_kind_of(row)]
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


def _kind_of(row: Row) -> tuple[str, ...]:
    """Return what checkpoints that are seeds of one model have in common."""
    lineage = SEED.sub("", row.get("lineage", ""))
    return row["model"], row.get("architecture", ""), row.get("parameters", ""), lineage


def _model_titles(rows: Iterable[Row]) -> dict[tuple[str, ...], str]:
    """Return the name of each model, with what tells it apart from another one of the same name."""
    kinds = list(dict.fromkeys(_kind_of(row) for row in rows if row.get("layer") != "-"))
    titles = {}
    for kind in kinds:
        others = [other for other in kinds if other[0] == kind[0] and other != kind]
        facts = [value for place, value in enumerate(kind) if place and any(other[place] != value for other in others)]
        words = [fact or "not fine-tuned" for fact in facts]
        titles[kind] = f"{kind[0]} ({', '.join(words)})" if others else kind[0]
    return titles


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
