"""The headline of a run: a sentence without numbers, one with numbers, baselines and intervals, and notes."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from interpfer.reports.page.refiners import describe_unaided, unaided
from interpfer.reports.page.scores import (
    ATTENTION,
    UNIFORM,
    Estimate,
    Key,
    Scores,
    explains_class,
    interval,
    number,
)
from interpfer.results.run import Run
from interpfer.statistics.small_samples import few_per_class

UNIFORM_MAP = "a uniform map"

STEPS = ((0.05, "hardly more"), (0.25, "a little more"), (0.75, "clearly more"))
"""Largest share of the distance from the uniform map to the class-mean heatmap -> its phrase."""

FEW_FACES = 10
"""Classes of fewer faces are named in a note."""


@dataclass(frozen=True)
class Headline:
    """The top of a report.

    Attributes:
        verdict: sentence without numbers.
        sentence: sentence with numbers.
        headline_maps: maps that both describe; none where no map is defined.
        notes: sentences on the other maps and on classes of few faces.
    """

    verdict: str
    sentence: str
    headline_maps: tuple[Key, ...]
    notes: tuple[str, ...] = ()


def summarise_run(run: Run, scores: Scores) -> Headline:
    """Return the headline of a run."""
    model, headline_maps = str(run.manifest["arguments"]["model"]), tuple(scores.headline_maps)
    if not headline_maps:
        return Headline(
            f"No map of {model} could be scored.", f"Every map was undefined on every {scores.words.one}.", ()
        )
    people = run.manifest.get("subjects", {}).get("people_per_class", {})
    few = _unreliable_classes(scores, headline_maps, people)
    notes = tuple(filter(None, (_other_maps(scores, headline_maps), few, _small_classes(scores, headline_maps))))
    verdict = " ".join(filter(None, (_verdict(model, scores, headline_maps), describe_unaided(unaided(run, scores)))))
    return Headline(verdict, _sentence(scores, headline_maps), headline_maps, notes)


def _sentence(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    metric = scores.primary
    facts = scores.facts(metric)
    estimates = [scores.at(key, metric) for key in headline_maps]
    parts = [
        f"{number(estimate.value, facts)} {interval(estimate, facts)}".strip()
        + ("" if estimate.n == estimates[0].n else f" on {estimate.n:,}")
        for estimate in estimates
    ]
    name, layer = headline_maps[0]
    subject = f"the {ATTENTION}" if name == ATTENTION else name
    sentence = (
        f"On {estimates[0].n:,} {scores.counted}, {subject} at {layer} reaches a {metric} of {parts[0]} with the "
    )
    sentence += scores.words.compared + "".join(
        f", and {name if layer == headline_maps[0][1] else f'{name} at {layer}'} {part}"
        for (name, layer), part in zip(headline_maps[1:], parts[1:], strict=True)
    )
    baselines = baseline_phrases(scores)
    if not baselines:
        return f"{sentence}; no baseline was scored, so there is no reference value."
    return f"{sentence}; {_join(baselines)}."


def baseline_phrases(scores: Scores) -> list[str]:
    """Return a phrase with the score of each baseline of the run."""
    facts = scores.facts(scores.primary)
    estimates = {phrase: scores.at(key, scores.primary) for key, phrase in scores.phrases.items()}
    return [
        f"{phrase} scores {number(estimate.value, facts)}"
        for phrase, estimate in estimates.items()
        if estimate.is_defined
    ]


def _verdict(model: str, scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    metric = scores.primary
    uniform, class_mean = scores.at(UNIFORM, metric), scores.at(scores.class_mean, metric)
    if not uniform.is_defined:
        return f"{model} was scored without a uniform map to compare with."
    if not scores.facts(metric).higher_is_better:
        return f"{model} was scored by {metric}, where lower is better: compare its values with those of the baselines."
    reference_name = f"the {scores.words.class_mean_short}"
    levels = [
        _compare_to_baselines(scores.at(key, metric), uniform, class_mean, reference_name) for key in headline_maps
    ]
    degree, reference = levels[0]
    subject = _map_phrase(headline_maps[0][0], "The")
    sentence = f"{subject} of {model} agrees with {scores.words.expected} {degree} {reference}"
    if len(headline_maps) == 1:
        return f"{sentence}."
    other = _map_phrase(headline_maps[1][0], "its")
    if levels[1] == levels[0]:
        return f"{sentence}, and so does {other}."
    degree, other_reference = levels[1]
    return f"{sentence}, and {other} {degree}{'' if other_reference == reference else f' {other_reference}'}."


def _map_phrase(name: str, article: str) -> str:
    if name == ATTENTION:
        return f"{article} attention"
    return f"{article} class map ({name})" if explains_class(name) else f"{article} map {name}"


def _compare_to_baselines(estimate: Estimate, uniform: Estimate, class_mean: Estimate, name: str) -> tuple[str, str]:
    """Return a degree and the reference that it refers to; ``name`` is that of the class mean."""
    low, high = estimate.ends
    if high < uniform.value:
        return "less", f"than {UNIFORM_MAP}"
    if low <= uniform.value:
        return "no more", f"than {UNIFORM_MAP}"
    if not class_mean.is_defined or class_mean.value <= uniform.value:
        return "more", f"than {UNIFORM_MAP}"
    share = (estimate.value - uniform.value) / (class_mean.value - uniform.value)
    if share > STEPS[-1][0]:
        if low > class_mean.value:
            return "more", f"than {name}"
        return "almost as much" if share <= 1 else "about as much", f"as {name}"
    return next(phrase for limit, phrase in STEPS if share <= limit), f"than {UNIFORM_MAP}"


def _other_maps(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    """Return a note on the maps that the headline leaves out."""
    metric, facts = scores.primary, scores.facts(scores.primary)
    estimates = [scores.at(key, metric) for key in scores.distinct]
    values = [estimate.value for estimate in estimates if estimate.is_defined]
    best = scores.best(metric)
    if best is None or len(values) <= len(headline_maps):
        return ""
    median, top = number(statistics.median(values), facts), number(scores.at(best, metric).value, facts)
    return (
        f"The median {metric} of all {len(values)} maps is {median}; the best map is {best[0]} at {best[1]} with {top}."
    )


def _unreliable_classes(scores: Scores, headline_maps: tuple[Key, ...], people: Mapping[str, int]) -> str:
    """Return a note on the classes whose interval is unreliable, because they have too few people or faces."""
    note = (
        few_per_class(people, "people")
        if people
        else few_per_class(_faces_per_class(scores, headline_maps), scores.words.many)
    )
    return f"{note[:1].upper()}{note[1:]}." if note else ""


def _faces_per_class(scores: Scores, headline_maps: tuple[Key, ...]) -> dict[str, int]:
    """Return the smallest number of faces of each class on which a map of the headline is defined, 0 for none."""
    counts = {name: [scores.at(key, scores.primary, name).n for key in headline_maps] for name in scores.classes}
    return {name: min((n for n in sizes if n), default=0) for name, sizes in counts.items()}


def _small_classes(scores: Scores, headline_maps: tuple[Key, ...]) -> str:
    """Return a note on the classes in which a map is defined on few faces; an empty class has no weight."""
    if scores.facts(scores.primary).headline != "macro":
        return ""
    few = [f"{name} ({n})" for name, n in _faces_per_class(scores, headline_maps).items() if 0 < n < FEW_FACES]
    return f"Classes with few {scores.words.many}, which weigh as much as the others: {', '.join(few)}." if few else ""


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
