"""Conclusions under each choice: verdicts of paired tests, and orders of maps and of models."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from interpfer.labels import class_indices
from interpfer.results.comparison import SIGNIFICANCE, common_metrics, layer_pairs, map_scores, predictions_of
from interpfer.results.run import SUBJECT, Run
from interpfer.robustness.study import Choice, Study
from interpfer.statistics.comparison import Difference, compare_scores, holm
from interpfer.statistics.stability import kendall_tau
from interpfer.statistics.subjects import number_subjects

VALUES = [*Choice._fields, "model", "map", "layer", "metric", "value", "ci_low", "ci_high", "n"]
CONCLUSIONS = ["kind", "of", "layer", "metric", "conclusion", "holds", "choices", "reversed", "tau", "flips"]

ABOVE, BELOW, ALIKE = "above", "below", "not told apart from"
OPPOSITE = {ABOVE: BELOW, BELOW: ABOVE}

BASELINES, MAPS, MODELS = "map and baseline", "two maps", "two models"
MAP_ORDER, MODEL_ORDER = "order of maps", "order of models"

Key = tuple[str, str, str, str, str, str]
"""Kind, of what, layer, metric, and the two items."""


class Conclusions(NamedTuple):
    """What holds under which choices.

    Attributes:
        table: a line per conclusion. ``conclusion``: what is found under most choices. ``holds``: share of the choices
            under which it is. ``reversed``: number of choices under which the opposite is significant. ``tau``: for an
            order, mean Kendall's tau between it and those of the other choices. ``flips``: the other findings, with
            their choices.
        findings: for each line, what is found under each choice.
    """

    table: pd.DataFrame
    findings: list[list[str]]


def value_table(study: Study) -> pd.DataFrame:
    """Return a line per choice, model, map, layer and metric: the mean of the class means with its interval."""
    lines = []
    for model, runs in study.runs.items():
        for choice, run in zip(study.choices, runs, strict=True):
            scores = run.scores[run.scores["group"] == "macro"]
            for row in scores[["map", "layer", "metric", "value", "ci_low", "ci_high", "n"]].itertuples(index=False):
                lines.append((*choice, model, *row))
    return pd.DataFrame(lines, columns=VALUES)


def find_conclusions(study: Study, seed: int = 0) -> Conclusions:
    """Return what holds under how many choices.

    Two maps, a map and a baseline, or two models are told apart by the sign-flip test of ``interpfer compare`` over
    people, or images where no subject is known: p < 0.05 after Holm's adjustment for all tests of the choice, and a
    confidence interval without 0. "above" is better, also for a metric of which lower values are.

    Args:
        study: the runs.
        seed: random seed of bootstrap and tests.
    """
    verdicts = [
        _verdicts({name: runs[place] for name, runs in study.runs.items()}, seed) for place in range(len(study.choices))
    ]
    orders = [_orders({name: runs[place] for name, runs in study.runs.items()}) for place in range(len(study.choices))]
    lines, findings = [], []
    for key in dict.fromkeys(key for own in orders for key in own):
        found = [own.get(key, {}) for own in orders]
        texts = [" > ".join(sorted(values, key=lambda name: -values[name])) for values in found]
        lines.append((*key, *_summary(texts, study), _mean_tau(found, texts)))
        findings.append(texts)
    for test in dict.fromkeys(test for own in verdicts for test in own):
        texts = [f"{test[4]} {own[test]} {test[5]}" if test in own else "" for own in verdicts]
        lines.append((*test[:4], *_summary(texts, study, test), np.nan))
        findings.append(texts)
    names = [*CONCLUSIONS[:8], "flips", "tau"]
    return Conclusions(pd.DataFrame(lines, columns=names)[CONCLUSIONS], findings)


def _summary(texts: Sequence[str], study: Study, key: Key | None = None) -> tuple[str, float, int, int, str]:
    """Return the most frequent finding, its share, how many there are, how many are reversed, and the others."""
    named = [(text, study.name(choice)) for text, choice in zip(texts, study.choices, strict=True) if text]
    counts = Counter(text for text, _ in named)
    most, count = counts.most_common(1)[0]
    flips = [f"{text}: {'; '.join(name for own, name in named if own == text)}" for text in counts if text != most]
    opposite = 0
    if key is not None:
        verdict = most.removeprefix(key[4]).removesuffix(key[5]).strip()
        opposite = counts[f"{key[4]} {OPPOSITE[verdict]} {key[5]}"] if verdict in OPPOSITE else 0
    return most, count / len(named), len(named), opposite, " | ".join(flips)


def _mean_tau(found: Sequence[dict[str, float]], texts: Sequence[str]) -> float:
    """Return the mean of Kendall's tau between the most frequent order and that of each other choice."""
    place = texts.index(Counter(text for text in texts if text).most_common(1)[0][0])
    items = list(found[place])
    others = [values for other, values in enumerate(found) if other != place and set(values) == set(items)]
    if not others:
        return np.nan
    table = np.array([[values[item] for item in items] for values in others])
    taus = kendall_tau(np.array([found[place][item] for item in items]), table)
    return float(taus[np.isfinite(taus)].mean()) if np.isfinite(taus).any() else np.nan


