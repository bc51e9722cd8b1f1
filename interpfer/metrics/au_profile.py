"""AU profile: how the energy of a map is distributed over the regions of all action units.

On a 28 x 28 grid, every cell belongs to the action units that cover it, in proportion, and to the background where none
does; the energy of a map is divided accordingly, so that shares add up to 1. Action units with the same region (such as
23, 24, 26, 27: the mouth) cannot be distinguished and share one entry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.metrics.base import MapBatch
from interpfer.truth.base import BACKGROUND, GRID, TruthProvider

USED = 1.1
"""A region is used by the model where its map has at least this many times the energy of a uniform map."""
COLUMNS = ["map", "layer", "by", "expression", "au", "share", "uniform", "codebook", "expected", "used", "n"]


def profile(maps: MapBatch, shares: Float[Tensor, "n g 28 28"]) -> Float[Tensor, "n g"]:
    """Return the share of each map's energy per region and in the background; rows add up to 1.

    Args:
        maps: (n, S, S) on the canvas, or their ``cells``; not negative.
        shares: (n, g, 28, 28) share of each of the g parts in each cell, of ``TruthProvider.shares``.

    Examples:
        Two parts, the left and the right half; three quarters of the energy lie in the left one:

        >>> shares = torch.zeros(1, 2, 28, 28)
        >>> shares[:, 0, :, :14], shares[:, 1, :, 14:] = 1, 1
        >>> maps = torch.ones(1, 28, 28)
        >>> maps[:, :, :14] = 3
        >>> [round(share, 4) for share in profile(maps, shares)[0].tolist()]
        [0.75, 0.25]
    """
    pooled = cells(maps).to(shares.dtype)
    profiles: Tensor = torch.einsum("nhw,nghw->ng", pooled, shares) / pooled.sum((1, 2))[:, None]
    return profiles


def cells(maps: MapBatch) -> Float[Tensor, "n 28 28"]:
    """Return the means of (n, S, S) maps over the cells of the grid; maps of 28 x 28 as they are."""
    size = maps.shape[-1]
    if size == GRID:
        return maps
    if size % GRID:
        return F.adaptive_avg_pool2d(maps[:, None], GRID)[:, 0]
    side = size // GRID  # rows first, then columns: three times faster
    rows = maps.reshape(-1, GRID, side, size).sum(2)
    return rows.view(-1, GRID, GRID, side).sum(3).div_(side**2)


def summarise_profiles(
    profiles: NDArray[np.float64] | Iterable[NDArray[np.float64]],
    groupings: Mapping[str, Sequence[str]],
    columns: Sequence[tuple[str, str]],
    truth: TruthProvider,
) -> pd.DataFrame:
    """Average profiles over the images of each true and of each predicted class.

    Args:
        profiles: (images, maps + 2, g), or blocks of it, one after another; NaN where undefined; the last two maps are
            a uniform one and the AU heatmap of the label.
        groupings: "true" or "predicted" -> expression per image.
        columns: (map, layer) pairs.
        truth: provider of the names of the g parts, and of those expected for an expression.

    Returns:
        One row per map, layer, grouping, expression and region, none for a truth without regions: the mean share of the
        map's energy, that of a uniform map, that of the AU heatmaps of the same images, whether the codebook expects
        the region, whether the model uses it (``USED``), and the number of images.
    """
    if not truth.parts.groups:
        return pd.DataFrame(columns=COLUMNS)
    sums = _sum_by_group([profiles] if isinstance(profiles, np.ndarray) else profiles, groupings, len(columns))
    rows: list[tuple[object, ...]] = []
    for column, (name, layer) in enumerate(columns):
        for by, expressions in groupings.items():
            for expression in dict.fromkeys(label for label in expressions if label):
                total = sums.get((column, by, expression))
                if total is None or not total.count:
                    continue
                share, uniform = total.own / total.count, total.uniform / total.count
                heat = total.truth / total.with_truth if total.with_truth else np.full(len(share), np.nan)
                used = share >= USED * uniform
                used[-1] = False
                expected = truth.expected_parts(expression)
                values = zip(truth.parts.names, share, uniform, heat, expected, used, strict=True)
                rows += [(name, layer, by, expression, *value, total.count) for value in values]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        ["map", "layer", "by", "expression"], kind="stable", ignore_index=True
    )


@dataclass
class _Sums:
    """Sums of profiles over the images of a group on which a map is defined: of the map, a uniform one, the truth."""

    own: NDArray[np.float64]
    uniform: NDArray[np.float64]
    truth: NDArray[np.float64]
    count: int = 0
    with_truth: int = 0


def _sum_by_group(
    blocks: Iterable[NDArray[np.float64]], groupings: Mapping[str, Sequence[str]], maps: int
) -> dict[tuple[int, str, str], _Sums]:
    """Add profiles over the images of each group, a block of images at a time; keys are map, grouping and name."""
    sums: dict[tuple[int, str, str], _Sums] = {}
    start = 0
    for block in blocks:
        has_truth = np.isfinite(block[:, -1]).all(1)
        defined = [np.isfinite(block[:, column]).all(1) for column in range(maps)]
        for by, expressions in groupings.items():
            own = np.array(expressions[start : start + len(block)], object)
            for name in dict.fromkeys(label for label in own.tolist() if label):
                of_group = own == name
                added: dict[bytes, tuple[NDArray[np.float64], NDArray[np.float64], int, int]] = {}
                for column in range(maps):
                    members = of_group & defined[column]
                    if (key := members.tobytes()) not in added:  # most maps are defined on the same images
                        known = members & has_truth
                        truth = block[known, -1].sum(0)
                        added[key] = block[members].sum(0), truth, int(members.sum()), int(known.sum())
                    whole, truth, count, with_truth = added[key]
                    own_blank, uniform_blank, truth_blank = np.zeros((3, block.shape[2]))
                    total = sums.setdefault((column, by, name), _Sums(own_blank, uniform_blank, truth_blank))
                    total.count += count
                    total.with_truth += with_truth
                    total.own = total.own + whole[column]
                    total.uniform = total.uniform + whole[-2]
                    total.truth = total.truth + truth
        start += len(block)
    return sums


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the regions that the model uses with those that the codebook expects.

    Args:
        table: result of ``summarise_profiles``.

    Returns:
        One row per map, layer, grouping and expression: ``energy`` in expected regions as a share of that in all
        regions; ``precision``, the share of used regions that are expected; ``recall``, the share of expected regions
        that are used; the names of ``unexpected`` (used) and ``missed`` (expected) regions.
    """
    comparisons = []
    keys = ["map", "layer", "by", "expression"]
    for key, rows in table[table["au"] != BACKGROUND].groupby(keys, sort=False):
        used, expected = rows["used"].to_numpy(bool), rows["expected"].to_numpy(bool)
        share, aus = rows["share"].to_numpy(float), rows["au"].astype(str)
        comparisons.append({
            **dict(zip(keys, key, strict=True)),
            "energy": share[expected].sum() / share.sum() if expected.any() and share.any() else np.nan,
            "precision": (used & expected).sum() / used.sum() if used.any() and expected.any() else np.nan,
            "recall": (used & expected).sum() / expected.sum() if expected.any() else np.nan,
            "unexpected": " ".join(aus[used & ~expected]),
            "missed": " ".join(aus[expected & ~used]),
        })  # fmt: skip
    return pd.DataFrame(comparisons)
