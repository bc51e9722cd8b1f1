"""The headline: what a run says, in one plain sentence with its baselines and its interval."""

import math
from dataclasses import dataclass

from interpfer.reports.direction import rises
from interpfer.reports.page.scores import CLASS_MEAN, SAID, Key, Scores, Value, interval, number
from interpfer.reports.page.scores import UNIFORM as UNIFORM_MAP
from interpfer.results.run import Run

UNIFORM: Key = (UNIFORM_MAP, "-")
LABEL: Key = (CLASS_MEAN, "-")

SAME = "a map that is the same everywhere would"
STEPS = (
    (0.05, f"hardly more than {SAME}"),
    (0.25, f"a little more than {SAME}"),
    (0.75, f"clearly more than {SAME}"),
    (1.00, "almost as much as knowing the label alone would allow"),
    (math.inf, "more than knowing the label alone would allow"),
)
"""Up to which share of the way from a uniform map to the class's mean heatmap, and how that is said."""


@dataclass(frozen=True)
class Headline:
    """What stands on top.

    Attributes:
        verdict: one sentence without numbers.
        sentence: one sentence with them.
        best: the map that both speak of, or None where no map is defined.
    """

    verdict: str
    sentence: str
    best: Key | None


def headline(run: Run, scores: Scores) -> Headline:
    """Say in plain words how a run ended."""
    model, metric = str(run.manifest["arguments"]["model"]), scores.primary
    key = scores.best(metric)
    if key is None:
        return Headline(f"No map of {model} could be scored.", "Every map was undefined on every face.", None)
    found, uniform, label = scores.at(key, metric), scores.at(UNIFORM, metric), scores.at(LABEL, metric)
    marks = [f"{SAID[name]} scores {number(scores.at((name, '-'), metric).value, metric)}"
             for name in SAID if scores.at((name, "-"), metric).defined]  # fmt: skip
    distinct = len(scores.maps) - len(run.manifest.get("same", {}))
    among = f", the best of {distinct} maps," if distinct > 1 else ""
    sentence = (
        f"On {found.n:,} faces the {key[0]} of {key[1]}{among} reaches a {metric} of "
        f"{number(found.value, metric)} {interval(found, metric)} with the action-unit heatmaps"
    )
    sentence += f"; {_joined(marks)}." if marks else "; no baseline was scored, so the number has no scale."
    return Headline(_verdict(model, metric, found, uniform, label), sentence, key)


def _verdict(model: str, metric: str, found: Value, uniform: Value, label: Value) -> str:
    if not uniform.defined or not rises(metric):
        return f"{model} was scored without a uniform map to compare with."
    looks = f"{model} looks at the expected action units"
    if found.high <= uniform.value:
        return f"{looks} less than {SAME}."
    if found.low <= uniform.value:
        return f"{looks} no more than {SAME}."
    if not label.defined or label.value <= uniform.value:
        return f"{looks} more than {SAME}."
    way = (found.value - uniform.value) / (label.value - uniform.value)
    return f"{looks} {next(words for limit, words in STEPS if way <= limit)}."


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
