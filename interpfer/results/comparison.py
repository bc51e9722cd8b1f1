"""Two runs side by side: what changed on the same images, and whether chance would do as much."""

import numpy as np
import pandas as pd

from interpfer.errors import RunError
from interpfer.results.direction import higher_is_better
from interpfer.results.run import Run
from interpfer.statistics.comparison import compare_accuracy, compare_scores, holm

COLUMNS = ["map", "layer_a", "layer_b", "metric", "a", "b", "difference", "ci_low", "ci_high", "p", "p_holm", "n"]
SAME = ("protocol", "codebook_digest", "geometry")
KEYS = ("image", "label", "predicted", "map", "layer")


def compare(run_a: Run, run_b: Run, seed: int = 0) -> pd.DataFrame:
    """Compare two runs, image by image.

    Maps are matched by name, and their layers in the order of each run. A data-set metric such as ``pxap`` is compared
    through its values of each image alone, whose mean is not the pooled score of scores.csv. Baselines are left out:
    they know nothing of a model.

    Returns:
        One line for the accuracy (map and layers "-"), then one per map, pair of layers and metric: the values of both
        (mean of the class means), the difference b - a with its 95 % interval, the p-value (McNemar for the accuracy,
        Wilcoxon else), and that adjusted for all lines after Holm.

    Raises:
        RunError: the runs have no image or map in common, or were scored by different rules.
    """
    for key in SAME:
        a, b = (run.manifest["arguments"].get(key) for run in (run_a, run_b))
        if a != b:
            raise RunError(f"the runs cannot be compared: one was scored with {key} {a}, the other with {b}.")
    tables = [_by_image(run) for run in (run_a, run_b)]
    shared = tables[0].index.intersection(tables[1].index, sort=False)
    if shared.empty:
        raise RunError("the runs have no image with the same name and label in common.")
    guesses = [table.loc[shared, "predicted"].to_numpy() for table in tables]
    labels = shared.get_level_values("label").to_numpy()
    known = labels != ""
    right = [(guess == labels)[known] for guess in guesses]
    lines = [("-", "-", "-", "accuracy", *compare_accuracy(right[0], right[1], seed))]
    names = tuple(dict.fromkeys(labels[known].tolist()))
    classes = np.array([names.index(label) if label else -1 for label in labels], np.intp)
    pairs = _pairs(run_a, run_b)
    if not pairs:
        raise RunError("the runs have no map in common beside the baselines.")
    metrics = [str(name) for name in run_a.per_image if name not in KEYS and name in run_b.per_image]
    for name, layer_a, layer_b in pairs:
        sides = [
            run.per_image[(run.per_image["map"] == name) & (run.per_image["layer"] == layer)]
            .fillna({"label": ""})
            .set_index(["image", "label"])
            .loc[shared]
            for run, layer in ((run_a, layer_a), (run_b, layer_b))
        ]
        for metric in metrics:
            a, b = (side[metric].to_numpy(float) for side in sides)
            lines.append((name, layer_a, layer_b, metric, *compare_scores(a, b, classes, names, seed)))
    table = pd.DataFrame(lines, columns=[name for name in COLUMNS if name != "p_holm"])
    table["p_holm"] = holm(table["p"].tolist())
    return table[COLUMNS]


def better(table: pd.DataFrame, level: float = 0.05) -> list[str]:
    """Say per line of ``compare`` which run is better: "a", "b", or "" where chance would do as much.

    Both witnesses have to agree: the adjusted p-value is below ``level``, and the interval of the mean of the class
    means leaves 0 out. They can differ, since ranks weigh every image alike.
    """
    found = []
    for _, line in table.iterrows():
        sure = line["p_holm"] < level and (line["ci_low"] > 0 or line["ci_high"] < 0)
        found.append(("b" if (line["difference"] > 0) == higher_is_better(line["metric"]) else "a") if sure else "")
    return found


def _by_image(run: Run) -> pd.DataFrame:
    """Return what was predicted per (image, label)."""
    table = run.per_image.assign(label=run.per_image["label"].fillna(""))
    return table.drop_duplicates("image").set_index(["image", "label"])[["predicted"]]


def _pairs(run_a: Run, run_b: Run) -> list[tuple[str, str, str]]:
    layers = []
    for run in (run_a, run_b):
        seen = run.per_image[["map", "layer"]].drop_duplicates()
        kept = seen[seen["layer"] != "-"]
        layers.append({str(name): [str(x) for x in rows["layer"]] for name, rows in kept.groupby("map", sort=False)})
    return [
        (name, a, b)
        for name in layers[0]
        if name in layers[1]
        for a, b in zip(layers[0][name], layers[1][name], strict=False)
    ]
