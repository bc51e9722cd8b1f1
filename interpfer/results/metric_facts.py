"""Facts that the scores of a metric are read by: its headline group, direction, digits and bounds.

A run records them in run.json, and each row of a leaderboard records two of them in columns of its own. So both can be
read without importing the metrics, and where the package of a metric is not installed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import Any

import pandas as pd

from interpfer.errors import PluginError
from interpfer.metrics import METRICS

METRIC_FACTS = "metric_facts"
"""Key of run.json: name of a metric -> its facts."""

LOWER, DECIMALS, DEFINITIONS = "lower_is_better", "decimals", "definitions"
"""Columns of a leaderboard."""

FORMULA = ("source", "difference")
"""Facts of a metric that run.json records for its reader: where the formula comes from, and how it differs."""

EMPTY = "-"
"""Entry of a column where no metric is listed."""

MAX_DECIMALS = 9

HOLE = ("leak", "leak_skill", "map_similarity")
"""Metrics of covered faces alone, of ``interpfer.metrics.hole``."""


@dataclass(frozen=True)
class MetricFacts:
    """Facts of one metric.

    Attributes:
        headline: the group of scores.csv whose value stands for the metric, "macro" or "micro".
        higher_is_better: whether a larger score is better.
        decimals: decimal places in tables.
        bounds: smallest and largest possible score.
        definition: number of the formula; scores of one name and two numbers must not be compared.
    """

    headline: str = "macro"
    higher_is_better: bool = True
    decimals: int = 3
    bounds: tuple[float, float] = (-math.inf, math.inf)
    definition: int = 1


def facts_of(metric: str, recorded: Mapping[str, MetricFacts] | None = None) -> MetricFacts:
    """Return the facts of a metric: those recorded, else those of the installed metric, else the defaults.

    Examples:
        >>> facts_of("pxap").headline, facts_of("kl").higher_is_better
        ('micro', False)
        >>> facts_of("novel", {"novel": MetricFacts(decimals=0)}).decimals
        0
    """
    return (recorded or {}).get(metric) or installed_facts(metric) or MetricFacts()


def primary_metric(metrics: Iterable[str]) -> str:
    """Return the metric of the headline: cosine, else the first.

    Examples:
        >>> primary_metric(["pxap", "cosine"]), primary_metric(["pxap", "iou"])
        ('cosine', 'pxap')
    """
    names = dict.fromkeys(metrics)
    return "cosine" if "cosine" in names else next(iter(names), "cosine")


def installed_facts(metric: str) -> MetricFacts | None:
    """Return the facts of an installed metric, None where it is not installed."""
    try:
        facts = _find(metric).facts
    except PluginError:
        return None
    return MetricFacts(facts.headline, facts.higher_is_better, facts.decimals, facts.bounds, facts.definition)


def record_metric_facts(metrics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the entry ``METRIC_FACTS`` of run.json."""
    return {name: asdict(facts_of(name)) | _formula(name) for name in metrics}


def _find(metric: str) -> Any:
    if metric in HOLE:
        return getattr(import_module("interpfer.metrics.hole"), metric)
    return METRICS.get(metric)


def _formula(metric: str) -> dict[str, str]:
    try:
        facts = _find(metric).facts
    except PluginError:
        return {}
    return {key: getattr(facts, key) for key in FORMULA}


def read_metric_facts(manifest: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, MetricFacts]:
    """Return the facts of some metrics by name, as run.json records them; of older runs, as the metrics have them.

    A run that records no definition has the first.
    """
    recorded = {name: _parse(entry) for name, entry in manifest.get(METRIC_FACTS, {}).items()}
    return {name: recorded.get(name) or replace(facts_of(name), definition=1) for name in metrics}


