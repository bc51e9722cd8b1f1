"""Stability of rankings: how the order of models and of maps changes with resampling, metric and scoring rules."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interpfer.errors import RunError
from interpfer.labels import class_indices
from interpfer.results.comparison import KEYS, map_scores, predictions_of, scoring_rules
from interpfer.results.metric_facts import redefined_metrics
from interpfer.results.run import SUBJECT, Run
from interpfer.statistics.stability import kendall_tau, resample_order
from interpfer.statistics.subjects import number_subjects

ORDERS = ["order", "of", "rules", "metric", "item", "value", "rank", "first", "tau", "n", "n_subjects"]
AGREEMENTS = ["order", "of", "rules_a", "metric_a", "rules_b", "metric_b", "tau", "same_first", "items"]

MODELS, MAPS = "models", "maps"
"""What is put in order: models by one map, or the maps of one model."""


class Stability(NamedTuple):
    """Orders of models and maps.

    Attributes:
        orders: a line per item of each order. ``order``: "models" or "maps". ``of``: the map by which models are
            ordered ("-" for the accuracy), or the model whose maps are. ``rules``: the scoring rules in which runs
            differ. ``value``: mean of the class means. ``rank``: 1 for the best. ``first``: share of the bootstrap
            resamples in which the item is first. ``tau``: mean Kendall's tau between the orders of the resamples and
            this one. ``n``: images that count, on which all items have a score. ``n_subjects``: people on them, 0
            where none is known.
        agreements: a line per pair of orders of the same items that differ in the metric or in the rules: Kendall's
            tau between them, whether the same item is first, and the number of items.
    """

    orders: pd.DataFrame
    agreements: pd.DataFrame


class _Table(NamedTuple):
    """Scores of some items on the same images."""

    order: str
    of: str
    rules: str
    metric: str
    items: tuple[str, ...]
    scores: pd.DataFrame
    subjects: dict[str, str]
    higher_is_better: bool


def rank_stability(runs: Sequence[Run], seed: int = 0) -> Stability:
    """Return how stable the orders of models and maps of some runs are.

    Runs of the same rules (protocol, truth, landmarks) are ordered together; runs of other rules show what the rules
    do to the order. Layers: the last one of each map for models, each layer for maps. Baselines are left out, and maps
    that are identical to another one.

    Args:
        runs: finished runs.
        seed: random seed of the resamples.

    Raises:
        RunError: nothing can be put in order: there are neither two models nor two maps.
    """
    rules = _name_rules(runs)
    names = _name_models(runs, rules)
    tables = [
        *(
            table
            for rule in dict.fromkeys(rules)
            for table in _model_tables(
                [(name, run) for name, run, own in zip(names, runs, rules, strict=True) if own == rule], rule
            )
        ),
        *(table for name, run, rule in zip(names, runs, rules, strict=True) for table in _map_tables(name, run, rule)),
    ]
    lines = [line for table in tables for line in _order_lines(table, seed)]
    if not lines:
        raise RunError("nothing to rank: pass runs of at least two models, or runs of at least two maps.")
    orders = pd.DataFrame(lines, columns=ORDERS)
    return Stability(orders, pd.DataFrame(list(_agreements(orders)), columns=AGREEMENTS))


def describe_order(order: str, of: str) -> str:
    """Return what is put in order, in words.

    Examples:
        >>> describe_order("models", "gradcam"), describe_order("models", "-"), describe_order("maps", "poster")
        ('models by gradcam', 'models', 'maps of poster')
    """
    if order == MAPS:
        return f"maps of {of}"
    return MODELS if of == "-" else f"models by {of}"


def _name_rules(runs: Sequence[Run]) -> list[str]:
    """Return the rules of each run in words, as far as runs differ in them."""
    every = [scoring_rules(run) | {"landmarks": str(run.manifest.get("landmarks_digest"))[:8]} for run in runs]
    differing = [key for key in every[0] if len({str(rules.get(key)) for rules in every}) > 1] if every else []
    differing = [key for key in differing if key != "codebook_digest"] + ["codebook"] * ("codebook_digest" in differing)
    codebooks = [str(run.manifest["arguments"].get("codebook")) for run in runs]
    return [
        ", ".join(f"{key} {(rules | {'codebook': codebook}).get(key)}" for key in differing) or "all"
        for rules, codebook in zip(every, codebooks, strict=True)
    ]


def _name_models(runs: Sequence[Run], rules: Sequence[str]) -> list[str]:
    """Return the name of the model of each run; where another run of the same rules has it too, that of the folder."""
    names = [str(run.manifest["arguments"]["model"]) for run in runs]
    pairs = list(zip(names, rules, strict=True))
    return [
        f"{name} ({run.path.name if run.path else place})" if pairs.count(pair) > 1 else name
        for place, (name, run, pair) in enumerate(zip(names, runs, pairs, strict=True), 1)
    ]


def _model_tables(named: Sequence[tuple[str, Run]], rules: str) -> Iterator[_Table]:
    """Yield the scores of the models of runs of the same rules: their accuracy, then each map and metric."""
    if len(named) < 2:
        return
    items = tuple(name for name, _ in named)
    subjects = {image: subject for _, run in named for image, subject in _subjects(run).items()}
    frames = [_are_correct(run) for _, run in named]
    yield _Table(MODELS, "-", rules, "accuracy", items, _join(frames), subjects, True)
    first = named[0][1]
    redefined = {name for _, run in named for name in redefined_metrics(first.metric_facts, run.metric_facts)}
    maps = [_last_layers(run) for _, run in named]
    for name in (name for name in maps[0] if all(name in own for own in maps)):
        sides = [_scores(run, name, own[name]) for (_, run), own in zip(named, maps, strict=True)]
        for metric in (str(metric) for metric in sides[0] if all(metric in side for side in sides)):
            if metric not in redefined:
                table = _join([side[metric] for side in sides])
                higher_is_better = first.metric_facts[metric].higher_is_better
                yield _Table(MODELS, name, rules, metric, items, table, subjects, higher_is_better)


def _map_tables(model: str, run: Run, rules: str) -> Iterator[_Table]:
    """Yield the scores of the maps of a run by each metric."""
    twins = run.manifest.get("same", {})
    columns = run.per_image[["map", "layer"]].drop_duplicates()
    keys = [(str(name), str(layer)) for name, layer in columns.itertuples(index=False) if layer != "-"]
    keys = [key for key in keys if "@".join(key) not in twins]
    if len(keys) < 2:
        return
    has_layers = len({layer for _, layer in keys}) > 1
    items = tuple(f"{name}@{layer}" if has_layers else name for name, layer in keys)
    sides = [_scores(run, *key) for key in keys]
    for metric in map(str, sides[0]):
        table = _join([side[metric] for side in sides])
        higher_is_better = run.metric_facts[metric].higher_is_better
        yield _Table(MAPS, model, rules, metric, items, table, _subjects(run), higher_is_better)


def _order_lines(table: _Table, seed: int) -> Iterator[tuple[Any, ...]]:
    """Yield a line per item, best first; nothing where no image has a score of every item."""
    index = table.scores.index
    labels = index.get_level_values("label").tolist()
    names = tuple(dict.fromkeys(label for label in labels if label))
    classes = np.array(class_indices(labels, names), np.intp)
    subjects = number_subjects([table.subjects.get(image) for image in index.get_level_values("image")])
    scores = table.scores.to_numpy(float)
    if table.metric == "accuracy":  # a mean over images, not over classes
        classes = np.where(classes >= 0, 0, -1)
    order = resample_order(scores, classes, max(len(names), 1), seed, subjects, table.higher_is_better)
    if not order.n:
        return
    shared = np.isfinite(scores).all(1) & (classes >= 0)
    people = 0 if subjects is None else len(np.unique(subjects[shared]))
    sign = -1 if table.higher_is_better else 1
    for place in np.argsort(sign * order.values, kind="stable").tolist():
        rank = 1 + int((sign * order.values < sign * order.values[place]).sum())
        head = (table.order, table.of, table.rules, table.metric, table.items[place])
        yield (*head, float(order.values[place]), rank, float(order.first[place]), order.tau, order.n, people)


def _agreements(orders: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield Kendall's tau of each pair of orders that differ in the metric or in the rules, but not in both."""
    for (order, of), group in orders.groupby(["order", "of"], sort=False):
        ranks = {key: rows.set_index("item")["rank"] for key, rows in group.groupby(["rules", "metric"], sort=False)}
        for a, b in combinations(ranks, 2):
            if (a[0] == b[0]) == (a[1] == b[1]):
                continue
            items = [item for item in ranks[a].index if item in ranks[b].index]
            if len(items) < 2:
                continue
            own, other = ranks[a][items].to_numpy(float), ranks[b][items].to_numpy(float)
            is_same = set(np.flatnonzero(own == own.min())) == set(np.flatnonzero(other == other.min()))
            yield (order, of, *a, *b, float(kendall_tau(own, other[None])[0]), is_same, len(items))


