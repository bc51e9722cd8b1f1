"""Agreement of a map with the AU heatmap, one score per image."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, energy, extent, image_metric, pixelwise
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import inside
from interpfer.registry import also_called
from interpfer.truth.planes import Planes

PAPER = "Belharbi et al. 2024, arXiv 2402.00281"
SALIENCY = "Bylinskii et al. 2019, arXiv 1604.03605"

KL_FLOOR = 1e-3
"""Share of a map that ``kl`` spreads evenly over the pixels."""


@also_called("CAM-COS", "ATT-COS", "cosine similarity")
@pixelwise
@image_metric(higher_is_better=True, bounds=(-1.0, 1.0), source=PAPER)
def cosine(maps: MapBatch, heat: MapBatch) -> Scores:
    """Cosine of map and heatmap as vectors: CAM-COS for a CAM, ATT-COS for attention.

    Args:
        maps: (n, S, S) maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        >>> import torch
        >>> heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> round(cosine(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), heat).item(), 6)
        0.6
        >>> cosine(torch.zeros(1, 2, 2), heat)
        tensor([nan])
    """
    return _cosine(maps, heat)


@cosine.for_planes
def _cosine_of_planes(maps: MapBatch, planes: Planes) -> Float[Tensor, " q"]:
    """Return the cosine of each plane with the map of its face."""
    norms = _length(maps)[planes.face] * _length(planes.maps)
    return torch.where(norms > 0, planes.multiply(maps) / norms, torch.nan)


@pixelwise
@image_metric(higher_is_better=True, bounds=(-math.inf, 1.0), source="interpfer")
def cosine_skill(maps: MapBatch, heat: MapBatch) -> Scores:
    """Cosine on a scale where a uniform map scores 0 and a perfect one 1.

    Args:
        maps: (n, S, S) maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        The cosine of a uniform map is 0.5 here, so a cosine of 0.6 is a fifth of the way from there to 1:

        >>> import torch
        >>> heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> round(cosine_skill(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), heat).item(), 6)
        0.2
    """
    uniform = _uniform_cosine(heat)
    return (_cosine(maps, heat) - uniform) / (1 - uniform)


@cosine_skill.for_planes
def _skill_on_planes(maps: MapBatch, planes: Planes) -> Float[Tensor, " q"]:
    uniform = _uniform_cosine(planes.maps)
    return (_cosine_of_planes(maps, planes) - uniform) / (1 - uniform)


@pixelwise
@image_metric(higher_is_better=True, bounds=(-1.0, 1.0), source=SALIENCY)
def pearson(maps: MapBatch, heat: MapBatch) -> Scores:
    """Linear correlation of map and heatmap over pixels; undefined for a constant map.

    Args:
        maps: (n, S, S) maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        >>> import torch
        >>> heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> round(pearson(2 * heat + 1, heat).item(), 6), round(pearson(1 - heat, heat).item(), 6)
        (1.0, -1.0)
    """
    (a, length_a), (b, length_b) = _standardise(maps), _standardised(heat)
    correlation: Tensor = torch.linalg.vecdot(a, b) / (length_a * length_b)
    return correlation


@pixelwise
@image_metric(
    higher_is_better=False,
    bounds=(0.0, math.inf),
    source=SALIENCY,
    difference="a share of .001 of the map is spread evenly, where the source adds 2.2e-16",
)
def kl(maps: MapBatch, heat: MapBatch) -> Scores:
    """Kullback-Leibler divergence of the heatmap from the map, in nats, both as distributions over pixels.

    A share of ``KL_FLOOR`` of the map is spread evenly, so that a zero under the heatmap costs much, not infinity.

    Args:
        maps: (n, S, S) non-negative maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        All of the heatmap is on one of four pixels, where a uniform map has a quarter: log 4.

        >>> import torch
        >>> heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> round(kl(torch.ones(1, 2, 2), heat).item(), 4)
        1.3863
    """
    q = maps.flatten(1).clamp(min=0)
    pixels = q.shape[1]
    floor = q.sum(1, keepdim=True) * (KL_FLOOR / (1 - KL_FLOOR) / pixels)
    above_floor = (q / floor + 1).log2()  # several times faster than log or log1p
    share = torch.linalg.vecdot(heat.flatten(1), above_floor) * math.log(2) / energy(heat)
    divergence: Tensor = _negative_entropy(heat) - share + math.log(pixels / KL_FLOOR)
    return divergence


@also_called("energy-based pointing game")
@pixelwise
@image_metric(higher_is_better=True, bounds=(0.0, 1.0), source="Wang et al. 2020, Score-CAM, arXiv 1910.01279")
def ebpg(maps: MapBatch, heat: MapBatch) -> Scores:
    """Share of the map's energy that lies in the mask (energy-based pointing game).

    Args:
        maps: (n, S, S) non-negative maps on the canvas, NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        >>> import torch
        >>> heat = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> ebpg(torch.tensor([[[3.0, 1.0], [0.0, 0.0]]]), heat).item()
        0.75
    """
    within = torch.linalg.vecdot(maps.flatten(1), inside(heat))
    return torch.where(heat[:, 0, 0].isfinite(), within / energy(maps), torch.nan)


@cached_per_batch
def _negative_entropy(heat: MapBatch) -> Float[Tensor, " n"]:
    p = heat.flatten(1) / energy(heat)[:, None]
    total: Tensor = torch.linalg.vecdot(p, p.clamp(min=torch.finfo(p.dtype).tiny).log2()) * math.log(2)
    return total


@cached_per_batch
def _standardised(heat: MapBatch) -> tuple[Float[Tensor, "n p"], Float[Tensor, " n"]]:
    return _standardise(heat)


def _standardise(maps: MapBatch) -> tuple[Float[Tensor, "n p"], Float[Tensor, " n"]]:
    """Return the maps minus their means, and the lengths of these vectors; NaN for a constant map."""
    centred = maps.flatten(1) - maps.mean((1, 2))[:, None]
    low, high = extent(maps)
    return centred, torch.where(low < high, torch.linalg.vecdot(centred, centred).sqrt(), torch.nan)


@cached_per_batch
def _uniform_cosine(heat: MapBatch) -> Float[Tensor, " n"]:
    """Return the cosine of a uniform map."""
    return _cosine(torch.ones_like(heat[:1]), heat)


@cached_per_batch
def _cosine(maps: Float[Tensor, "m h w"], heat: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    norms = _length(maps) * _length(heat)
    return torch.where(norms > 0, torch.linalg.vecdot(maps.flatten(1), heat.flatten(1)) / norms, torch.nan)


@cached_per_batch
def _length(maps: MapBatch) -> Float[Tensor, " n"]:
    rows = maps.flatten(1)
    length: Tensor = torch.linalg.vecdot(rows, rows).sqrt()
    return length
