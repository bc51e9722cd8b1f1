"""What a reader must know about the images behind the means of a score."""

from collections.abc import Iterator

import numpy as np

from interpfer.labels import NEUTRAL
from interpfer.results.tables import Tables
from interpfer.statistics.summary import macro_mean


def account_notes(tables: Tables) -> Iterator[str]:
    """Yield a sentence on classes without a scored image, and one on each map that is undefined on some faces.

    Args:
        tables: the finished batches of a run.
    """
    scored = {label for label, is_valid in zip(tables.labels, tables.valid.tolist(), strict=True) if is_valid}
    absent = [name for name in tables.dataset.classes if name not in (*scored, NEUTRAL)]
    if absent:
        count = len(scored - {"", NEUTRAL})
        yield f"macro means are over {count} classes: no image of {', '.join(absent)} was scored"
    yield from _undefined(tables)


def _undefined(tables: Tables) -> Iterator[str]:
    """Compare each map that is undefined on some faces with the baselines on the same faces."""
    if not tables.values:
        return
    metric, scores = next(iter(tables.values.items()))
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
            f"{int(defined.sum())}, {metric} is: {', '.join(means)}"
        )
