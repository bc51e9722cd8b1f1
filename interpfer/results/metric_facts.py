"""How scores are read: which way they are better, and with how many digits they are printed.

A finished score, and so a row of a leaderboard, says it of its own metrics. So it can be ranked without loading them,
and where a package that brings one is not installed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from interpfer.metrics import METRICS, decimals
from interpfer.results.direction import higher_is_better

LOWER, DECIMALS = "lower_is_better", "decimals"
NONE = "-"
USUAL, MOST = 3, 9


@dataclass(frozen=True)
class Reading:
    """How one score is read."""

    higher_is_better: bool = True
    decimals: int = USUAL


def write_readings(metrics: Sequence[str]) -> dict[str, str]:
    """Return the two columns that say it: metrics that are better low, and digits where they are not the usual.

    Both are empty where a metric is not installed here: what is only supposed must not overrule a row that knows.
    """
    if any(name not in METRICS for name in metrics):
        return {LOWER: "", DECIMALS: ""}
    lower = [name for name in metrics if not higher_is_better(name)]
    digits = [f"{name}:{decimals(name)}" for name in metrics if decimals(name) != USUAL]
    return {LOWER: " ".join(lower) or NONE, DECIMALS: " ".join(digits) or NONE}


def read_readings(table: pd.DataFrame, metrics: Iterable[str]) -> dict[str, Reading]:
    """Take it from the last row that has a value and says so; else, as in rows of old, from the metric itself."""
    found = {}
    for name in metrics:
        rows = table[table[name] != ""]
        said = rows[rows[LOWER] != ""] if LOWER in rows and DECIMALS in rows else rows[:0]
        if said.empty:
            found[name] = Reading(higher_is_better(name), decimals(name))
        else:
            last = said.iloc[-1]
            found[name] = Reading(name not in str(last[LOWER]).split(), _digits(str(last[DECIMALS]), name))
    return found


def _digits(text: str, metric: str) -> int:
    for word in text.split():
        name, _, digits = word.rpartition(":")
        if name == metric and digits.isdecimal():
            return min(int(digits), MOST)
    return USUAL
