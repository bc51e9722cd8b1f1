"""Distance between the outlines of thresholded map and mask."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, defined, image_metric
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import inside
from interpfer.metrics.ignoring import Ignore, keep_pixels
from interpfer.metrics.overlap import otsu_mask

GRID = 56
"""Side of the grid on which outlines are drawn; a canvas of 224 pixels has cells of 4 x 4."""

DUBUISSON = "Dubuisson and Jain 1994, doi 10.1109/ICPR.1994.576361"


@image_metric(
    higher_is_better=False,
    bounds=(0.0, 1.0),
    source=DUBUISSON,
    unit=True,
    difference="of outlines on a grid of 56 x 56, as a share of the diagonal",
)
def hausdorff(maps: MapBatch, heat: MapBatch) -> Scores:
    """Modified Hausdorff distance of the outlines of map (Otsu) and mask, as a share of the canvas diagonal.

    The mean distance of the outline's points to the nearest point of the other outline, the larger of both directions,
    as scikit-image computes it. Undefined where the map is constant or the mask is empty.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        Two columns of pixels, three pixels apart on a canvas whose diagonal is 5 times the square root of 2:

        >>> import torch
        >>> maps, heat = torch.zeros(1, 5, 5), torch.zeros(1, 5, 5)
        >>> maps[:, :, 0], heat[:, :, 3] = 1, 1
        >>> round(hausdorff(maps, heat).item() * 5 * 2**0.5, 4)
        3.0
    """
    diagonal = math.hypot(*(min(side, GRID) for side in maps.shape[1:]))
    pairs = zip(_map_outline(maps).numpy(), _heat_outline(heat).numpy(), strict=True)
    distances = [_distance(one, other) / diagonal for one, other in pairs]
    return torch.where(defined(maps, heat), torch.tensor(distances).to(maps), torch.nan)


@hausdorff.for_kept
def _hausdorff_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Scores:
    """Return the distance where Otsu's threshold is that of the kept pixels, and the others belong to no outline."""
    above = torch.zeros_like(maps)
    for row, kept in enumerate(keep_pixels(maps, ignore)):
        own = ~ignore[row]
        if bool(own.any()):
            above[row][own] = otsu_mask(kept)[0]
    return torch.where(defined(maps, heat), hausdorff.compute(above, heat), torch.nan)


def _distance(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    from skimage.metrics import hausdorff_distance

    if not (one.any() and other.any()):
        return math.nan
    return float(hausdorff_distance(one, other, method="modified"))  # type: ignore[no-untyped-call]


def _map_outline(maps: MapBatch) -> Bool[Tensor, "n gh gw"]:
    return _outline(otsu_mask(maps).view_as(maps))


@cached_per_batch
def _heat_outline(heat: MapBatch) -> Bool[Tensor, "n gh gw"]:
    return _outline(inside(heat).view_as(heat))


def _outline(mask: Float[Tensor, "n h w"]) -> Bool[Tensor, "n gh gw"]:
    """Return the cells at least half in the mask that have a neighbour, or the border, outside it."""
    height, width = (min(side, GRID) for side in mask.shape[1:])
    cells = (F.adaptive_avg_pool2d(mask[:, None], (height, width))[:, 0] >= 0.5).cpu()
    wide = F.pad(cells, (1, 1, 1, 1))
    middle = slice(1, -1)
    within = wide[:, :-2, middle] & wide[:, 2:, middle] & wide[:, middle, :-2] & wide[:, middle, 2:]
    return cells & ~within
