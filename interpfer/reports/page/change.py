"""What became of a model from one run to another: in words, and in numbers with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from interpfer.reports.page.scores import Key, number
from interpfer.results.comparison import better

ACCURACY = {"b": "rises", "a": "falls", "": "stays within chance"}
MOVES = {"b": "closer to", "a": "farther from", "": "no closer to"}
"""How it is said that the second run is better, that the first is, or neither."""


@dataclass(frozen=True)
class Move:
    """One number before and after.

    Attributes:
        name: of what.
        ends: both values.
        by: their difference with its interval.
    """

    name: str
    ends: str
    by: str


@dataclass(frozen=True)
class Change:
    """What stands on top of a comparison.

    Attributes:
        words: what became of the accuracy, the attention and the class map, in one sentence.
        moves: the same in numbers.
        counts: how many of all maps are better, worse, or neither; "" where there are no others.
    """

    words: str
    moves: tuple[Move, ...]
    counts: str


def change(lines: pd.DataFrame, headline_maps: Sequence[Key], metric: str, before: str, after: str) -> Change:
    """Sum up what ``interpfer.results.comparison.compare`` found.

    Args:
        lines: what it found, without maps that are the same thing as another.
        headline_maps: the maps of the first run that a verdict speaks of.
        metric: which it speaks of.
        before: what the first run is called.
        after: what the second run is called.
    """
    (first, winner), *others = zip(lines.to_dict("records"), better(lines), strict=True)
    own = {
        (str(line["map"]), str(line["layer_a"])): (line, won)
        for line, won in others
        if line["metric"] == metric and math.isfinite(line["difference"])
    }
    found = {key[0]: own[key] for key in headline_maps if key in own}
    words = [f"accuracy {ACCURACY[winner]}", *_moved({name: won for name, (_, won) in found.items()})]
    moves = [_move("Accuracy", first), *(_move(f"{metric} of {name}", line) for name, (line, _) in found.items())]
    counts = ""
    if len(own) > len(found):
        rise, fall, stay = (sum(won == side for _, won in own.values()) for side in ("b", "a", ""))
        counts = f"Of all {len(own)} maps, closer: {rise}, farther: {fall}, within chance: {stay}."
    return Change(f"From {before} to {after}, {', and '.join(words)}.", tuple(moves), counts)


def _moved(winners: dict[str, str]) -> list[str]:
    """Say of maps where they are now; of two that went the same way, at once."""
    units = "the expected action units"
    if len(winners) > 1 and len(set(winners.values())) == 1:
        return [f"{' and '.join(winners)} are {MOVES[next(iter(winners.values()))]} {units}"]
    said = [
        f"{name} is {MOVES[won]} {units if place == 0 else 'them'}" for place, (name, won) in enumerate(winners.items())
    ]
    return [", ".join(said)] if said else []


def _move(name: str, line: dict[Any, Any]) -> Move:
    metric = str(line["metric"])
    a, b, moved = (float(line[end]) for end in ("a", "b", "difference"))
    return Move(name, f"{number(a, metric)} → {number(b, metric)}", f"{signed(moved, metric)} {signed_interval(line)}")


def signed(value: float, metric: str) -> str:
    """Write a difference with its sign."""
    text = number(value, metric)
    return f"+{text}" if value > 0 else text


def signed_interval(line: dict[Any, Any]) -> str:
    """Write the interval of a difference; a dash where there is none."""
    ends = [float(line["ci_low"]), float(line["ci_high"])]
    said = ", ".join(signed(end, str(line["metric"])) for end in ends)
    return f"[{said}]" if all(map(math.isfinite, ends)) else "–"
