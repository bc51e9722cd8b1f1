"""What refiners do alone: the same refiner on maps that do not use the network, or a network with random weights."""

import math
from typing import NamedTuple

from interpfer.reports.page.scores import Estimate, Key, Scores, number
from interpfer.reports.page.tables import Cell, Line, Sheet
from interpfer.results.run import Run

CONTROLS = ("baseline:random", "baseline:uniform")

MARGIN = 0.01
"""Smallest gain, as a share of the range of the metric, that counts as raised."""

COLUMNS = [
    "map", "refined", "random map", "refined random map", "uniform map", "refined uniform map", "random weights",
    "refined, random weights",
]  # fmt: skip


class Alone(NamedTuple):
    """A refined map and what its refiners do alone.

    Attributes:
        key: the refined map and its layer.
        chain: names of its refiners, joined by dots.
        base: the map without refiners.
        refined: the map with them.
        controls: pairs of a baseline without and with the refiners; undefined where they cannot be applied.
        shuffled: cosine of the map with random weights, without and with the refiners; NaN without sanity checks.
    """

    key: Key
    chain: str
    base: Estimate
    refined: Estimate
    controls: tuple[tuple[Estimate, Estimate], ...]
    shuffled: tuple[float, float]


def refined_maps(run: Run, scores: Scores) -> list[Alone]:
    """Return the refined maps of a run with what their refiners do alone, by the metric of the headline."""
    checks = run.manifest.get("sanity", {}).get("maps", {})
    found = []
    for key in scores.maps:
        base, dot, chain = key[0].partition(".")
        if not dot:
            continue
        before = _base_key(scores, base, key[1])
        pairs = tuple(
            (scores.at((control, "-"), scores.primary), scores.at((f"{control}.{chain}", "-"), scores.primary))
            for control in CONTROLS
        )
        shuffled = tuple(_shuffled(checks.get("@".join(each), {})) for each in (before, key))
        values = scores.at(before, scores.primary), scores.at(key, scores.primary)
        found.append(Alone(key, chain, *values, pairs, (shuffled[0], shuffled[1])))
    return found


def unaided(run: Run, scores: Scores) -> list[str]:
    """Return the refiners that raise the agreement of maps that use no network, or one with random weights.

    On a baseline a gain counts from a hundredth of the range of the metric on, if the interval of the refined baseline
    lies above the value without refiners; with random weights if the mean gain over maps and layers is as large.
    """
    facts = scores.facts(scores.primary)
    low, high = facts.bounds
    margin = MARGIN * (high - low if math.isfinite(high - low) else 1)
    sign = 1 if facts.higher_is_better else -1
    found = refined_maps(run, scores)
    names = []
    for chain in dict.fromkeys(alone.chain for alone in found):
        own = [alone for alone in found if alone.chain == chain]
        gains = [
            sign * (refined.value - plain.value) >= margin
            and (refined.ends[0] > plain.value if sign > 0 else refined.ends[1] < plain.value)
            for plain, refined in own[0].controls
            if plain.is_defined and refined.is_defined
        ]
        changes = [after - before for before, after in (alone.shuffled for alone in own)]
        known = [change for change in changes if math.isfinite(change)]
        if any(gains) or (known and sum(known) / len(known) >= MARGIN):
            names.append(chain)
    return names


def refiner_sheets(run: Run, scores: Scores) -> list[Sheet]:
    """Return a table of the refined maps and of what their refiners do alone; none for a run without."""
    facts = scores.facts(scores.primary)
    lines = []
    for alone in refined_maps(run, scores):
        estimates = [alone.base, alone.refined, *(each for pair in alone.controls for each in pair)]
        cells = [Cell(number(each.value, facts), each.value, title=f"n = {each.n}") for each in estimates]
        cells += [Cell(number(value), value) for value in alone.shuffled]
        lines.append(Line(alone.key[0], cells, alone.key[1]))
    if not lines:
        return []
    caption = f"{scores.primary} with and without refiners"
    return [
        Sheet({}, caption, "refined map", COLUMNS, lines, "Random weights: cosine on the faces of the sanity checks.")
    ]


def describe_unaided(names: list[str]) -> str:
    """Return a sentence that names refiners which raise agreement without the network; "" for none.

    Examples:
        >>> describe_unaided(["blur"])
        'Refiner blur raises agreement without the network, too: its gain is no evidence of where the network looks.'
    """
    if not names:
        return ""
    what = "Refiner" if len(names) == 1 else "Refiners"
    raises, its = ("raises", "its gain is") if len(names) == 1 else ("raise", "their gains are")
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{what} {listed} {raises} agreement without the network, too: {its} no evidence of where the network looks."


def _base_key(scores: Scores, base: str, layer: str) -> Key:
    """Return the map without refiners at its layer, or at the deepest for a map of several layers."""
    layers = [own for name, own in scores.maps if name == base]
    return base, layer if layer in layers or not layers else layers[-1]


def _shuffled(facts: dict[str, float | None]) -> float:
    value = facts.get("cosine_shuffled")
    return math.nan if value is None else value