def _columns(run: Run) -> list[tuple[str, str]]:
    """Return the (map, layer) pairs of a run that repeat no other."""
    pairs = run.per_image[["map", "layer"]].drop_duplicates().itertuples(index=False)
    twins = run.manifest.get("same", {})
    return [(str(name), str(layer)) for name, layer in pairs if f"{name}@{layer}" not in twins]


def _orders(runs: dict[str, Run]) -> dict[tuple[str, str, str, str], dict[str, float]]:
    """Return (kind, of what, layer, metric) -> item -> its value, larger is better, of lists of two items or more."""
    orders: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for model, run in runs.items():
        own = set(_columns(run))
        last = list({name: layer for name, layer in _columns(run) if layer != "-"}.items())
        macro = run.scores[run.scores["group"] == "macro"]
        for row in macro[["map", "layer", "metric", "value"]].to_dict("records"):
            name, layer, metric, value = (row[each] for each in ("map", "layer", "metric", "value"))
            if layer == "-" or (name, layer) not in own or value != value:
                continue
            better = float(value) if run.metric_facts[metric].higher_is_better else -float(value)
            orders.setdefault((MAP_ORDER, model, layer, metric), {})[name] = better
            if (name, layer) in last:
                orders.setdefault((MODEL_ORDER, name, "last", metric), {})[model] = better
    return {key: values for key, values in orders.items() if len(values) > 1}


def _verdicts(runs: dict[str, Run], seed: int) -> dict[Key, str]:
    """Return the verdict of each test under one choice."""
    tests = [test for model, run in runs.items() for test in _tests_of_maps(model, run, seed)]
    for (name_a, run_a), (name_b, run_b) in combinations(runs.items(), 2):
        tests += _tests_of_models(name_a, run_a, name_b, run_b, seed)
    facts = next(iter(runs.values())).metric_facts
    adjusted = holm([line.p for _, line in tests])
    return {
        key: _verdict(line, p, facts[key[3]].higher_is_better)
        for (key, line), p in zip(tests, adjusted, strict=True)
        if line.n
    }


def _verdict(line: Difference, p: float, higher_is_better: bool) -> str:
    """Return how the first item stands to the second; differences are the second minus the first."""
    if not (p < SIGNIFICANCE and (line.low > 0 or line.high < 0)):
        return ALIKE
    return BELOW if (line.difference > 0) == higher_is_better else ABOVE


def _tests_of_maps(model: str, run: Run, seed: int) -> Iterator[tuple[Key, Difference]]:
    columns = _columns(run)
    own = [key for key in columns if key[1] != "-"]
    pairs = [(MAPS, a, b) for a, b in combinations(own, 2) if a[1] == b[1]]
    pairs += [(BASELINES, a, b) for a in own for b in columns if b[1] == "-"]
    if not pairs:
        return
    metrics = common_metrics([run])
    tables = {key: map_scores(run, *key, metrics) for key in columns}
    keys = [(kind, model, a[1], metric, a[0], b[0]) for kind, a, b in pairs for metric in metrics]
    sides = [[tables[a] for _, a, _ in pairs], [tables[b] for _, _, b in pairs]]
    yield from zip(keys, _differences(sides, run, tables[columns[0]].index, seed), strict=True)


def _tests_of_models(name_a: str, run_a: Run, name_b: str, run_b: Run, seed: int) -> Iterator[tuple[Key, Difference]]:
    metrics = common_metrics([run_a, run_b])
    shared = predictions_of(run_a).index.intersection(predictions_of(run_b).index, sort=False)
    pairs = layer_pairs(run_a, run_b)
    keys = [
        (MODELS, name, a if a == b else f"{a} and {b}", metric, name_a, name_b)
        for name, a, b in pairs
        for metric in metrics
    ]
    sides = [
        [map_scores(run, pair[0], pair[place], metrics) for pair in pairs] for place, run in ((1, run_a), (2, run_b))
    ]
    yield from zip(keys, _differences(sides, run_a, shared, seed), strict=True)


def _differences(sides: Sequence[Sequence[pd.DataFrame]], run: Run, images: pd.Index, seed: int) -> list[Difference]:
    """Return the paired difference of each column of both sides, on the same images."""
    labels = images.get_level_values("label").tolist()
    names = tuple(dict.fromkeys(label for label in labels if label))
    classes = np.array(class_indices(labels, names), np.intp)
    subjects = number_subjects(predictions_of(run).loc[images, SUBJECT].tolist())
    a, b = (np.concatenate([table.loc[images].to_numpy(float) for table in side], 1) for side in sides)
    return compare_scores(a, b, classes, names, seed, subjects)
