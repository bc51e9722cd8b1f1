"""Paired comparison of two runs: differences on the same images, with intervals and p-values."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from interpfer.choices import AU
from interpfer.errors import RunError
from interpfer.labels import class_indices
from interpfer.results.hypotheses import ACCURACY, Hypotheses
from interpfer.results.metric_facts import MetricFacts, facts_of, redefined_metrics
from interpfer.results.run import CLIP, FRAME, SUBJECT, UNLABELLED, Run
from interpfer.statistics.comparison import Difference, compare_accuracy, compare_scores, holm
from interpfer.statistics.subjects import number_subjects

COLUMNS = ["map", "layer_a", "layer_b", "metric", "a", "b", "difference", "ci_low", "ci_high", "p", "p_holm", "n",
           "test", "n_subjects"]  # fmt: skip

RULES = ("protocol", "codebook_digest", "geometry")
"""Arguments in which two runs must agree."""

KEYS = ("image", "label", "predicted", SUBJECT, CLIP, FRAME, "map", "layer")
"""Columns of per_image.csv that are not scores."""

SIGNIFICANCE = 0.05


def compare(run_a: Run, run_b: Run, seed: int = 0, hypotheses: Hypotheses | None = None) -> pd.DataFrame:
    """Compare two runs, image by image.

    Maps are matched by name, and their layers in the order of each run. A data-set metric such as ``pxap`` is compared
    by its values on single images, whose mean is not the pooled score of scores.csv. Baselines are left out: they do
    not depend on a model.

    Where the runs know subjects, or clips, intervals resample people with all their images, and tests flip the signs of
    people; an image without a subject is its own person. Where they know none, images are taken as independent.

    Args:
        run_a: the run to compare with.
        run_b: the other run.
        seed: random seed of bootstrap and tests.
        hypotheses: the lines to test; None for all.

    Returns:
        One line for the accuracy (map and layers "-"), then one per map, pair of layers and metric: the values of both
        runs (mean of the class means), the difference b - a with its 95 % confidence interval, the p-value of the same
        difference, the p-value adjusted for all lines by Holm's method, the number of images, the test ("sign flip";
        "McNemar" for the accuracy where images are taken as independent), and the number of subjects, 0 where none is
        known.

    Raises:
        RunError: the runs have no image or map in common, or were scored by different rules.
    """
    require_same_rules(run_a, run_b)
    hypotheses = hypotheses or Hypotheses()
    tables = [predictions_of(run) for run in (run_a, run_b)]
    shared = tables[0].index.intersection(tables[1].index, sort=False)
    if shared.empty:
        raise RunError("the runs have no image with the same name and label in common.")
    pairs = hypotheses.choose_pairs(layer_pairs(run_a, run_b))
    predictions = [table.loc[shared, "predicted"].to_numpy() for table in tables]
    labels = shared.get_level_values("label").to_numpy()
    units = _shared_subjects(tables[0], tables[1], shared)[0]
    subjects = number_subjects(units)
    labelled = (labels != "") & np.all([pd.notna(names) & (names != "") for names in predictions], 0)
    correct = [(predicted == labels)[labelled] for predicted in predictions]
    groups = labels.tolist() if labelled.any() else [UNLABELLED] * len(labels)
    names = tuple(dict.fromkeys(group for group in groups if group))
    classes = np.array(class_indices(groups, names), np.intp)
    chosen = hypotheses.choose_metrics(common_metrics([run_a, run_b]))
    metrics = [name for name in chosen if name != ACCURACY]
    keys, lines = [(*pair, metric) for pair in pairs for metric in metrics], list[Difference]()
    if ACCURACY in chosen:
        keys.insert(0, ("-", "-", "-", ACCURACY))
        lines = [compare_accuracy(correct[0], correct[1], seed, None if subjects is None else subjects[labelled])]
    if metrics:
        a, b = (
            np.concatenate([map_scores(run, pair[0], pair[side], metrics).loc[shared] for pair in pairs], 1)
            for side, run in ((1, run_a), (2, run_b))
        )
        lines += compare_scores(a, b, classes, names, seed, subjects)
    bounds = [largest_difference(key[-1], run_a) for key in keys]
    table = pd.DataFrame(
        [(*key, *_within(limit, line)) for key, line, limit in zip(keys, lines, bounds, strict=True)],
        columns=[name for name in COLUMNS if name != "p_holm"],
    )
    return _complete(table, units)


def _complete(table: pd.DataFrame, units: Sequence[str]) -> pd.DataFrame:
    """Return a table with the adjusted p-values, and with what intervals are over: "people" or "clips"."""
    table["p_holm"] = holm(table["p"].tolist())
    table.attrs["units"] = "clips" if all(name.startswith("clip ") for name in units) else "people"
    return table[COLUMNS]


def subject_note(run_a: Run, run_b: Run) -> str:
    """Return a line on subjects that only one of two runs knows, or on which they disagree, "" where all is well."""
    tables = [predictions_of(run) for run in (run_a, run_b)]
    shared = tables[0].index.intersection(tables[1].index, sort=False)
    return _shared_subjects(tables[0], tables[1], shared)[1]


def definition_note(run_a: Run, run_b: Run) -> str:
    """Return a line on metrics that are left out because their formula differs between the runs, "" where none does."""
    names = redefined_metrics(run_a.metric_facts, run_b.metric_facts)
    return f"not compared, since their definition differs between the runs: {', '.join(names)}" if names else ""


def describe_independence(table: pd.DataFrame) -> str:
    """Return a line on what intervals and tests of ``compare`` take as independent: images, people or clips."""
    people = int(table["n_subjects"].max())
    if people:
        units, images = table.attrs.get("units", "people"), int(table["n"].max())
        return f"intervals and tests are over {units}: {people} on {images} images"
    return "images taken as independent: no subject is known"


def find_better(
    table: pd.DataFrame, recorded: Mapping[str, MetricFacts] | None = None, level: float = SIGNIFICANCE
) -> list[str]:
    """Return for each line of ``compare`` which run is significantly better: "a", "b", or "" for neither.

    A difference is significant where the adjusted p-value is below ``level`` and the confidence interval excludes 0.
    Both concern the same difference, but the interval is not adjusted, and with few people the two can disagree.

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


