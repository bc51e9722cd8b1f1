"""Overlap of thresholded map and thresholded heatmap, each at its own Otsu threshold, as the reference measures it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, defined, image_metric
from interpfer.metrics.functional import PAPER
from interpfer.metrics.levels import LEVELS, STEPS, histogram, joint_histogram, marked
from interpfer.metrics.memo import remembered


@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source=PAPER, unit=True)
def iou(maps: MapBatch, heat: MapBatch) -> Scores:
    """Intersection over union of map and heatmap, each above its own Otsu threshold; 1 where both are empty."""
    both, one = _overlap(maps, heat)
    return torch.where(one == 0, 1, both / one)


@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source=PAPER, unit=True)
def dice(maps: MapBatch, heat: MapBatch) -> Scores:
    """Dice of map and heatmap, each above its own Otsu threshold; 1 where both are empty."""
    both, one = _overlap(maps, heat)
    return torch.where(one == 0, 1, 2 * both / (both + one))


@remembered
def _overlap(maps: MapBatch, heat: MapBatch) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the sizes of intersection and union; NaN where undefined."""
    a, b = otsu_mask(maps, joint_histogram(maps, heat).sum(1)), _heat_mask(heat)
    both, sizes = torch.linalg.vecdot(a, b), a.sum(1) + b.sum(1)
    valid = defined(maps, heat)
    return torch.where(valid, both, torch.nan), torch.where(valid, sizes - both, torch.nan)


@remembered
def _heat_mask(heat: MapBatch) -> Float[Tensor, "n p"]:
    return otsu_mask(heat, histogram(heat))


def otsu_mask(maps: MapBatch, counts: Int[Tensor, f"n {LEVELS}"]) -> Float[Tensor, "n p"]:
    """Return 1 for pixels above Otsu's threshold, out of the pixels at each level, else 0; none of a constant map."""
    below = counts.double().cumsum(1)
    weighted = (counts * torch.arange(LEVELS, dtype=torch.float64, device=maps.device)).cumsum(1)
    total, above = weighted[:, -1:], below[:, -1:] - below
    parted = (weighted * below[:, -1:] - total * below).square() / (below * above)
    best = torch.where((below > 0) & (above > 0), parted, -1).max(1)
    threshold = torch.where(best.values > 0, best.indices, LEVELS)
    return marked(maps, ((threshold + 1) / STEPS)[:, None].to(maps.dtype))
