"""The headline of a comparison: what changed from one run to another, in words and in numbers with intervals."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from interpfer.reports.page.scores import Scores, number
from interpfer.results.comparison import find_better
from interpfer.results.metric_facts import MetricFacts

ACCURACY = {"b": "rises", "a": "falls", "": "does not change significantly"}
AGREEMENT = {"b": "closer to", "a": "farther from", "": "neither significantly closer to nor farther from"}
"""Significantly better run ("" for neither) -> phrase."""


@dataclass(frozen=True)
class Difference:
    """A quantity in both runs.

    Attributes:
        name: the quantity.
        values: its values in both runs.
        difference: its difference, with the confidence interval.
    """

    name: str
    values: str
    difference: str


@dataclass(frozen=True)
class Change:
    """The top of a comparison.

    Attributes:
        sentence: change of the accuracy, the attention and the class map.
        differences: the same in numbers.
        counts: number of maps that are better, worse or unchanged; "" where the headline describes all.
    """

    sentence: str
    differences: tuple[Difference, ...]
    counts: str


def summarise_change(lines: pd.DataFrame, first: Scores, before: str, after: str) -> Change:
    """Summarise the change from one run to another.

    Args:
        lines: result of ``interpfer.results.comparison.compare``, without duplicate maps.
        first: scores of the first run, whose headline maps and primary metric are described.
        before: name of the first run.
        after: name of the second run.
    """
    metric, facts = first.primary, first.facts(first.primary)
    (accuracy, winner), *others = zip(lines.to_dict("records"), find_better(lines, first.recorded), strict=True)
    changes = {
        (str(line["map"]), str(line["layer_a"])): (line, side)
        for line, side in others
        if line["metric"] == metric and math.isfinite(line["difference"])
    }
    headline = {key[0]: changes[key] for key in first.headline_maps if key in changes}
    phrases = [
        f"accuracy {ACCURACY[winner]}",
        *_agreement_phrases({name: side for name, (_, side) in headline.items()}, first.words.expected),
    ]
    differences = [_difference("Accuracy", accuracy, first.facts("accuracy"))]
    differences += [_difference(f"{metric} of {name}", line, facts) for name, (line, _) in headline.items()]
    counts = ""
    if len(changes) > len(headline):
        closer, farther, unchanged = (sum(side == each for _, side in changes.values()) for each in ("b", "a", ""))
        counts = f"Of all {len(changes)} maps: {closer} significantly closer, {farther} farther, {unchanged} unchanged."
    return Change(f"From {before} to {after}, {', and '.join(phrases)}.", tuple(differences), counts)


def _agreement_phrases(winners: dict[str, str], units: str) -> list[str]:
    """Return a phrase on how maps moved towards ``units``; maps with the same change are named together."""
    if len(winners) > 1 and len(set(winners.values())) == 1:
        return [f"{' and '.join(winners)} are {AGREEMENT[next(iter(winners.values()))]} {units}"]
    phrases = [
        f"{name} is {AGREEMENT[side]} {units if place == 0 else 'them'}"
        for place, (name, side) in enumerate(winners.items())
    ]
    return [", ".join(phrases)] if phrases else []


def _difference(name: str, line: dict[Any, Any], facts: MetricFacts) -> Difference:
    a, b, difference = (float(line[column]) for column in ("a", "b", "difference"))
    values = f"{number(a, facts)} → {number(b, facts)}"
    return Difference(name, values, f"{signed(difference, facts)} {signed_interval(line, facts)}")


def signed(value: float, facts: MetricFacts) -> str:
    """Return a difference with its sign."""
    text = number(value, facts)
    return f"+{text}" if value > 0 else text


def signed_interval(line: dict[Any, Any], facts: MetricFacts) -> str:
    """Return the confidence interval of a difference; a dash where there is none."""
    ends = [float(line["ci_low"]), float(line["ci_high"])]
    return f"[{', '.join(signed(end, facts) for end in ends)}]" if all(map(math.isfinite, ends)) else "–"