def _last_layers(run: Run) -> dict[str, str]:
    """Return map -> its last layer, without baselines."""
    columns = run.per_image[["map", "layer"]].drop_duplicates()
    return {str(name): str(layer) for name, layer in columns.itertuples(index=False) if layer != "-"}


def _subjects(run: Run) -> dict[str, str]:
    """Return image -> subject, of the images whose subject is known."""
    subjects = predictions_of(run)[SUBJECT]
    images = subjects.index.get_level_values("image")
    return {image: subject for image, subject in zip(images, subjects, strict=True) if subject}


def _scores(run: Run, name: str, layer: str) -> pd.DataFrame:
    """Return the scores of a map at a layer by image and label, by every metric of the run."""
    return map_scores(
        run, name, layer, [str(column) for column in run.per_image if column not in (*KEYS, *run.attributes)]
    )


def _are_correct(run: Run) -> pd.Series:
    """Return whether each labelled image is classified correctly: 1 or 0."""
    predicted = predictions_of(run)["predicted"]
    labels = predicted.index.get_level_values("label")
    return (predicted == labels).astype(float).where(labels != "")


def _join(columns: Sequence[pd.Series]) -> pd.DataFrame:
    """Return series side by side, for the images that all have."""
    return pd.concat([column.rename(str(place)) for place, column in enumerate(columns)], axis=1, join="inner")
