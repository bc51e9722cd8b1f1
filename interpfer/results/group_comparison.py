"""Comparison of groups of runs (several seeds of one training) on the same images, and of runs on different images."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.labels import class_indices
from interpfer.results.comparison import (
    COLUMNS,
    common_metrics,
    cut_interval,
    largest_difference,
    layer_pairs,
    map_scores,
    predictions_of,
    require_same_rules,
)
from interpfer.results.comparison_notes import shared_images
from interpfer.results.hypotheses import ACCURACY, Hypotheses
from interpfer.results.run import SUBJECT, Run
from interpfer.statistics.bootstrap import Rows
from interpfer.statistics.comparison import holm
from interpfer.statistics.contrasts import Contrast, compare_groups, compare_sets
from interpfer.statistics.subjects import number_subjects

GROUP_COLUMNS = [*COLUMNS, "group_a", "group_b", "runs_a", "runs_b", "std_a", "std_b"]

Line = tuple[str, str, str, str, Contrast]


def compare_run_groups(groups: Mapping[str, Sequence[Run]], hypotheses: Hypotheses | None = None) -> pd.DataFrame:
    """Compare groups of runs, each pair of them, on the images that all runs share.

    Tests and intervals account for people (else images) and for runs, see ``interpfer.statistics.contrasts``.

    Args:
        groups: name -> runs, such as those of several seeds; a group may have a single run.
        hypotheses: the lines to test; None for all.

    Returns:
        The lines of ``interpfer.results.comparison.compare`` for each pair of groups, with the names of the groups, the
        numbers of their runs, and the standard deviations over them (NaN for one run). Holm's adjustment is over all.

    Raises:
        RunError: there are fewer than two groups, a run is in two places, or runs do not fit together.
    """
    runs = _require_groups(groups)
    shared = shared_images(runs)
    if shared.empty:
        raise RunError("the runs have no image with the same name and label in common.")
    hypotheses = hypotheses or Hypotheses()
    metrics = hypotheses.choose_metrics(common_metrics(runs))
    labels = shared.get_level_values("label").tolist()
    classes, subjects = _number_classes(labels), _subjects(runs, shared)
    rows = []
    for name_a, name_b in combinations(groups, 2):
        sides = groups[name_a], groups[name_b]
        lines = list[Line]()
        if ACCURACY in metrics:
            a, b = (np.stack([_are_correct(run, shared) for run in side]) for side in sides)
            lines.append(("-", "-", "-", ACCURACY, compare_groups(a, b, _whether_labelled(labels), subjects)))
        for name, layer_a, layer_b in hypotheses.choose_pairs(layer_pairs(sides[0][0], sides[1][0])):
            own = [metric for metric in metrics if metric != ACCURACY]
            a, b = (
                np.stack([_scores(run, name, layer, own).loc[shared].to_numpy() for run in side])
                for side, layer in zip(sides, (layer_a, layer_b), strict=True)
            )
            lines += [
                (name, layer_a, layer_b, metric, compare_groups(a[..., column], b[..., column], classes, subjects))
                for column, metric in enumerate(own)
            ]
        rows += [_row(line, runs[0], name_a, name_b, *map(len, sides)) for line in lines]
    return _table(rows)


def compare_different_images(run_a: Run, run_b: Run, hypotheses: Hypotheses | None = None) -> pd.DataFrame:
    """Compare two runs on different images by their means of class means, over the classes that both have.

    Args:
        run_a: the run to compare with.
        run_b: the other run.
        hypotheses: the lines to test; None for all.

    Returns:
        The lines of ``interpfer.results.comparison.compare``, by Welch's test over people (else images); n counts the
        images of both runs.

    Raises:
        RunError: the runs have no map or class in common, or were scored by different rules.
    """
    runs = (run_a, run_b)
    require_same_rules(run_a, run_b)
    hypotheses = hypotheses or Hypotheses()
    metrics = hypotheses.choose_metrics(common_metrics(runs))
    images = [predictions_of(run).index for run in runs]
    labels = [index.get_level_values("label").tolist() for index in images]
    if not set(labels[0]) & set(labels[1]) - {""}:
        raise RunError("the runs have no class in common.")
    together = _number_classes(labels[0] + labels[1])
    classes = together[: len(labels[0])], together[len(labels[0]) :]
    names = [subject for run in runs for subject in predictions_of(run)[SUBJECT]]
    people = number_subjects(names)
    subjects = None if people is None else (people[: len(labels[0])], people[len(labels[0]) :])
    lines = list[Line]()
    if ACCURACY in metrics:
        a, b = (_are_correct(run, index) for run, index in zip(runs, images, strict=True))
        lines.append(("-", "-", "-", ACCURACY, compare_sets(a, b, classes, subjects)))
    for name, layer_a, layer_b in hypotheses.choose_pairs(layer_pairs(run_a, run_b)):
        own = [metric for metric in metrics if metric != ACCURACY]
        a, b = (
            _scores(run, name, layer, own).loc[index].to_numpy()
            for run, layer, index in zip(runs, (layer_a, layer_b), images, strict=True)
        )
        lines += [
            (name, layer_a, layer_b, metric, compare_sets(a[:, column], b[:, column], classes, subjects))
            for column, metric in enumerate(own)
        ]
    return _table([_row(line, run_a, "a", "b", 1, 1) for line in lines])


def absent_classes_note(run_a: Run, run_b: Run) -> str:
    """Return a line on the classes of only one of two runs, which are not compared, and on images of both, else ""."""
    indices = [predictions_of(run).index for run in (run_a, run_b)]
    labels = [set(index.get_level_values("label")) - {""} for index in indices]
    parts = []
    if lacking := sorted(labels[0] ^ labels[1]):
        parts.append(f"not compared, since only one run has them: {', '.join(lacking)}")
    if both := len(indices[0].intersection(indices[1])):
        parts.append(f"{both} images are in both runs; without --unpaired they would be compared with themselves")
    return "; ".join(parts)


def _require_groups(groups: Mapping[str, Sequence[Run]]) -> list[Run]:
    if len(groups) < 2 or not all(groups.values()):
        raise RunError("groups to compare must be at least two, each with a run: --group a=RUN,RUN --group b=RUN,RUN.")
    runs = [run for members in groups.values() for run in members]
    paths = [run.path.resolve() for run in runs if run.path is not None]
    if repeated := [str(path) for path in dict.fromkeys(paths) if paths.count(path) > 1]:
        raise RunError(f"a run can be in one group once; repeated: {', '.join(repeated)}.")
    for other in runs[1:]:
        require_same_rules(runs[0], other)
    return runs


def _number_classes(labels: Sequence[str]) -> Rows:
    names = tuple(dict.fromkeys(label for label in labels if label))
    return np.array(class_indices(list(labels), names), np.intp)


def _whether_labelled(labels: Sequence[str]) -> Rows:
    """Return 0 for each image with a label, -1 for one without: the accuracy is a mean over images."""
    return np.array([0 if label else -1 for label in labels], np.intp)


def _subjects(runs: Sequence[Run], shared: pd.Index) -> Rows | None:
    """Return the person on each image: by the first run that knows it."""
    known = [predictions_of(run).loc[shared, SUBJECT].tolist() for run in runs]
    return number_subjects([next(filter(None, names), "") for names in zip(*known, strict=True)])


def _are_correct(run: Run, images: pd.Index) -> NDArray[np.float64]:
    predicted = predictions_of(run).loc[images, "predicted"].to_numpy()
    return np.asarray(predicted == images.get_level_values("label").to_numpy(), float)


def _scores(run: Run, name: str, layer: str, metrics: list[str]) -> pd.DataFrame:
    table = map_scores(run, name, layer, metrics)
    if table.empty:
        raise RunError(f"run {run.path} has no {name} at {layer}, which others of its group have.")
    return table


def _row(line: Line, run: Run, name_a: str, name_b: str, runs_a: int, runs_b: int) -> dict[str, object]:
    name, layer_a, layer_b, metric, contrast = line
    low, high = cut_interval(largest_difference(metric, run), contrast.low, contrast.high)
    key = {"map": name, "layer_a": layer_a, "layer_b": layer_b, "metric": metric}
    values = contrast._asdict() | {"ci_low": low, "ci_high": high}
    return key | values | {"group_a": name_a, "group_b": name_b, "runs_a": runs_a, "runs_b": runs_b}


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].tolist()) if rows else []
    return table[GROUP_COLUMNS] if rows else pd.DataFrame(columns=GROUP_COLUMNS)
