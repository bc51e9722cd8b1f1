"""Comparison of two runs within groups of images: whether a change helps everybody."""

from dataclasses import replace

import pandas as pd

from interpfer.errors import RunError
from interpfer.labels import list_names
from interpfer.results.attributes import find_groups
from interpfer.results.comparison import compare, find_better
from interpfer.results.hypotheses import Hypotheses
from interpfer.results.run import Run
from interpfer.statistics.comparison import holm

GROUP = "group"
"""Column with ``COLUMN=value``."""


def compare_by(
    run_a: Run, run_b: Run, columns: str, seed: int = 0, hypotheses: Hypotheses | None = None, least: int = 10
) -> pd.DataFrame:
    """Compare two runs on the images of each group, as ``interpfer.results.comparison.compare`` does on all.

    Args:
        run_a: the run to compare with; its columns decide which image belongs to which group.
        run_b: the other run.
        columns: attributes that both runs were scored by, comma-separated; or ``subject``.
        seed: random seed of bootstrap and tests.
        hypotheses: the lines to test; None for all.
        least: smallest number of images of a group.

    Returns:
        The lines of each group, with its name in the column ``group``; ``p_holm`` is adjusted for the lines of all.

    Raises:
        RunError: the first run has no such column, or no group is large enough.
    """
    parts = []
    for column in dict.fromkeys(name.strip() for name in columns.split(",") if name.strip()):
        images = _attributes(run_a, column)
        shared = images[images.index.isin(run_b.per_image["image"])]
        for name in find_groups(shared.tolist(), least)[0]:
            members = shared.index[shared == name]
            own = [replace(run, per_image=_only(run, members)) for run in (run_a, run_b)]
            parts.append(compare(own[0], own[1], seed, hypotheses).assign(**{GROUP: f"{column}={name}"}))
    if not parts:
        raise RunError(f"--by {columns}: no group has {least} images or more in both runs.")
    table = pd.concat(parts, ignore_index=True)
    table["p_holm"] = holm(table["p"].tolist())
    return table[[GROUP, *(name for name in table if name != GROUP)]]


def describe_groups(table: pd.DataFrame, run: Run) -> list[str]:
    """Return a sentence per metric and map: in which groups the second run is better, worse, or not clearly different.

    Args:
        table: result of ``compare_by``.
        run: one of the runs.
    """
    sentences = []
    sides = pd.Series(find_better(table, run.metric_facts), table.index)
    for (metric, name, layer), lines in table.groupby(["metric", "map", "layer_b"], sort=False):
        where = str(metric) if name == "-" else f"{metric} of {name} at {layer}"
        better, worse, rest = (lines[GROUP][sides[lines.index] == side].tolist() for side in ("b", "a", ""))
        if len(better) == len(lines):
            sentences.append(f"{where}: b is better in every group")
        elif len(worse) == len(lines):
            sentences.append(f"{where}: b is worse in every group")
        elif better or worse:
            parts = [f"{word} in {list_names(names)}" for word, names in (
                ("better", better), ("worse", worse), ("not significantly different", rest)) if names]  # fmt: skip
            sentences.append(f"{where}: b is {', '.join(parts)}")
        else:
            sentences.append(f"{where}: no significant difference in any group")
    return sentences


def _attributes(run: Run, column: str) -> pd.Series:
    """Return the attribute per image.

    Raises:
        RunError: the run does not have it.
    """
    if column not in (*run.attributes, *(["subject"] if "subject" in run.per_image else [])):
        raise RunError(f"the first run has no column '{column}': score it again with --by {column}.")
    table = run.per_image.drop_duplicates("image").set_index("image")
    return table[column].fillna("").astype(str)


def _only(run: Run, images: pd.Index) -> pd.DataFrame:
    return run.per_image[run.per_image["image"].isin(images)]
