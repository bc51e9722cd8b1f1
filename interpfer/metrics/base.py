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
from interpfer.metrics.queries import ModelProbe

MapBatch = Float[Tensor, "n h w"]
Scores = Float[Tensor, " n"]

MASK_LEVEL = 0.5
"""A pixel belongs to the mask where its heatmap reaches this value."""

MACRO, MICRO = "macro", "micro"
"""Headlines: the mean of the class means, and the value of all images together."""

AGREEMENT, FAITHFULNESS = "agreement", "faithfulness"
"""Groups of metrics: those that compare maps with the heatmap, and those that run the model on altered images."""


@dataclass(frozen=True)
class Facts:
    """What is true of a metric.

    Attributes:
        higher_is_better: direction.
        bounds: least and largest value.
        source: where the formula comes from.
        summary: one line for ``interpfer ls metrics``.
        decimals: decimal places that tables show.
        headline: "macro" or "micro", the group of rows whose value stands for the metric.
        group: name of the group of metrics that it belongs to, for ``--metrics``.
        difference: how the formula differs from its source, "" where it does not.
        definition: number of the formula under this name, raised whenever scores of the same name change their meaning.
    """

    higher_is_better: bool
    bounds: tuple[float, float]
    source: str
    summary: str
    decimals: int = 3
    headline: str = MACRO
    group: str = AGREEMENT
    difference: str = ""
    definition: int = 1

    def __post_init__(self) -> None:
        if self.headline not in (MACRO, MICRO):
            raise ValueError(f"headline must be one of {MACRO}, {MICRO}, got '{self.headline}'")


class BaseMetric:
    """What all kinds of metrics have in common: their facts, as ``interpfer ls metrics`` lists them."""

    facts: Facts

    def listing(self) -> dict[str, str]:
        """Return column -> text."""
        return {
            "what": self.facts.summary,
            "better": "higher" if self.facts.higher_is_better else "lower",
            "bounds": "{:g} .. {:g}".format(*self.facts.bounds),
            "group": self.facts.group,
            "headline": self.facts.headline,
            "source": self.facts.source,
            "difference": self.facts.difference,
        }


@dataclass(frozen=True)
class ImageMetric(BaseMetric):
    """One score per image; the score of a data set is the mean of the class means.

    Attributes:
        compute: (n, S, S) maps and (n, S, S) heatmaps to (n,) scores, NaN where undefined.
        facts: direction, bounds, source, headline and group.
        unit: whether it needs maps in [0, 1], as thresholds do; else any non-negative ones.
    """

    compute: Callable[[MapBatch, MapBatch], Scores]
    facts: Facts
    unit: bool = False

    def __call__(self, maps: MapBatch, heat: MapBatch) -> Scores:
        """Return the (n,) scores of (n, S, S) maps for (n, S, S) heatmaps."""
        return self.compute(maps, heat)


@dataclass(frozen=True)
class DatasetMetric(BaseMetric):
    """One score of a whole data set, out of counts that add up over images in any order.

    Attributes:
        count: (n, S, S) maps in [0, 1] and (n, S, S) heatmaps to (n, ...) integer counts, zero where undefined.
        score: (*, ...) counts to (*) scores, NaN where nothing was counted.
        facts: direction, bounds, source, headline and group.
    """

    count: Callable[[MapBatch, MapBatch], Int[Tensor, "n ..."]]
    score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]
    facts: Facts

    def __call__(self, maps: MapBatch, heat: MapBatch | Bool[Tensor, "n h w"]) -> float:
        """Return the score of all maps together.

        Args:
            maps: (n, S, S) in [0, 1].
            heat: (n, S, S) heatmaps, or masks.
        """
        return float(self.score(self.count(maps, heat.to(maps.dtype)).sum(0)))


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
) -> Callable[[Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]], DatasetMetric]:
    """Turn a function of summed counts into a metric of a whole data set."""

    def wrap(score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]) -> DatasetMetric:
        about = _summary(score)
        facts = Facts(higher_is_better, bounds, source, about, decimals, headline, group, difference, definition)
        return _documented(DatasetMetric(count, score, facts), score)

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
