"""Structural similarity of map and heatmap."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, image_metric
from interpfer.metrics.memo import remembered

WINDOW = 7
PIXELS = WINDOW**2
SAMPLE = PIXELS / (PIXELS - 1)
TOGETHER = 2
"""Maps that are compared at a time: what lies between fits into the cache, and memory is not asked for anew."""
C1, C2 = 0.01**2, 0.03**2


class Moments(NamedTuple):
    """Of every window of n pictures, their mean and variance (of the population), beside the pictures themselves."""

    values: Float[Tensor, "n h w"]
    mean: Float[Tensor, "n q"]
    variance: Float[Tensor, "n q"]


@image_metric(higher_is_better=True, bounds=(-1.0, 1.0), source="Wang et al. 2004, doi 10.1109/TIP.2003.819861")
def ssim(maps: MapBatch, heat: MapBatch) -> Scores:
    """Structural similarity over 7 x 7 windows, of map and heatmap each scaled to a peak of 1."""
    b = _moments(heat)
    steps = range(0, len(maps), TOGETHER)
    parts = [_similarity(_measure(maps[i : i + TOGETHER]), Moments(*(x[i : i + TOGETHER] for x in b))) for i in steps]
    return torch.cat(parts) if parts else maps.new_empty(0)


def _similarity(a: Moments, b: Moments) -> Scores:
    product = a.mean * b.mean
    covariance = _box(a.values * b.values).sub_(product)
    above = product.mul(2).add_(C1) * covariance.mul(2 * SAMPLE).add_(C2)
    squares = torch.addcmul(b.mean.square(), a.mean, a.mean).add_(C1)
    below = squares * (a.variance + b.variance).mul_(SAMPLE).add_(C2)
    return _whole_windows(above.div_(below), a.values.shape[2]).mean((1, 2))


@remembered
def _moments(maps: MapBatch) -> Moments:
    return _measure(maps)


def _measure(maps: MapBatch) -> Moments:
    values = maps / maps.amax((1, 2), keepdim=True)
    mean = _box(values)
    return Moments(values, mean, torch.addcmul(_box(values.square()), mean, mean, value=-1))


def _box(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n q"]:
    """Average over the 7 x 7 pixels from each pixel on, by four additions a side (7 = 3 + 3 + 1).

    Pictures are read as one long row, which is faster; windows that run over the right edge are meaningless.
    """
    long = maps.flatten(1)
    for step in (maps.shape[2], 1):
        threes = long[:, : -2 * step] + long[:, step:-step]
        threes += long[:, 2 * step :]
        sums = threes[:, : -4 * step] + threes[:, 3 * step : -step]
        long = sums.add_(long[:, 6 * step :])
    return long.mul_(1 / PIXELS)


def _whole_windows(values: Float[Tensor, "n q"], width: int) -> Float[Tensor, "n hv wv"]:
    """Lay out what belongs to each window, and leave out those over the right edge."""
    kept = width - WINDOW + 1
    rows = (values.shape[1] - kept) // width + 1
    return values.as_strided((len(values), rows, kept), (values.stride(0), width, 1), values.storage_offset())
