"""Compares the action units that a text names with those on which a classifier's map lies."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interpfer.errors import RunError
from interpfer.metrics.au_profile import USED
from interpfer.rationales.scores import RowScores
from interpfer.rationales.summary import summarise_rows
from interpfer.rationales.table import RationaleTable
from interpfer.rationales.units import count_units
from interpfer.results.au_shares import KEYS, UNIFORM, read_au_shares
from interpfer.statistics.bootstrap import Rows
from interpfer.truth.base import BACKGROUND

Flags = NDArray[np.bool_]

METRICS = {"au_precision": "map_precision", "au_recall": "map_recall", "au_f1": "map_f1"}
"""Metric of action units -> its name where they are those of a map."""


def compare_with_maps(
    run: str | Path, table: RationaleTable, named: dict[str, Flags], subjects: Rows | None, seed: int
) -> pd.DataFrame:
    """Return a line per map, kind of rows and metric.

    A map lies on a region where it has at least ``USED`` times the energy of a uniform map. Action units that share a
    region count as one; those without a region are left out.

    Args:
        run: folder of a run with au_shares.csv.
        table: the rows.
        named: kind of rows -> (n, a) action units that they name.
        subjects: (n,) number of the person on each image; None where images are taken as independent.
        seed: random seed.

    Returns:
        Columns map, layer, of, metric, value, ci_low, ci_high, n.

    Raises:
        RunError: the run has no such table, or none of the images.
    """
    shares = read_au_shares(run)
    names = [name for name in shares.columns if name not in (*KEYS, BACKGROUND)]
    groups = [tuple(map(int, name.split("+"))) for name in names]
    regions = {kind: _by_region(flags, table.aus, groups) for kind, flags in named.items()}
    lines = []
    by_key = dict(iter(shares.set_index("image").groupby(["map", "layer"], sort=False)))
    uniform = by_key.pop(UNIFORM)
    for (name, layer), own in by_key.items():
        energy, even = (each.reindex(table.images)[names].to_numpy(float) for each in (own, uniform))
        known = np.isfinite(energy).all(1) & np.isfinite(even).all(1)
        if not known.any():
            continue
        lies = energy >= USED * even
        coded = np.repeat(known[:, None], len(names), 1)
        nothing = np.full(len(table), np.nan)
        for kind, flags in regions.items():
            rows = RowScores(nothing, count_units(flags, lies, coded), nothing, None)
            metrics = summarise_rows(rows, tuple(group[0] for group in groups), subjects, seed).metrics
            lines += [(name, layer, kind, metric, *metrics[source]) for source, metric in METRICS.items()]
    if not lines:
        raise RunError(f"{run} has none of the images of the rationales; score the same data set and split.")
    return pd.DataFrame(lines, columns=["map", "layer", "of", "metric", "value", "ci_low", "ci_high", "n"])


def _by_region(named: Flags, aus: tuple[int, ...], groups: list[tuple[int, ...]]) -> Flags:
    column = {au: place for place, au in enumerate(aus)}
    own = [[column[au] for au in group if au in column] for group in groups]
    return np.column_stack([named[:, places].any(1) if places else np.zeros(len(named), bool) for places in own])
