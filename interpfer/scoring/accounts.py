"""What a reader must know about the images behind the means of a score."""

from collections.abc import Iterator, Sequence

import numpy as np

from interpfer.labels import NEUTRAL, list_names
from interpfer.metrics.base import DatasetMetric
from interpfer.results.tables import Tables
from interpfer.statistics.summary import macro_mean


def account_notes(tables: Tables, expected: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence on classes without a scored image, and one on each map that is undefined on some faces.

    Args:
        tables: the finished batches of a run.
        expected: classes that an image could have shown, beside those of the data set.
    """
    scored = {label for label, is_valid in zip(tables.labels, tables.valid.tolist(), strict=True) if is_valid}
    known = dict.fromkeys([*tables.dataset.classes, *expected])
    absent = [name for name in known if name not in (*scored, NEUTRAL)]
    if absent:
        found = [name for name in known if name in scored and name != NEUTRAL]
        yield f"macro means are over {list_names(found) or 'no class'}: no image of {list_names(absent)} was scored"
    yield from _undefined(tables)


def _undefined(tables: Tables) -> Iterator[str]:
    """Compare each map that is undefined on some faces with the baselines on the same faces."""
    if not tables.values:
        return
    metric, scores = min(tables.values.items(), key=lambda item: isinstance(tables.metrics[item[0]], DatasetMetric))
    labels = np.array(tables.labels)
    baselines = [place for place, (_, layer) in enumerate(tables.columns) if layer == "-"]
    for place, (name, layer) in enumerate(tables.columns):
        defined = tables.valid & np.isfinite(scores[:, place])
        missing = int(tables.valid.sum() - defined.sum())
        if layer == "-" or not missing or not defined.any():
            continue
        means = [
            f"{tables.columns[column][0]} {macro_mean(scores[defined, column].tolist(), labels[defined].tolist()):.3f}"
            for column in (place, *baselines)
        ]
        yield (
            f"{name}@{layer} is undefined on {missing} of {int(tables.valid.sum())} faces; over the other "
            f"{int(defined.sum())}, the mean {metric} is: {', '.join(means)}"
        )
