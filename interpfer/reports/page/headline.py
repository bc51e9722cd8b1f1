"""The headline: what a run says, in one plain sentence, then with its numbers, baselines and intervals."""

import math
import statistics
from dataclasses import dataclass

from interpfer.reports.page.scores import (
    ATTENTION,
    CLASS_MEAN,
    SAID,
    UNIFORM,
    Key,
    Scores,
    Value,
    explains_class,
    interval,
    number,
)
from interpfer.results.direction import higher_is_better
from interpfer.results.run import Run, headline_group

BLANK: Key = (UNIFORM, "-")
LABEL: Key = (CLASS_MEAN, "-")

SAME = "a map that is the same everywhere would"
ALLOWED = "knowing the label alone would allow"
STEPS = ((0.05, "hardly more"), (0.25, "a little more"), (0.75, "clearly more"))
"""Up to which share of the way from a uniform map to the class's mean heatmap, and how that is said."""

FEW = 10
"""A mean over fewer faces is called what it is."""


@dataclass(frozen=True)
class Headline:
    """What stands on top.

    Attributes:
        verdict: one sentence without numbers.
        sentence: one sentence with them.
        spoken: the maps that both speak of; none where no map is defined.
        notes: what a reader has to know beside: how the other maps do, which classes have few faces.
    """

    verdict: str
    sentence: str
    headline_maps: tuple[Key, ...]
    notes: tuple[str, ...] = ()


def headline(run: Run, scores: Scores) -> Headline:
    """Say in plain words how a run ended."""
    model, headline_maps = str(run.manifest["arguments"]["model"]), tuple(scores.headline_maps)
    if not headline_maps:
        return Headline(f"No map of {model} could be scored.", "Every map was undefined on every face.", ())
    notes = tuple(filter(None, (_others(scores, headline_maps), _few(scores, headline_maps))))
    return Headline(_verdict(model, scores, headline_maps), _sentence(scores, headline_maps), headline_maps, notes)


def _sentence(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    metric = scores.primary
    found = [scores.at(key, metric) for key in headline_maps]
    parts = [
        f"{number(value.value, metric)} {interval(value, metric)}".strip()
        + ("" if value.n == found[0].n else f" on {value.n:,}")
        for value in found
    ]
    name, layer = headline_maps[0]
    said = f"On {found[0].n:,} faces the {name} of {layer} reaches a {metric} of {parts[0]} with the "
    said += "action-unit heatmaps" + "".join(
        f", and {name if layer == headline_maps[0][1] else f'{name} of {layer}'} {part}"
        for (name, layer), part in zip(headline_maps[1:], parts[1:], strict=True)
    )
    marks = baseline_words(scores)
    return f"{said}; {_joined(marks)}." if marks else f"{said}; no baseline was scored, so the number has no scale."


def baseline_words(scores: Scores) -> list[str]:
    """Return what each baseline that was scored reaches."""
    values = {name: scores.at((name, "-"), scores.primary) for name in SAID}
    return [
        f"{SAID[name]} scores {number(value.value, scores.primary)}" for name, value in values.items() if value.defined
    ]


def _verdict(model: str, scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    metric = scores.primary
    uniform, label = scores.at(BLANK, metric), scores.at(LABEL, metric)
    if not uniform.defined:
        return f"{model} was scored without a uniform map to compare with."
    if not higher_is_better(metric):
        return f"{model} was scored in {metric}, of which less is better: read its numbers beside the baselines'."
    placed = [_compare_to_baselines(scores.at(key, metric), uniform, label) for key in headline_maps]
    name, (degree, than) = headline_maps[0][0], placed[0]
    who = f"{model} looks at" if name == ATTENTION else f"{_map_phrase(name)} of {model} lies on"
    said = f"{who[0].upper() if name != ATTENTION else who[0]}{who[1:]} the expected action units {degree} {than}"
    if len(headline_maps) == 1:
        return f"{said}."
    if placed[1] == placed[0]:
        return f"{said}, and so does {_map_phrase(headline_maps[1][0], 'its')}."
    degree, than = placed[1]
    more = degree if than == placed[0][1] else f"{degree} {than}"
    return f"{said}, and {_map_phrase(headline_maps[1][0], 'its')} lies on them {more}."


def _map_phrase(name: str, whose: str = "the") -> str:
    return f"{whose} class map ({name})" if explains_class(name) else f"{whose} map {name}"


def _compare_to_baselines(found: Value, uniform: Value, label: Value) -> tuple[str, str]:
    """Return how much, and what it is held against."""
    low, high = (end if math.isfinite(end) else found.value for end in (found.low, found.high))
    if high < uniform.value:
        return "less", f"than {SAME}"
    if low <= uniform.value:
        return "no more", f"than {SAME}"
    if not label.defined or label.value <= uniform.value:
        return "more", f"than {SAME}"
    way = (found.value - uniform.value) / (label.value - uniform.value)
    if way > STEPS[-1][0]:
        if low > label.value:
            return "more", f"than {ALLOWED}"
        return "almost as much" if way <= 1 else "about as much", f"as {ALLOWED}"
    return next(words for limit, words in STEPS if way <= limit), f"than {SAME}"


def _others(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    """Say how the maps do that the verdict leaves out."""
    metric = scores.primary
    values = [value for key in scores.distinct if math.isfinite(value := scores.at(key, metric).value)]
    best = scores.best(metric)
    if best is None or len(values) <= len(headline_maps):
        return ""
    median, top = number(statistics.median(values), metric), number(scores.at(best, metric).value, metric)
    return f"Of all {len(values)} maps the median {metric} is {median}; the best is {best[0]} of {best[1]} with {top}."


def _few(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    """Name the classes of which a map is defined on few faces; a class that it does not know weighs nothing."""
    if headline_group(scores.primary) != "macro":
        return ""
    counts = {name: [scores.at(key, scores.primary, name).n for key in headline_maps] for name in scores.classes}
    least = {name: min((n for n in found if n), default=0) for name, found in counts.items()}
    few = [f"{name} ({count})" for name, count in least.items() if 0 < count < FEW]
    return f"Few faces, yet each of these classes weighs as much as any other: {', '.join(few)}." if few else ""


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
