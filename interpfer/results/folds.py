"""Scores of a data set with folds: one run per fold, of a model each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interpfer.errors import RunError
from interpfer.results.run import CLIPS, Run


def combine_folds(runs: Sequence[Run]) -> dict[str, Any]:
    """Return WAR and UAR over the folds, both ways in which papers report them.

    The mean of the folds averages the WAR and the UAR of each run. The sum of their confusion matrices counts each
    image or clip once and divides at the end; both agree on the WAR where the folds are equally large, and hardly ever
    on the UAR.

    Args:
        runs: one of each fold, of the same data set.

    Returns:
        ``folds``, ``n``, ``of`` ("clips" or "images"), ``mean_of_folds`` and ``sum_of_confusion``, each of these with
        ``WAR`` and ``UAR``; and the summed ``confusion``.

    Raises:
        RunError: there are fewer than two runs, they are of different data sets, or two of the same images.
    """
    if len(runs) < 2:
        raise RunError(f"folds are at least two runs, got {len(runs)}.")
    names = {run.dataset for run in runs}
    if len(names) > 1:
        raise RunError(f"folds are of one data set, got {', '.join(sorted(names))}.")
    digests = [run.manifest["arguments"]["images"] for run in runs]
    if len(set(digests)) < len(digests):
        first, second = next((a, b) for b in range(len(runs)) for a in range(b) if digests[a] == digests[b])
        raise RunError(f"runs {first + 1} and {second + 1} are of the same images: pass one run of each fold.")
    total = _sum(runs)
    counts = total.to_numpy(float)
    right = np.array([total.loc[name, name] if name in total.columns else 0 for name in total.index], float)
    support = counts.sum(1)
    recall = right[support > 0] / support[support > 0]
    facts = [run.manifest["classification"] for run in runs]
    return {
        "folds": [run.manifest["arguments"]["split"] for run in runs],
        "n": int(counts.sum()),
        "of": "clips" if all(CLIPS in run.manifest for run in runs) else "images",
        "mean_of_folds": {
            "WAR": float(np.mean([fact["accuracy"] for fact in facts])),
            "UAR": float(np.mean([fact["balanced_accuracy"] for fact in facts])),
        },
        "sum_of_confusion": {"WAR": float(right.sum() / counts.sum()), "UAR": float(recall.mean())},
        "confusion": total,
    }


def _sum(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the sum of confusion matrices, which may lack some classes."""
    total = runs[0].confusion
    for run in runs[1:]:
        total = total.add(run.confusion, fill_value=0)
    return total.fillna(0).astype(int)
