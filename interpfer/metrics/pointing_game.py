"""Pointing game: does the highest pixel of a map lie in the mask, or near it?"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from interpfer.metrics.base import ImageMetric, MapBatch, Scores, defined, extent, image_metric
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import inside, reached
from interpfer.metrics.ignoring import Ignore, fill
from interpfer.registry import also_called

TOLERANCE = 15 / 224
"""Largest distance from the mask that still counts, as a share of the side of the canvas."""

ZHANG = "Zhang et al. 2018, arXiv 1608.00507"


@also_called("pointing game")
@image_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source=ZHANG,
    unit=True,
    difference="15 pixels of the canvas of 224, the source's 15 of its larger pictures; ties count in proportion",
    definition=2,
)
def pointing(maps: MapBatch, heat: MapBatch) -> Scores:
    """Pointing game: whether the map's highest pixel lies in the mask or within 15 of 224 pixels of it.

    Of pixels that tie for the highest, the share counts. On a canvas of another size, the tolerance is the same share
    of its side.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise; the mask is heatmap >= 0.5.

    Examples:
        The mask is a column, and the highest pixel is 15 columns away from it, then 16:

        >>> heat, maps = torch.zeros(2, 224, 224), torch.zeros(2, 224, 224)
        >>> heat[:, :, 100], maps[0, 50, 115], maps[1, 50, 116] = 1, 1, 1
        >>> pointing(maps, heat).tolist()
        [1.0, 0.0]
    """
    return _share_of_highest(maps, heat, _near_mask(heat))


@image_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source=ZHANG,
    unit=True,
    difference="no tolerance, as in Quantus; ties count in proportion",
)
def pointing_strict(maps: MapBatch, heat: MapBatch) -> Scores:
    """Pointing game without tolerance: whether the map's highest pixel lies in the mask.

    Of pixels that tie for the highest, the share counts.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise; the mask is heatmap >= 0.5.

    Examples:
        Two pixels are highest, and one of them lies in the mask:

        >>> maps = torch.tensor([[[1.0, 1.0], [0.25, 0.0]]])
        >>> pointing_strict(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item()
        0.5
    """
    return _share_of_highest(maps, heat, inside(heat))


@pointing.for_kept
def _pointing_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Scores:
    """Return the score of the highest of the kept pixels; the tolerance reaches across pixels to ignore."""
    return _of_highest_kept(pointing, maps, heat, ignore)


@pointing_strict.for_kept
def _strict_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Scores:
    return _of_highest_kept(pointing_strict, maps, heat, ignore)


def _of_highest_kept(metric: ImageMetric, maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Scores:
    return torch.where(ignore.flatten(1).all(1), torch.nan, metric.compute(fill(maps, ignore, -1.0), heat))


def _share_of_highest(maps: MapBatch, heat: MapBatch, region: Float[Tensor, "n p"]) -> Scores:
    highest = _highest(maps)
    share = torch.linalg.vecdot(highest, region.to(highest)) / highest.sum(1)
    return torch.where(defined(maps, heat), share, torch.nan)


@cached_per_batch
def _highest(maps: MapBatch) -> Float[Tensor, "n p"]:
    return reached(maps, extent(maps)[1][:, None])


@cached_per_batch
def _near_mask(heat: MapBatch) -> Float[Tensor, "n p"]:
    """Return 1 for pixels whose distance to the mask is at most ``TOLERANCE``, else 0."""
    mask = inside(heat).view_as(heat).to(torch.uint8)
    reach = TOLERANCE * max(heat.shape[1:])
    rows = int(reach)
    near = mask.clone()
    wide, width = mask, 0
    for row in range(rows, -1, -1):  # the farther a row is, the less of it lies within the circle
        target = int((reach**2 - row**2 + 1e-6) ** 0.5)
        wide, width = _widen(wide, target - width), target
        near |= _shift_rows(wide, row) | _shift_rows(wide, -row)
    return near.flatten(1).to(heat.dtype)


def _widen(mask: UInt8[Tensor, "n h w"], steps: int) -> UInt8[Tensor, "n h w"]:
    """Return a mask that reaches some pixels further to both sides."""
    for _ in range(steps):
        padded = F.pad(mask, (1, 1))
        mask = padded[..., :-2] | padded[..., 1:-1] | padded[..., 2:]
    return mask


def _shift_rows(mask: UInt8[Tensor, "n h w"], rows: int) -> UInt8[Tensor, "n h w"]:
    """Return a mask moved down by some rows, or up where negative."""
    height = mask.shape[1]
    rows = max(-height, min(rows, height))
    return F.pad(mask, (0, 0, rows, -rows))
