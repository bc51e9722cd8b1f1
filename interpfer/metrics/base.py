"""What a metric is: a pure function with its facts.

A metric is added by one decorated function and a line in the table of ``interpfer.metrics`` (or an entry point of the
group ``interpfer.metrics``). Maps and heatmaps are (n, S, S) on the canvas; NaN all over means undefined, and so is
every score computed from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import WRAPPER_ASSIGNMENTS
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.facts import AGREEMENT, FAITHFULNESS, MACRO, MICRO, BaseMetric, Facts
from interpfer.metrics.ignoring import ComputeKept, Ignore, compute_kept, on_kept_pixels
from interpfer.metrics.planes import PlaneCounter
from interpfer.metrics.queries import ModelProbe
from interpfer.truth.planes import Planes

MapBatch = Float[Tensor, "n h w"]
Scores = Float[Tensor, " n"]
PlaneFunction = Callable[[MapBatch, Planes], Float[Tensor, " q"]]

MASK_LEVEL = 0.5
"""A pixel belongs to the mask where its heatmap reaches this value."""


@dataclass(frozen=True)
class ImageMetric(BaseMetric):
    """One score per image; the score of a data set is the mean of the class means.

    Attributes:
        compute: (n, S, S) maps and (n, S, S) heatmaps to (n,) scores, NaN where undefined.
        facts: direction, bounds, source, headline and group.
        unit: whether it needs maps in [0, 1], as thresholds do; else any non-negative ones.
        on_planes: the same scores of the maps of n faces for each of q planes on them, by a faster way; None where
            there is none.
        kept: the same scores without the pixels that a third argument marks; None where that is undefined.
    """

    compute: Callable[[MapBatch, MapBatch], Scores]
    facts: Facts
    unit: bool = False
    on_planes: PlaneFunction | None = None
    kept: ComputeKept | None = None

    def __call__(self, maps: MapBatch, heat: MapBatch, ignore: Ignore | None = None) -> Scores:
        """Return the (n,) scores of (n, S, S) maps for (n, S, S) heatmaps, without the pixels to ignore."""
        return self.compute(maps, heat) if ignore is None else compute_kept(maps, heat, ignore, self.compute, self.kept)

    def for_kept(self, compute: ComputeKept) -> ComputeKept:
        """Name a function as the scores without the pixels to ignore: a decorator."""
        object.__setattr__(self, "kept", compute)
        return compute

    def for_planes(self, compute: PlaneFunction) -> PlaneFunction:
        """Name a function as the faster way to the scores of planes: a decorator."""
        object.__setattr__(self, "on_planes", compute)
        return compute


@dataclass(frozen=True)
class DatasetMetric(BaseMetric):
    """One score of a whole data set, out of counts that add up over images in any order.

    Attributes:
        count: (n, S, S) maps in [0, 1] and (n, S, S) heatmaps to (n, ...) integer counts, zero where undefined.
        score: (*, ...) counts to (*) scores, NaN where nothing was counted.
        facts: direction, bounds, source, headline and group.
        planes: shorter counts of planes; None to count each as a heatmap.
        kept: the same counts without the pixels that a third argument marks; None where that is undefined.
    """

    count: Callable[[MapBatch, MapBatch], Int[Tensor, "n ..."]]
    score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]
    facts: Facts
    planes: PlaneCounter | None = None
    kept: ComputeKept | None = None

    def __call__(self, maps: MapBatch, heat: MapBatch | Bool[Tensor, "n h w"], ignore: Ignore | None = None) -> float:
        """Return the score of all maps together.

        Args:
            maps: (n, S, S) in [0, 1].
            heat: (n, S, S) heatmaps, or masks.
            ignore: (n, S, S) pixels that count neither way; None for none.
        """
        return float(self.score(self.count_kept(maps, heat.to(maps.dtype), ignore).sum(0)))

    def count_kept(self, maps: MapBatch, heat: MapBatch, ignore: Ignore | None) -> Int[Tensor, "n ..."]:
        """Return the counts without the pixels to ignore; nothing of a picture with some where that is undefined."""
        if ignore is None:
            return self.count(maps, heat)
        if self.kept is not None:
            return self.kept(maps, heat, ignore)
        counts = self.count(maps, heat)
        touched = ignore.flatten(1).any(1)
        return counts * ~touched.view(-1, *[1] * (counts.dim() - 1))

    def for_kept(self, count: ComputeKept) -> ComputeKept:
        """Name a function as the counts without the pixels to ignore: a decorator."""
        object.__setattr__(self, "kept", count)
        return count


@dataclass(frozen=True)
class ModelMetric(BaseMetric):
    """One score per image for which the model itself is run; much slower than the other kinds.

    Attributes:
        compute: (n, S, S) maps in [0, 1] and a ``ModelProbe`` to (n,) scores, NaN where undefined.
        facts: direction, bounds, source, headline and group.
    """

    compute: Callable[[MapBatch, ModelProbe], Scores]
    facts: Facts

    def __call__(self, maps: MapBatch, probe: ModelProbe) -> Scores:
        """Return the (n,) scores of (n, S, S) maps in [0, 1] for the faces of a ``ModelProbe``."""
        return self.compute(maps, probe)


@dataclass(frozen=True)
class LandmarkMetric(BaseMetric):
    """One score per image, out of the map and the landmarks of the face: no truth is asked.

    Attributes:
        compute: (n, S, S) maps, not negative, and (n, 68, 2) landmarks in their pixels to (n,) scores, NaN where
            undefined.
        facts: direction, bounds, source, headline and group.
    """

    compute: Callable[[MapBatch, Float[Tensor, "n 68 2"]], Scores]
    facts: Facts

    def __call__(self, maps: MapBatch, points: Float[Tensor, "n 68 2"]) -> Scores:
        """Return the (n,) scores of (n, S, S) maps of faces with (n, 68, 2) landmarks."""
        return self.compute(maps, points)


Metric = ImageMetric | DatasetMetric | ModelMetric | LandmarkMetric
M = TypeVar("M", bound=BaseMetric)
PixelMetric = TypeVar("PixelMetric", ImageMetric, DatasetMetric)


def pixelwise(metric: PixelMetric) -> PixelMetric:
    """Mark a metric as one of single pixels, whose neighbours do not matter: a decorator above that of the metric."""
    metric.for_kept(on_kept_pixels(metric.compute if isinstance(metric, ImageMetric) else metric.count))
    return metric


def image_metric(
    higher_is_better: bool,
    bounds: tuple[float, float],
    source: str,
    unit: bool = False,
    decimals: int = 3,
    headline: str = MACRO,
    group: str = AGREEMENT,
    difference: str = "",
    definition: int = 1,
) -> Callable[[Callable[[MapBatch, MapBatch], Scores]], ImageMetric]:
    """Turn a function of maps and heatmaps into a metric; the first line of its docstring is the summary."""

    def wrap(compute: Callable[[MapBatch, MapBatch], Scores]) -> ImageMetric:
        about = _summary(compute)
        facts = Facts(higher_is_better, bounds, source, about, decimals, headline, group, difference, definition)
        return _documented(ImageMetric(compute, facts, unit), compute)

    return wrap


def dataset_metric(
    count: Callable[[MapBatch, MapBatch], Int[Tensor, "n k"]],
    higher_is_better: bool,
    bounds: tuple[float, float],
    source: str,
    decimals: int = 3,
    headline: str = MICRO,
    group: str = AGREEMENT,
    difference: str = "",
    definition: int = 1,
    planes: PlaneCounter | None = None,
) -> Callable[[Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]], DatasetMetric]:
    """Turn a function of summed counts into a metric of a whole data set."""

    def wrap(score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]) -> DatasetMetric:
        about = _summary(score)
        facts = Facts(higher_is_better, bounds, source, about, decimals, headline, group, difference, definition)
        return _documented(DatasetMetric(count, score, facts, planes), score)

    return wrap


def model_metric(
    higher_is_better: bool,
    bounds: tuple[float, float],
    source: str,
    decimals: int = 3,
    headline: str = MACRO,
    group: str = FAITHFULNESS,
    difference: str = "",
    definition: int = 1,
) -> Callable[[Callable[[MapBatch, ModelProbe], Scores]], ModelMetric]:
    """Turn a function of maps and a ``ModelProbe`` into a metric that runs the model; NaN without map or target."""

    def wrap(compute: Callable[[MapBatch, ModelProbe], Scores]) -> ModelMetric:
        def where_defined(maps: MapBatch, probe: ModelProbe) -> Scores:
            valid = maps[:, 0, 0].isfinite() & (probe.targets >= 0).to(maps.device)
            return torch.where(valid, compute(maps.nan_to_num(0), probe).to(maps), torch.nan)

        about = _summary(compute)
        facts = Facts(higher_is_better, bounds, source, about, decimals, headline, group, difference, definition)
        return _documented(ModelMetric(where_defined, facts), compute)

    return wrap


def landmark_metric(
    higher_is_better: bool,
    bounds: tuple[float, float],
    source: str,
    group: str,
    decimals: int = 3,
    headline: str = MACRO,
    difference: str = "",
    definition: int = 1,
) -> Callable[[Callable[[MapBatch, Float[Tensor, "n 68 2"]], Scores]], LandmarkMetric]:
    """Turn a function of maps and landmarks into a metric; the first line of its docstring is the summary."""

    def wrap(compute: Callable[[MapBatch, Float[Tensor, "n 68 2"]], Scores]) -> LandmarkMetric:
        about = _summary(compute)
        facts = Facts(higher_is_better, bounds, source, about, decimals, headline, group, difference, definition)
        return _documented(LandmarkMetric(compute, facts), compute)

    return wrap


def _summary(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]


def _documented(metric: M, function: Callable[..., object]) -> M:
    """Give a metric the name and the docstring of its function, so that help and doctest find them."""
    for name in WRAPPER_ASSIGNMENTS:
        if hasattr(function, name) and name != "__annotations__":
            object.__setattr__(metric, name, getattr(function, name))
    object.__setattr__(metric, "__wrapped__", function)
    return metric


@cached_per_batch
def extent(maps: MapBatch) -> tuple[Scores, Scores]:
    """Return the least and the largest value of each map, without gradients; NaN where one is undefined."""
    rows = maps.detach().flatten(1)
    return rows.amin(1), rows.amax(1)


@cached_per_batch
def energy(maps: MapBatch) -> Scores:
    """Return the sum of each map."""
    return maps.sum((1, 2))


@cached_per_batch
def defined(maps: MapBatch, heat: MapBatch) -> Bool[Tensor, " n"]:
    """Return which pairs of map and heatmap are both defined."""
    return maps[:, 0, 0].isfinite() & heat[:, 0, 0].isfinite()