def redefined_metrics(a: Mapping[str, MetricFacts], b: Mapping[str, MetricFacts]) -> list[str]:
    """Return the metrics whose formula differs between two runs though their name is the same.

    Examples:
        >>> redefined_metrics({"road": MetricFacts(), "kl": MetricFacts()}, {"road": MetricFacts(definition=2)})
        ['road']
    """
    return [name for name in a if name in b and a[name].definition != b[name].definition]


def separate_definitions(table: pd.DataFrame) -> pd.DataFrame:
    """Move scores of an older formula to a column of their own, such as ``road@1``, so that they are ranked apart.

    A row that records no number has the first formula.

    Args:
        table: rows of a leaderboard as text.

    Examples:
        >>> table = pd.DataFrame({"road": ["0.2", "0.1"], "definitions": ["", "road:2"]})
        >>> separate_definitions(table)[["road", "road@1"]].to_dict("list")
        {'road': ['', '0.1'], 'road@1': ['0.2', '']}
    """
    if DEFINITIONS not in table:
        return table
    words = [str(text).split() for text in table[DEFINITIONS]]
    for name in {word.rpartition(":")[0] for row in words for word in row} & set(table):
        numbers = pd.Series([_number(row, name, 1) for row in words], table.index)
        used = sorted(set(numbers[table[name] != ""]))
        for number in used[:-1]:
            table = table.assign(**{f"{name}@{number}": table[name].where(numbers == number, "")})
        table = table.assign(**{name: table[name].where(numbers == max(used, default=1), "")})
    return table


def _parse(entry: Mapping[str, Any]) -> MetricFacts:
    low, high = entry["bounds"]
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    definition = entry.get("definition", 1)
    return MetricFacts(entry["headline"], entry["higher_is_better"], entry["decimals"], bounds, definition)


def leaderboard_columns(metrics: Iterable[str]) -> dict[str, str]:
    """Return the entries of ``LOWER``, ``DECIMALS`` and ``DEFINITIONS``.

    These are the metrics where lower is better, unusual decimals, and the numbers of formulas that are not the first of
    their name. All are empty where a metric is not installed, since a default must not overrule a row that knows it.
    """
    facts = {name: installed_facts(name) for name in metrics}
    known = {name: each for name, each in facts.items() if each is not None}
    if len(known) < len(facts):
        return {LOWER: "", DECIMALS: "", DEFINITIONS: ""}
    lower = [name for name, each in known.items() if not each.higher_is_better]
    digits = [f"{name}:{each.decimals}" for name, each in known.items() if each.decimals != MetricFacts.decimals]
    formulas = [f"{name}:{each.definition}" for name, each in known.items() if each.definition > 1]
    return {
        LOWER: " ".join(lower) or EMPTY,
        DECIMALS: " ".join(digits) or EMPTY,
        DEFINITIONS: " ".join(formulas) or EMPTY,
    }


def read_leaderboard_columns(table: pd.DataFrame, metrics: Iterable[str]) -> dict[str, MetricFacts]:
    """Return the facts of some metrics by name.

    Those of a metric are taken from the last row that has a score of it and fills ``LOWER``; where there is none, as in
    rows of older versions, from the installed metric.
    """
    facts = {}
    for name in metrics:
        rows = table[table[name] != ""]
        filled = rows[rows[LOWER] != ""] if LOWER in rows and DECIMALS in rows else rows[:0]
        if filled.empty:
            facts[name] = facts_of(name.partition("@")[0])
        else:
            last = filled.iloc[-1]
            lower, digits = str(last[LOWER]).split(), str(last[DECIMALS])
            plain = name.partition("@")[0]  # without the number of an older formula
            decimals = min(_number(digits.split(), plain, MetricFacts.decimals), MAX_DECIMALS)
            facts[name] = MetricFacts(higher_is_better=plain not in lower, decimals=decimals)
    return facts


def _number(words: Iterable[str], metric: str, default: int) -> int:
    """Return the number behind a metric in words such as ``pxap:1``."""
    for word in words:
        name, _, digits = word.rpartition(":")
        if name == metric and digits.isdecimal():
            return int(digits)
    return default
