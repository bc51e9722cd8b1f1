"""What scores without looking at the face: action units of a codebook or drawn at random, with mean boxes."""

import numpy as np
from numpy.typing import NDArray

from interpfer.rationales.grounding import (
    BOTH,
    HIT,
    LEFT,
    RIGHT,
    Grounding,
    contains_centre,
    intersection_over_union,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ANSWER_UNITS, LABEL_UNITS, RANDOM_UNITS = "baseline:answer-aus", "baseline:label-aus", "baseline:random-aus"

BASELINES = {
    ANSWER_UNITS: "the codebook's action units of the answer, with mean boxes: what a model scores that knows the "
    "codebook and does not look",
    LABEL_UNITS: "the codebook's action units of the label, with mean boxes (where action units are coded)",
    RANDOM_UNITS: "as many action units as the text names, drawn at random, with mean boxes",
}
"""Name -> what it is."""


def draw_random(named: Flags, pool: Flags, seed: int) -> Flags:
    """Return as many action units per face as are named, drawn at random.

    Args:
        named: (n, a).
        pool: (a,) those to draw from.
        seed: random seed.
    """
    order = np.where(pool, np.random.default_rng(seed).random(named.shape), np.inf)
    rank = order.argsort(1).argsort(1)
    drawn: Flags = (rank < named.sum(1, keepdims=True)) & pool
    return drawn


class MeanBoxes:
    """Mean boxes of the sides of each action unit over the other faces.

    Args:
        units: number of action units.
    """

    def __init__(self, units: int) -> None:
        self._sum, self._count = np.zeros((units, 2, 4)), np.zeros((units, 2, 1))

    def add(self, boxes: Array) -> None:
        """Add the (n, a, 3, 4) boxes of faces."""
        sides = boxes[:, :, : RIGHT + 1]
        self._sum += np.nansum(sides, 0)
        self._count += np.isfinite(sides[..., :1]).sum(0)

    def of_others(self, boxes: Array) -> Array:
        """Return the mean boxes (n, a, 2, 4) over the faces other than each; NaN where there are none."""
        sides = boxes[:, :, : RIGHT + 1]
        count = self._count - np.isfinite(sides[..., :1])
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Array = np.where(count > 0, (self._sum - np.nan_to_num(sides)) / count, np.nan)
        return means


def ground_means(boxes: Array, means: Array, named: Flags) -> Grounding:
    """Compare the mean boxes of named action units with those of the faces, each side with its own.

    Args:
        boxes: (n, a, 3, 4) of the faces.
        means: (n, a, 2, 4).
        named: (n, a) units that get their mean boxes.
    """
    own = boxes[:, :, : RIGHT + 1]
    given = named[..., None] & np.isfinite(means[..., 0])
    iou = np.where(given, intersection_over_union(own, means), 0.0)
    inside = given & (contains_centre(own, means) | contains_centre(boxes[:, :, [BOTH, BOTH]], means))
    count = given.sum(-1).astype(float)
    has_region = np.isfinite(boxes[:, :, BOTH, LEFT])
    count[has_region & (count == 0)] = 1
    return Grounding(iou.sum(-1), (iou >= HIT).sum(-1).astype(float), inside.sum(-1).astype(float), count)
