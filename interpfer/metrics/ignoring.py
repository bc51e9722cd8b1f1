"""Metrics on pictures of which some pixels count neither way, as ``Truth.ignore`` marks them.

A metric of single pixels (a sum, a rank, a histogram) is computed on the kept pixels alone, as if the picture had no
others. A metric with a shape in it (boxes, outlines, windows) says itself what it does without a pixel. One that says
nothing is undefined on such pictures, NaN, and ``undefined_where_ignored`` names it.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.metrics.caching import cached_per_batch

MapBatch = Float[Tensor, "n h w"]
Ignore = Bool[Tensor, "n h w"]
Compute = Callable[[MapBatch, MapBatch], Tensor]
ComputeKept = Callable[[MapBatch, MapBatch, Ignore], Tensor]


def on_kept_pixels(compute: Compute) -> ComputeKept:
    """Return a function that computes the same on the kept pixels of each picture alone."""

    def on_kept(maps: MapBatch, heat: MapBatch, ignore: Ignore) -> Tensor:
        pairs = zip(keep_pixels(maps, ignore), keep_pixels(heat, ignore), strict=True)
        return torch.cat([compute(own_maps, own_heat) for own_maps, own_heat in pairs])

    return on_kept


@cached_per_batch
def keep_pixels(maps: MapBatch, ignore: Ignore) -> list[Float[Tensor, "1 _ _"]]:
    """Return the kept pixels of each picture as a row; a picture without any to ignore as it is.

    Of a picture without kept pixels one pixel remains that is undefined.
    """
    touched = ignore.flatten(1).any(1).tolist()
    return [_row(maps[i : i + 1], ignore[i : i + 1]) if touched[i] else maps[i : i + 1] for i in range(len(maps))]


def _row(maps: Float[Tensor, "1 h w"], ignore: Bool[Tensor, "1 h w"]) -> Float[Tensor, "1 1 _"]:
    kept = maps[~ignore]
    return (kept if len(kept) else maps.new_full((1,), torch.nan))[None, None]


def fill(maps: MapBatch, ignore: Ignore, value: float = 0.0) -> MapBatch:
    """Return maps with a value at the pixels to ignore; an undefined map stays so."""
    return torch.where(ignore & maps.isfinite(), value, maps)


def compute_kept(
    maps: MapBatch, heat: MapBatch, ignore: Ignore, compute: Compute, kept: ComputeKept | None
) -> Float[Tensor, " n"]:
    """Return the scores of a metric per picture; NaN where pixels are to be ignored and it does not say how.

    Args:
        maps: (n, S, S) maps.
        heat: (n, S, S) heatmaps, 0 at the pixels to ignore.
        ignore: (n, S, S) pixels to ignore.
        compute: scores of all pixels.
        kept: scores of the kept pixels; None where the metric has none.
    """
    if kept is not None:
        return kept(maps, heat, ignore)
    return torch.where(ignore.flatten(1).any(1), torch.nan, compute(maps, heat))


def undefined_where_ignored(metrics: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the metrics that compare with the truth, and are undefined where pixels are to be ignored."""
    return tuple(name for name, metric in metrics.items() if getattr(metric, "kept", True) is None)
