"""From rows of leaderboards to rankings: what may be compared is ranked, and nothing else.

A ranking holds one data set (by the hash of its images and labels), scored by one set of rules. Identical runs, told by
the hash of the checkpoint, count once. Checkpoints of one name that differ are taken for seeds of one model: their mean
is ranked, with its standard deviation. Maps that are the same thing are one entry. Baselines know no model: they stand
where they would come, without a rank.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from interpfer.errors import RunError, nearest
from interpfer.reports.leaderboard.rows import COLUMNS, SETTINGS, TRAILER
from interpfer.results.metric_facts import Reading, read_readings

RULES = ("dataset", "split", "protocol", *SETTINGS, "dataset_digest")
"""What rows must have in common to be ranked together."""

FACTS = {*COLUMNS, *TRAILER, "same_as"} - {"accuracy", "macro_f1", "cosine", "pxap"}
"""Columns that are no scores."""

HEADLINES = ("accuracy", "macro_f1", "cosine", "cosine_skill", "pxap")
"""The scores that a narrow table shows."""

OF_THE_MODEL = ("accuracy", "macro_f1")
"""Scores that a baseline does not have."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class Value:
    """A score over the checkpoints of an entry.

    Attributes:
        mean: NaN where no checkpoint has the score.
        std: with n - 1; NaN for a single checkpoint.
        decimals: places after the point that tables show.
    """

    mean: float
    std: float = math.nan
    decimals: int = 3


@dataclass(frozen=True)
class Entry:
    """One line of a ranking.

    Attributes:
        rank: 1 is best; ties share a rank; None for a baseline, and where the score is undefined.
        model: "" for a baseline.
        map: its name.
        layer: "-" for a baseline.
        aliases: maps that are the same thing for this model.
        runs: how many checkpoints the values are over.
        n: scored images, as written.
        values: per metric.
    """

    rank: int | None
    model: str
    map: str
    layer: str
    aliases: tuple[str, ...]
    runs: int
    n: str
    values: Mapping[str, Value]

    @property
    def baseline(self) -> bool:
        """Whether the entry knows nothing of a model."""
        return not self.model


