"""Counts of maps for the planes of a truth, in less room than those for whole heatmaps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interpfer.truth.planes import Planes

MapBatch = Float[Tensor, "n h w"]
Counts = NDArray[np.unsignedinteger]


class PlaneCounter(NamedTuple):
    """Counts of planes that need not be stored in full, because those of the whole map are known.

    Attributes:
        count_planes: (n, S, S) maps in [0, 1], (n, S, S) heatmaps of the faces, and q planes on them to (q, j) counts.
        complete: (q, k) counts of the faces and (q, j) counts of the planes to the (q, k) counts of the metric.
    """

    count_planes: Callable[[MapBatch, MapBatch, Planes], Int[Tensor, "q j"]]
    complete: Callable[[Counts, Counts], Counts]