def require_same_rules(run_a: Run, run_b: Run) -> None:
    """Check that two runs were scored by the same rules.

    Raises:
        RunError: they were not.
    """
    rules_a, rules_b = (scoring_rules(run) for run in (run_a, run_b))
    for key in dict.fromkeys([*rules_a, *rules_b]):
        a, b = rules_a.get(key), rules_b.get(key)
        if a != b:
            raise RunError(f"the runs cannot be compared: one was scored with {key} {a}, the other with {b}.")


def scoring_rules(run: Run) -> dict[str, str | None]:
    """Return what two runs must have in common; the codebook counts by its content, not by its name."""
    arguments = run.manifest["arguments"]
    settings = {name: arguments[name] for name in arguments.get("truth_settings", ()) if name != "codebook"}
    explained = {"target": AU if arguments.get("target") == AU else "class"}
    return {"truth": run.truth} | explained | {key: arguments.get(key) for key in RULES} | settings


def map_scores(run: Run, name: str, layer: str, metrics: list[str]) -> pd.DataFrame:
    """Return the scores of a map at a layer per (image, label)."""
    rows = run.per_image[(run.per_image["map"] == name) & (run.per_image["layer"] == layer)]
    return rows.fillna({"label": ""}).set_index(["image", "label"])[metrics].astype(float)


def predictions_of(run: Run) -> pd.DataFrame:
    """Return the predicted class and the subject per (image, label), "" where the subject is unknown.

    Frames of a clip have the predicted class of the clip, and the clip where the subject is unknown.
    """
    table = run.per_image.assign(label=run.per_image["label"].fillna(""))
    table = table.drop_duplicates("image").set_index(["image", "label"])
    if run.clips is not None and CLIP in table:
        table["predicted"] = table[CLIP].map(run.clips.set_index("clip")["predicted"]).fillna(table["predicted"])
    return table[["predicted"]].assign(**{SUBJECT: unit_names(table)})


def unit_names(table: pd.DataFrame) -> pd.Series:
    """Return what each line of a table of images is not independent of: its subject, else its clip; "" for neither."""
    empty = pd.Series("", table.index, dtype=object)
    subjects = table[SUBJECT].fillna("").astype(str) if SUBJECT in table else empty
    clips = ("clip " + table[CLIP].astype(str)).where(table[CLIP].notna(), "") if CLIP in table else empty
    return subjects.where(subjects != "", clips)


def _shared_subjects(a: pd.DataFrame, b: pd.DataFrame, shared: pd.Index) -> tuple[list[str], str]:
    """Return the subject of each image that two runs share, and a note where they do not agree on it.

    The first run decides; what it does not know is taken from the second.
    """
    first, second = (table.loc[shared, SUBJECT].tolist() for table in (a, b))
    subjects = [one or other for one, other in zip(first, second, strict=True)]
    if any(first) != any(second):
        which = "first" if any(first) else "second"
        return subjects, f"only the {which} run names subjects; they are used for both"
    count = sum(one != other for one, other in zip(first, second, strict=True))
    note = f"the runs name different subjects on {count} of {len(shared)} images; those of the first run are used"
    return subjects, note if count else ""


def _within(limit: float, line: Difference) -> Difference:
    low, high = cut_interval(limit, line.low, line.high)
    return line._replace(low=low, high=high)


def largest_difference(metric: str, run: Run) -> float:
    """Return the largest difference that a metric allows."""
    least, largest = (0, 1) if metric == "accuracy" else facts_of(metric, run.metric_facts).bounds
    return float(largest - least)


def cut_interval(limit: float, low: float, high: float) -> tuple[float, float]:
    """Cut off what of an interval no difference can reach."""
    low, high = np.clip([low, high], -limit, limit).tolist()
    return low, high


def common_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the metrics per image that all runs have by the same definition."""
    first, *others = runs
    left_out = {*KEYS, *(name for run in runs for name in run.attributes)}
    left_out |= {name for run in others for name in redefined_metrics(first.metric_facts, run.metric_facts)}
    names = [str(name) for name in first.per_image if name not in left_out]
    return [name for name in names if all(name in run.per_image for run in others)]


def layer_pairs(run_a: Run, run_b: Run) -> list[tuple[str, str, str]]:
    """Return (map, layer of a, layer of b) of the maps in both runs, without baselines.

    Raises:
        RunError: there are none.
    """
    layers = []
    for run in (run_a, run_b):
        columns = run.per_image[["map", "layer"]].drop_duplicates()
        columns = columns[columns["layer"] != "-"]
        layers.append({str(name): [str(x) for x in rows["layer"]] for name, rows in columns.groupby("map", sort=False)})
    pairs = [
        (name, a, b)
        for name in layers[0]
        if name in layers[1]
        for a, b in zip(layers[0][name], layers[1][name], strict=False)
    ]
    if not pairs:
        raise RunError("the runs have no map in common except baselines.")
    return pairs
