"""Overlap of thresholded map and thresholded heatmap, each at its own Otsu threshold, as the reference measures it."""

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.agreement import PAPER
from interpfer.metrics.base import MapBatch, Scores, defined, extent, image_metric, pixelwise
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import count, reached

BINS = 256
"""Bins of the histogram in which Otsu's threshold is searched."""


@pixelwise
@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source=PAPER, unit=True)
def iou(maps: MapBatch, heat: MapBatch) -> Scores:
    """Intersection over union of map and heatmap, each above its own Otsu threshold; 1 where both are empty.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        Two pixels each, one of them in common:

        >>> maps = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
        >>> round(iou(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item(), 4)
        0.3333
    """
    both, one = _overlap(maps, heat)
    return torch.where(one == 0, 1, both / one)


@pixelwise
@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source=PAPER, unit=True)
def dice(maps: MapBatch, heat: MapBatch) -> Scores:
    """Dice of map and heatmap, each above its own Otsu threshold; 1 where both are empty.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        Two pixels each, one of them in common:

        >>> maps = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
        >>> dice(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item()
        0.5
    """
    both, one = _overlap(maps, heat)
    return torch.where(one == 0, 1, 2 * both / (both + one))


@cached_per_batch
def _overlap(maps: MapBatch, heat: MapBatch) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return the sizes of intersection and union; NaN where undefined."""
    a, b = otsu_mask(maps), otsu_mask(heat)
    both, sizes = torch.linalg.vecdot(a, b), a.sum(1) + b.sum(1)
    valid = defined(maps, heat)
    return torch.where(valid, both, torch.nan), torch.where(valid, sizes - both, torch.nan)


@cached_per_batch
def otsu_mask(maps: MapBatch) -> Float[Tensor, "n p"]:
    """Return 1 for pixels above Otsu's threshold, else 0; none of a constant map.

    The threshold is the middle of the bin that separates best, of ``BINS`` between a map's least and largest value, as
    in scikit-image.
    """
    low, high = (end[:, None] for end in extent(maps))
    width = (high - low) / BINS
    rows = maps.detach().flatten(1)
    fine = (width > torch.finfo(width.dtype).tiny) & width.isfinite()
    if not bool(fine.all()):  # constant or undefined
        rows, low, width = torch.where(fine, rows, 0), torch.where(fine, low, 0), torch.where(fine, width, 1)
    counts = count((rows - low).mul_(1 / width).clamp_(max=BINS - 1).to(torch.int32), BINS)
    below = counts.double().cumsum(1)
    weighted = (counts * torch.arange(BINS, dtype=torch.float64, device=maps.device)).cumsum(1)
    total, above = weighted[:, -1:], below[:, -1:] - below
    separation = (weighted * below[:, -1:] - total * below).square() / (below * above)
    best = torch.where((below > 0) & (above > 0), separation, -1).max(1, keepdim=True)
    threshold = torch.where(best.values > 0, low + (best.indices + 0.5) * width, torch.inf)
    return reached(maps, torch.nextafter(threshold, torch.full_like(threshold, torch.inf)))
