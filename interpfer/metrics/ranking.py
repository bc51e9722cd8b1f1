"""Agreement by rank: which pixels a map ranks highest, whatever its values.

Maps are in [0, 1] and their values are binned into 1,000 levels. Equal pixels share their rank, so nothing depends on
the order of the pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.metrics.base import MapBatch, Scores, defined, image_metric, pixelwise
from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.histograms import (
    LEVELS_NOTE,
    histogram,
    joint_histogram,
    joint_levels,
    levels,
    look_up,
    mean_ranks,
    reaching,
)


@pixelwise
@image_metric(higher_is_better=True, bounds=(-1.0, 1.0), source="Spearman 1904", unit=True, difference=LEVELS_NOTE)
def spearman(maps: MapBatch, heat: MapBatch) -> Scores:
    """Correlation of the ranks of map and heatmap; undefined for a constant map.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> round(spearman(maps, maps**2).item(), 4), round(spearman(maps, 1 - maps).item(), 4)
        (1.0, -1.0)
    """
    ranks, length = mean_ranks(joint_histogram(maps, heat).sum(1))
    heat_ranks, heat_length = _heat_ranks(heat)
    product = torch.linalg.vecdot(look_up(ranks.repeat(1, 2), joint_levels(maps, heat)), heat_ranks)
    return torch.where(defined(maps, heat), product / (length * heat_length), torch.nan)


@pixelwise
@image_metric(
    higher_is_better=True, bounds=(0.0, 1.0), source="Fawcett 2006, ROC analysis", unit=True, difference=LEVELS_NOTE
)
def auroc(maps: MapBatch, heat: MapBatch) -> Scores:
    """Probability that a pixel of the mask ranks above one outside it; 0.5 is chance.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise; the mask is heatmap >= 0.5.

    Examples:
        The mask holds the pixels 1 and 0.25; of four pairs with a pixel outside it, it ranks higher in three:

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> auroc(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item()
        0.75
    """
    outside, inside, hits, both = _reaching(maps, heat)
    higher = (outside * (hits - inside / 2)).sum(1) / (hits[:, 0] * (both[:, 0] - hits[:, 0]))
    return torch.where(defined(maps, heat), higher, torch.nan).to(maps.dtype)


@pixelwise
@image_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source="Choe et al. 2020, arXiv 2001.07437",
    unit=True,
    difference=f"PxAP of one image; {LEVELS_NOTE}",
)
def ap(maps: MapBatch, heat: MapBatch) -> Scores:
    """Average precision of the map for the mask heatmap >= 0.5.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise.

    Examples:
        The highest of four pixels is in the mask, then one is not, then one is: (1 + 2/3) / 2.

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> round(ap(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item(), 4)
        0.8333
    """
    _, inside, hits, both = _reaching(maps, heat)
    precision = (inside * hits / both.clamp(min=1)).sum(1) / hits[:, 0]
    return torch.where(defined(maps, heat), precision, torch.nan).to(maps.dtype)


@pixelwise
@image_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source="Arras et al. 2022, arXiv 2003.07258",
    unit=True,
    difference=LEVELS_NOTE,
)
def rra(maps: MapBatch, heat: MapBatch) -> Scores:
    """Relevance rank accuracy: share of the map's k highest pixels that lie in the mask of k pixels.

    Pixels that tie for the last of the k places count in proportion.

    Args:
        maps: (n, S, S) in [0, 1], NaN all over where undefined.
        heat: (n, S, S) heatmaps, likewise; the mask is heatmap >= 0.5.

    Examples:
        Of the two highest pixels, one lies in the mask of two:

        >>> maps = torch.tensor([[[1.0, 0.5], [0.25, 0.0]]])
        >>> rra(maps, torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).item()
        0.5
    """
    outside, inside, hits, both = _reaching(maps, heat)
    size = hits[:, :1]
    edge = (both >= size).sum(1, keepdim=True) - 1  # the highest level that k pixels reach
    inside_tied, tied = inside.gather(1, edge), (outside + inside).gather(1, edge)
    surplus = both.gather(1, edge) - size
    accuracy = (hits.gather(1, edge) - inside_tied * surplus / tied.clamp(min=1)) / size
    return torch.where(defined(maps, heat), accuracy[:, 0], torch.nan).to(maps.dtype)


@cached_per_batch
def _heat_ranks(heat: MapBatch) -> tuple[Float[Tensor, "n p"], Float[Tensor, " n"]]:
    ranks, length = mean_ranks(histogram(heat))
    return look_up(ranks, levels(heat)), length


Counts = Float[Tensor, "n levels"]


@cached_per_batch
def _reaching(maps: MapBatch, heat: MapBatch) -> tuple[Counts, Counts, Counts, Counts]:
    """Return per level: pixels outside the mask, pixels inside, pixels inside that reach it, and all that reach it."""
    counts = joint_histogram(maps, heat)
    outside, inside = counts.double().unbind(1)
    misses, hits = reaching(counts).unbind(1)
    return outside, inside, hits, hits + misses
