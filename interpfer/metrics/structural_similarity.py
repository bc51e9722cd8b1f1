"""Structural similarity of map and heatmap."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, image_metric
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.ignoring import Ignore, fill

WINDOW = 7
PIXELS = WINDOW**2
C1, C2 = 0.01**2, 0.03**2
MEANS = PIXELS**2 * C1
"""C1 on the scale of products of sums over windows."""
SPREADS = C1 + (PIXELS - 1) / PIXELS * C2
"""C2 on the scale of sums over windows, so that it remains when the share of the means is subtracted."""

Sums = Float[Tensor, "n q"]


@image_metric(
    higher_is_better=True,
    bounds=(-1.0, 1.0),
    source="Wang et al. 2004, doi 10.1109/TIP.2003.819861",
    difference="even windows of 7 x 7, as in scikit-image; the source's are Gaussian, 11 x 11",
)
def ssim(maps: MapBatch, heat: MapBatch) -> Scores:
    """Structural similarity over 7 x 7 windows, of map and heatmap each scaled to a peak of 1.

    Formula, sample covariance and whole windows as in scikit-image. With S the sum over a window,
    S(2 a h) - S(a) S(2 h) / 49 is the covariance, and S(a a + h h) - (S(a)^2 + S(h)^2) / 49 the sum of the variances,
    each times 48: three sums for each map, and three for a heatmap, which many maps share.

    Args:
        maps: (n, S, S) non-negative maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        >>> heat = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> round(ssim(heat / 2, heat).item(), 4)
        1.0
    """
    return _similarity(maps, heat).mean((1, 2))


@ssim.for_kept
def _ssim_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Scores:
    """Return the mean over the windows without a pixel to ignore; the peak is that of the kept pixels."""
    whole = ~F.max_pool2d(ignore[:, None].to(maps), WINDOW, 1)[:, 0].bool()
    similarity = torch.where(whole, _similarity(fill(maps, ignore), heat), 0)
    count = whole.sum((1, 2))
    return torch.where(count > 0, similarity.sum((1, 2)) / count, torch.nan)


def _similarity(maps: MapBatch, heat: MapBatch) -> Float[Tensor, "n hv wv"]:
    """Return the structural similarity of each window."""
    twice, squares, twice_sums, square_sums = _reference(heat)
    values = _scaled(maps)
    sums = _window_sums(values)
    product = (sums * twice_sums).add_(MEANS)
    numerator = _window_sums((values * twice).add_(SPREADS)).sub_(product, alpha=1 / PIXELS).mul_(product)
    lengths = torch.addcmul(square_sums, sums, sums)
    denominator = _window_sums(torch.addcmul(squares, values, values)).sub_(lengths, alpha=1 / PIXELS).mul_(lengths)
    return _whole_windows(numerator.div_(denominator), maps.shape[2])


@cached_per_batch
def _reference(heat: MapBatch) -> tuple[MapBatch, MapBatch, Sums, Sums]:
    """Return twice the values of heatmaps, their squares, twice their window sums and the squares of these sums."""
    values = _scaled(heat)
    sums = _window_sums(values)
    return values * 2, values.square().add_(SPREADS), sums * 2, sums.square().add_(MEANS)


def _scaled(maps: MapBatch) -> MapBatch:
    return maps / maps.amax((1, 2), keepdim=True)


def _window_sums(maps: MapBatch) -> Sums:
    """Add up the 7 x 7 pixels of the window that begins at each pixel.

    Pictures are read as one long row, which is faster; windows across the right edge are meaningless.
    """
    return maps.unfold(1, WINDOW, 1).sum(3).flatten(1).unfold(1, WINDOW, 1).sum(2)


def _whole_windows(values: Sums, width: int) -> Float[Tensor, "n hv wv"]:
    """Return values per window as a picture, without the windows across the right edge."""
    columns = width - WINDOW + 1
    rows = (values.shape[1] - columns) // width + 1
    return values.as_strided((len(values), rows, columns), (values.stride(0), width, 1), values.storage_offset())
