"""Paired comparison of two runs: differences on the same images, with intervals and p-values."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from interpfer.errors import RunError
from interpfer.labels import class_indices
from interpfer.results.metric_facts import MetricFacts, facts_of
from interpfer.results.run import Run
from interpfer.statistics.comparison import compare_accuracy, compare_scores, holm

COLUMNS = ["map", "layer_a", "layer_b", "metric", "a", "b", "difference", "ci_low", "ci_high", "p", "p_holm", "n"]

RULES = ("protocol", "codebook_digest", "geometry")
"""Arguments in which two runs must agree."""

KEYS = ("image", "label", "predicted", "map", "layer")
"""Columns of per_image.csv that are not scores."""

SIGNIFICANCE = 0.05


def compare(run_a: Run, run_b: Run, seed: int = 0) -> pd.DataFrame:
    """Compare two runs, image by image.

    Maps are matched by name, and their layers in the order of each run. A data-set metric such as ``pxap`` is compared
    by its values on single images, whose mean is not the pooled score of scores.csv. Baselines are left out: they do
    not depend on a model.

    Args:
        run_a: the run to compare with.
        run_b: the other run.
        seed: random seed of the bootstrap.

    Returns:
        One line for the accuracy (map and layers "-"), then one per map, pair of layers and metric: the values of both
        runs (mean of the class means), the difference b - a with its 95 % confidence interval, the p-value (McNemar's
        test for the accuracy, Wilcoxon's for scores), and the p-value adjusted for all lines by Holm's method.

    Raises:
        RunError: the runs have no image or map in common, or were scored by different rules.
    """
    _require_same_rules(run_a, run_b)
    tables = [_predictions(run) for run in (run_a, run_b)]
    shared = tables[0].index.intersection(tables[1].index, sort=False)
    if shared.empty:
        raise RunError("the runs have no image with the same name and label in common.")
    predictions = [table.loc[shared, "predicted"].to_numpy() for table in tables]
    labels = shared.get_level_values("label").to_numpy()
    labelled = labels != ""
    correct = [(predicted == labels)[labelled] for predicted in predictions]
    lines = [("-", "-", "-", "accuracy", *compare_accuracy(correct[0], correct[1], seed))]
    names = tuple(dict.fromkeys(labels[labelled].tolist()))
    classes = np.array(class_indices(labels.tolist(), names), np.intp)
    pairs = _layer_pairs(run_a, run_b)
    if not pairs:
        raise RunError("the runs have no map in common except baselines.")
    metrics = [str(name) for name in run_a.per_image if name not in KEYS and name in run_b.per_image]
    for name, layer_a, layer_b in pairs:
        sides = [_map_scores(run, name, layer).loc[shared] for run, layer in ((run_a, layer_a), (run_b, layer_b))]
        for metric in metrics:
            a, b = (side[metric].to_numpy(float) for side in sides)
            lines.append((name, layer_a, layer_b, metric, *compare_scores(a, b, classes, names, seed)))
    table = pd.DataFrame(lines, columns=[name for name in COLUMNS if name != "p_holm"])
    table["p_holm"] = holm(table["p"].tolist())
    return table[COLUMNS]


def find_better(
    table: pd.DataFrame, recorded: Mapping[str, MetricFacts] | None = None, level: float = SIGNIFICANCE
) -> list[str]:
    """Return for each line of ``compare`` which run is significantly better: "a", "b", or "" for neither.

    A difference is significant where the adjusted p-value is below ``level`` and the confidence interval excludes 0.
    The two can disagree: ranks weigh every image alike, the mean of the class means does not.

    Args:
        table: the result of ``compare``.
        recorded: facts of metrics, as a run records them; None for those of the installed metrics.
        level: the significance level.
    """
    sides = []
    for line in table.to_dict("records"):
        significant = line["p_holm"] < level and (line["ci_low"] > 0 or line["ci_high"] < 0)
        is_b = (line["difference"] > 0) == facts_of(str(line["metric"]), recorded).higher_is_better
        sides.append(("b" if is_b else "a") if significant else "")
    return sides


def _require_same_rules(run_a: Run, run_b: Run) -> None:
    rules_a, rules_b = (_rules(run) for run in (run_a, run_b))
    for key in dict.fromkeys([*rules_a, *rules_b]):
        a, b = rules_a.get(key), rules_b.get(key)
        if a != b:
            raise RunError(f"the runs cannot be compared: one was scored with {key} {a}, the other with {b}.")


def _rules(run: Run) -> dict[str, str | None]:
    """Return what two runs must have in common; the codebook counts by its content, not by its name."""
    arguments = run.manifest["arguments"]
    settings = {name: arguments[name] for name in arguments.get("truth_settings", ()) if name != "codebook"}
    return {"truth": run.truth} | {key: arguments.get(key) for key in RULES} | settings


def _map_scores(run: Run, name: str, layer: str) -> pd.DataFrame:
    """Return the scores of a map at a layer per (image, label)."""
    rows = run.per_image[(run.per_image["map"] == name) & (run.per_image["layer"] == layer)]
    return rows.fillna({"label": ""}).set_index(["image", "label"])


def _predictions(run: Run) -> pd.DataFrame:
    """Return the predicted class per (image, label)."""
    table = run.per_image.assign(label=run.per_image["label"].fillna(""))
    return table.drop_duplicates("image").set_index(["image", "label"])[["predicted"]]


def _layer_pairs(run_a: Run, run_b: Run) -> list[tuple[str, str, str]]:
    """Return (map, layer of a, layer of b) of the maps in both runs, without baselines."""
    layers = []
    for run in (run_a, run_b):
        columns = run.per_image[["map", "layer"]].drop_duplicates()
        columns = columns[columns["layer"] != "-"]
        layers.append({str(name): [str(x) for x in rows["layer"]] for name, rows in columns.groupby("map", sort=False)})
    return [
        (name, a, b)
        for name in layers[0]
        if name in layers[1]
        for a, b in zip(layers[0][name], layers[1][name], strict=False)
    ]
