"""AU evidence profile: how the energy of a map spreads over the regions of all action units.

"Why did it say anger?" in FACS terms. On a 28 x 28 grid, every cell belongs to the action units that cover it, in
proportion, and to the background as far as none does; a map's energy is dealt out accordingly, so that shares add up
to 1. Action units of one and the same region (such as 23, 24, 26, 27: the mouth) cannot be told apart and stand
together.
"""

from collections.abc import Mapping, Sequence

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
"""A model uses a region where its map has this many times the energy there that a uniform map has."""
COLUMNS = ["map", "layer", "by", "expression", "au", "share", "uniform", "codebook", "expected", "used", "n"]


def profile(maps: MapBatch, dealt: Float[Tensor, "n g 28 28"]) -> Float[Tensor, "n g"]:
    """Return how the energy of each map spreads over regions and background; rows add up to 1.

    Args:
        maps: on the canvas, or the ``cells`` of that, not negative.
        dealt: out of ``shares``.
    """
    pooled = cells(maps).to(dealt.dtype)
    spread: Tensor = torch.einsum("nhw,nghw->ng", pooled, dealt) / pooled.sum((1, 2))[:, None]
    return spread


def cells(maps: MapBatch) -> Float[Tensor, "n 28 28"]:
    """Return the means of maps over the cells of the grid."""
    return maps if maps.shape[-1] == GRID else F.adaptive_avg_pool2d(maps[:, None], GRID)[:, 0]


def summarise_profiles(
    profiles: NDArray[np.float64],
    groupings: Mapping[str, Sequence[str]],
    columns: Sequence[tuple[str, str]],
    truth: TruthProvider,
) -> pd.DataFrame:
    """Average profiles over the images of each true and of each predicted class.

    Args:
        profiles: (images, maps + 2, g), NaN where undefined; the last two are those of a uniform map and of the
            AU heatmap of the label.
        groupings: "true" or "predicted" -> expression per image.
        columns: the (map, layer) pairs.
        truth: names the g parts, and says which are expected of an expression.

    Returns:
        One line per map, layer, grouping, expression and region: the mean share of the map's energy, that of a uniform
        map, that of the AU heatmaps of the same images, whether the codebook expects the region, whether the model uses
        it (``USED``), and the number of images.
    """
    lines: list[tuple[object, ...]] = []
    for column, (name, layer) in enumerate(columns):
        for by, expressions in groupings.items():
            found = np.array(expressions)
            for expression in dict.fromkeys(label for label in expressions if label):
                some = profiles[(found == expression) & np.isfinite(profiles[:, column]).all(1)]
                if not len(some):
                    continue
                share, uniform = some[:, column].mean(0), some[:, -2].mean(0)
                drawn = some[np.isfinite(some[:, -1]).all(1), -1]
                heat = drawn.mean(0) if len(drawn) else np.full(len(share), np.nan)
                used = share >= USED * uniform
                used[-1] = False
                expected = truth.expected_parts(expression)
                values = zip(truth.parts.names, share, uniform, heat, expected, used, strict=True)
                lines += [(name, layer, by, expression, *line, len(some)) for line in values]
    return pd.DataFrame(lines, columns=COLUMNS).sort_values(
        ["map", "layer", "by", "expression"], kind="stable", ignore_index=True
    )


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Hold what the model uses against what the codebook expects.

    Args:
        table: out of ``summarise_profiles``.

    Returns:
        One line per map, layer, grouping and expression: ``energy`` in expected regions as a share of that in all
        regions; ``precision``, the share of used regions that are expected; ``recall``, the share of expected regions
        that are used; ``unexpected`` and ``missed`` name the others.
    """
    lines = []
    keys = ["map", "layer", "by", "expression"]
    for key, rows in table[table["au"] != BACKGROUND].groupby(keys, sort=False):
        used, expected = rows["used"].to_numpy(bool), rows["expected"].to_numpy(bool)
        share, aus = rows["share"].to_numpy(float), rows["au"].astype(str)
        lines.append({
            **dict(zip(keys, key, strict=True)),
            "energy": share[expected].sum() / share.sum() if expected.any() else np.nan,
            "precision": (used & expected).sum() / used.sum() if used.any() and expected.any() else np.nan,
            "recall": (used & expected).sum() / expected.sum() if expected.any() else np.nan,
            "unexpected": " ".join(aus[used & ~expected]),
            "missed": " ".join(aus[expected & ~used]),
        })  # fmt: skip
    return pd.DataFrame(lines)
