"""Facts that the scores of a metric are read by: its headline group, direction, digits and bounds.

A run records them in run.json, and each row of a leaderboard records two of them in columns of its own. So both can be
read without importing the metrics, and where the package of a metric is not installed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from interpfer.errors import PluginError
from interpfer.metrics import METRICS

METRIC_FACTS = "metric_facts"
"""Key of run.json: name of a metric -> its facts."""

LOWER, DECIMALS = "lower_is_better", "decimals"
"""Columns of a leaderboard."""

EMPTY = "-"
"""Entry of a column where no metric is listed."""

MAX_DECIMALS = 9


@dataclass(frozen=True)
class MetricFacts:
    """Facts of one metric.

    Attributes:
        headline: the group of scores.csv whose value stands for the metric, "macro" or "micro".
        higher_is_better: whether a larger score is better.
        decimals: decimal places in tables.
        bounds: smallest and largest possible score.
    """

    headline: str = "macro"
    higher_is_better: bool = True
    decimals: int = 3
    bounds: tuple[float, float] = (-math.inf, math.inf)


def facts_of(metric: str, recorded: Mapping[str, MetricFacts] | None = None) -> MetricFacts:
    """Return the facts of a metric: those recorded, else those of the installed metric, else the defaults.

    Examples:
        >>> facts_of("pxap").headline, facts_of("kl").higher_is_better
        ('micro', False)
        >>> facts_of("novel", {"novel": MetricFacts(decimals=0)}).decimals
        0
    """
    return (recorded or {}).get(metric) or installed_facts(metric) or MetricFacts()


def installed_facts(metric: str) -> MetricFacts | None:
    """Return the facts of an installed metric, None where it is not installed."""
    try:
        facts = METRICS.get(metric).facts
    except PluginError:
        return None
    return MetricFacts(facts.headline, facts.higher_is_better, facts.decimals, facts.bounds)


def record_metric_facts(metrics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the entry ``METRIC_FACTS`` of run.json."""
    return {name: asdict(facts_of(name)) for name in metrics}


def read_metric_facts(manifest: Mapping[str, Any], metrics: Iterable[str]) -> dict[str, MetricFacts]:
    """Return the facts of some metrics by name, as run.json records them; of older runs, as the metrics have them."""
    recorded = {name: _parse(entry) for name, entry in manifest.get(METRIC_FACTS, {}).items()}
    return {name: facts_of(name, recorded) for name in metrics}


def _parse(entry: Mapping[str, Any]) -> MetricFacts:
    low, high = entry["bounds"]
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return MetricFacts(entry["headline"], entry["higher_is_better"], entry["decimals"], bounds)


def leaderboard_columns(metrics: Iterable[str]) -> dict[str, str]:
    """Return the entries of ``LOWER`` and ``DECIMALS``: metrics where lower is better, and unusual decimals.

    Both are empty where a metric is not installed, since a default must not overrule a row that knows the metric.
    """
    facts = {name: installed_facts(name) for name in metrics}
    known = {name: each for name, each in facts.items() if each is not None}
    if len(known) < len(facts):
        return {LOWER: "", DECIMALS: ""}
    lower = [name for name, each in known.items() if not each.higher_is_better]
    digits = [f"{name}:{each.decimals}" for name, each in known.items() if each.decimals != MetricFacts.decimals]
    return {LOWER: " ".join(lower) or EMPTY, DECIMALS: " ".join(digits) or EMPTY}


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
            facts[name] = facts_of(name)
        else:
            last = filled.iloc[-1]
            lower, digits = str(last[LOWER]).split(), str(last[DECIMALS])
            facts[name] = MetricFacts(higher_is_better=name not in lower, decimals=_decimals(digits, name))
    return facts


def _decimals(text: str, metric: str) -> int:
    for word in text.split():
        name, _, digits = word.rpartition(":")
        if name == metric and digits.isdecimal():
            return min(int(digits), MAX_DECIMALS)
    return MetricFacts.decimals