@dataclass(frozen=True)
class Ranking:
    """Entries that may be compared, best first.

    Attributes:
        rules: ``RULES`` -> what all rows have in common; "" where a row of another version does not say.
        sort: the metric of the ranks.
        entries: baselines among them.
        metrics: those that any entry has.
        best: metric -> the best mean of an entry with a rank.
        falling: metrics of which less is better.
    """

    rules: Mapping[str, str]
    sort: str
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    best: Mapping[str, float]
    falling: frozenset[str]

    @property
    def title(self) -> str:
        """What was scored and how, on one line."""
        rules = self.rules
        words = [f"{rules['dataset']} {rules['split']}".strip() or "data set unknown"]
        words.append(f"protocol {rules['protocol'] or 'unknown'}")
        words += [f"{name} {rules[name]}" for name in ("target", "codebook", "geometry") if rules[name]]
        words += ["aligned"] if rules["align"] == "True" else []
        words += [f"images {rules['dataset_digest'][:8]}"] if rules["dataset_digest"] else []
        return ", ".join(words)

    def shown(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the metrics of a narrow table: those wanted, else the headlines and the one of the ranks."""
        if wanted is not None:
            return tuple(name for name in wanted if name in self.metrics)
        return tuple(name for name in self.metrics if name in HEADLINES or name == self.sort)

    def is_best(self, entry: Entry, metric: str) -> bool:
        """Whether an entry is to be set in bold; equal as printed is equal."""
        value = entry.values[metric]
        if entry.baseline or math.isnan(value.mean) or metric not in self.best:
            return False
        return number(value.mean, value.decimals) == number(self.best[metric], value.decimals)


@dataclass(frozen=True)
class Ranked:
    """All rankings of some rows.

    Attributes:
        rankings: in the order in which their first rows came.
        repeated: rows left out as repetitions of identical runs.
    """

    rankings: tuple[Ranking, ...]
    repeated: int


def rank(table: pd.DataFrame, sort: str = "cosine", each: bool = False) -> Ranked:
    """Rank the rows of leaderboards.

    Args:
        table: out of ``interpfer.reports.leaderboard.rows.gather``.
        sort: the metric to rank by.
        each: give every checkpoint its own line, instead of the mean over checkpoints of one name.

    Raises:
        RunError: no row has that metric.
    """
    metrics = _metrics(table)
    if sort not in metrics:
        raise RunError(f"no row has a metric '{sort}'.{nearest(sort, metrics)} There are: {', '.join(metrics)}.")
    rows, repeated = _once([{str(k): str(v) for k, v in row.items()} for row in table.to_dict("records")])
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, "") for name in RULES), []).append(row)
    readings = read_readings(table, metrics)
    rankings = [
        _ranking(dict(zip(RULES, key, strict=True)), group, readings, sort, each) for key, group in groups.items()
    ]
    return Ranked(tuple(rankings), repeated)


def number(value: float, decimals: int = 3) -> str:
    """Return a score as tables print it.

    >>> number(0.51234), number(27.71, 1), number(float("nan"))
    ('0.512', '27.7', '')
    """
    return "" if math.isnan(value) else f"{value:.{decimals}f}"


def _metrics(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that hold a number anywhere, the headlines first."""
    found = [str(name) for name in table if name not in FACTS and any(not math.isnan(_float(x)) for x in table[name])]
    return tuple(sorted(found, key=lambda name: HEADLINES.index(name) if name in HEADLINES else len(HEADLINES)))


def _once(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Leave out repetitions: the same weights on the same images by the same rules; the latest row stands.

    Weights under another name are a repetition where they classify as well: with another card they would not.
    """
    kept: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row.get("date", "")):
        place = tuple(row.get(name, "") for name in (*RULES, "map", "layer"))
        sha = row.get("checkpoint_sha256", "")
        named = (*place, row["model"], sha, "" if sha else repr(sorted(row.items())))
        kept.pop(named, None)
        kept[named] = row
    single: dict[tuple[str, ...], Row] = {}
    for named, row in kept.items():
        sha = row.get("checkpoint_sha256", "")
        same = (*named[: len(RULES) + 2], sha, row.get("accuracy", ""), row.get("macro_f1", ""), row.get("cosine", ""))
        single[same if sha else named] = row
    order = {id(row): place for place, row in enumerate(rows)}
    return sorted(single.values(), key=lambda row: order[id(row)]), len(rows) - len(single)


def _ranking(rules: Row, rows: Sequence[Row], readings: Mapping[str, Reading], sort: str, each: bool) -> Ranking:
    present = {(row["model"], row.get("checkpoint_sha256"), row["map"], row.get("layer")) for row in rows}
    lines: dict[tuple[str, str, str], list[Row]] = {}
    aliases: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        layer, sha = row.get("layer", ""), row.get("checkpoint_sha256", "")
        model = "" if layer == "-" else f"{row['model']} ({sha[:8]})" if each and sha else row["model"]
        twin = row.get("same_as", "")
        if twin and (row["model"], row.get("checkpoint_sha256"), twin, row.get("layer")) in present:
            aliases.setdefault((model, twin, layer), {})[row["map"]] = None
        else:
            lines.setdefault((model, row["map"], layer), []).append(row)
    entries = []
    for key, same in lines.items():
        values = {
            metric: _value([_float(row.get(metric, "")) for row in same], bool(key[0]), read.decimals)
            for metric, read in readings.items()
        }
        numbers = " / ".join(dict.fromkeys(row.get("n", "") for row in same))
        model, name, layer = key
        if not model:
            values |= {metric: Value(math.nan) for metric in OF_THE_MODEL if metric in values}
        entries.append(Entry(None, model, name, layer, tuple(aliases.get(key, ())), len(same), numbers, values))
    sign = -1 if readings[sort].higher_is_better else 1
    entries.sort(key=lambda e: (math.isnan(e.values[sort].mean), sign * e.values[sort].mean, e.model, e.map, e.layer))
    best = {
        name: (max if read.higher_is_better else min)(means)
        for name, read in readings.items()
        if (means := [e.values[name].mean for e in entries if not e.baseline and not math.isnan(e.values[name].mean)])
    }
    shown = tuple(name for name in readings if any(not math.isnan(e.values[name].mean) for e in entries))
    falling = frozenset(name for name, read in readings.items() if not read.higher_is_better)
    return Ranking(rules, sort, tuple(_with_ranks(entries, sort)), shown, best, falling)


def _with_ranks(entries: Iterable[Entry], sort: str) -> Iterable[Entry]:
    place, rank, before = 0, 0, math.nan
    for entry in entries:
        mean = entry.values[sort].mean
        if entry.baseline or math.isnan(mean):
            yield entry
            continue
        place += 1
        rank = rank if mean == before else place
        before = mean
        yield replace(entry, rank=rank)


def _value(values: Sequence[float], spread: bool, decimals: int) -> Value:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Value(math.nan, decimals=decimals)
    std = statistics.stdev(known) if spread and len(known) > 1 else math.nan
    return Value(statistics.fmean(known), std, decimals)


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
