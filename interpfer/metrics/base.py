"""What a metric is: a pure function with its facts.

A metric is added by one decorated function and a line in the table of ``interpfer.metrics`` (or an entry point of the
group ``interpfer.metrics``). Maps and heatmaps are (n, S, S) on the canvas; NaN all over means undefined, and so is
every score made of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.metrics.caching import cached_per_batch
from interpfer.metrics.queries import ModelProbe

MapBatch = Float[Tensor, "n h w"]
Scores = Float[Tensor, " n"]

MASK_LEVEL = 0.5
"""A pixel belongs to the mask where its heatmap reaches this."""


@dataclass(frozen=True)
class Facts:
    """What is true of a metric.

    Attributes:
        higher_is_better: direction.
        bounds: least and largest value.
        source: where the formula comes from.
        summary: one line for ``interpfer ls metrics``.
        decimals: places after the point that tables show.
    """

    higher_is_better: bool
    bounds: tuple[float, float]
    source: str
    summary: str
    decimals: int = 3

    @classmethod
    def of(
        cls,
        function: Callable[..., object],
        higher_is_better: bool,
        bounds: tuple[float, float],
        source: str,
        decimals: int = 3,
    ) -> "Facts":
        """Take the summary from the first line of a function's docstring."""
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        return cls(higher_is_better, bounds, source, summary, decimals)


class Listed:
    """What ``interpfer ls metrics`` says of a metric."""

    facts: Facts

    def listing(self) -> dict[str, str]:
        """Return column -> text."""
        return {
            "what": self.facts.summary,
            "better": "higher" if self.facts.higher_is_better else "lower",
            "bounds": "{:g} .. {:g}".format(*self.facts.bounds),
            "source": self.facts.source,
        }


@dataclass(frozen=True)
class ImageMetric(Listed):
    """One score per image; a data set's score is the mean of the class means.

    Attributes:
        compute: (n, S, S) maps and (n, S, S) heatmaps to (n,) scores, NaN where undefined.
        facts: direction, bounds, source.
        unit: whether it wants maps in [0, 1], as thresholds do; else any that are not negative.
    """

    compute: Callable[[MapBatch, MapBatch], Scores]
    facts: Facts
    unit: bool = False

    def __call__(self, maps: MapBatch, heat: MapBatch) -> Scores:
        """Score (n, S, S) maps against (n, S, S) heatmaps."""
        return self.compute(maps, heat)


@dataclass(frozen=True)
class DatasetMetric(Listed):
    """One score for a whole data set, made of counts that add up over images in any order.

    Attributes:
        count: (n, S, S) maps in [0, 1] and (n, S, S) heatmaps to (n, ...) integer counts, zero where undefined.
        score: (*, ...) counts to (*) scores, NaN where nothing was counted.
        facts: direction, bounds, source.
    """

    count: Callable[[MapBatch, MapBatch], Int[Tensor, "n ..."]]
    score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]
    facts: Facts

    def __call__(self, maps: MapBatch, heat: MapBatch | Bool[Tensor, "n h w"]) -> float:
        """Score all maps together.

        Args:
            maps: (n, S, S) in [0, 1].
            heat: (n, S, S) heatmaps, or masks.
        """
        return float(self.score(self.count(maps, heat.to(maps.dtype)).sum(0)))


@dataclass(frozen=True)
class ModelMetric(Listed):
    """One score per image that the model itself has to be asked for; much slower than the others.

    Attributes:
        compute: (n, S, S) maps in [0, 1] and a ``ModelProbe`` to (n,) scores, NaN where undefined.
        facts: direction, bounds, source.
    """

    compute: Callable[[MapBatch, ModelProbe], Scores]
    facts: Facts

    def __call__(self, maps: MapBatch, probe: ModelProbe) -> Scores:
        """Score (n, S, S) maps in [0, 1] on faces that the model can be tried on."""
        return self.compute(maps, probe)


Metric = ImageMetric | DatasetMetric | ModelMetric


def image_metric(
    higher_is_better: bool, bounds: tuple[float, float], source: str, unit: bool = False
) -> Callable[[Callable[[MapBatch, MapBatch], Scores]], ImageMetric]:
    """Turn a function of maps and heatmaps into a metric; its first docstring line is the summary."""

    def wrap(compute: Callable[[MapBatch, MapBatch], Scores]) -> ImageMetric:
        return ImageMetric(compute, Facts.of(compute, higher_is_better, bounds, source), unit)

    return wrap


def dataset_metric(
    count: Callable[[MapBatch, MapBatch], Int[Tensor, "n k"]],
    higher_is_better: bool,
    bounds: tuple[float, float],
    source: str,
    decimals: int = 3,
) -> Callable[[Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]], DatasetMetric]:
    """Turn a function of added counts into a metric of a whole data set."""

    def wrap(score: Callable[[Int[Tensor, "*b k"]], Float[Tensor, "*b"]]) -> DatasetMetric:
        return DatasetMetric(count, score, Facts.of(score, higher_is_better, bounds, source, decimals))

    return wrap


def model_metric(
    higher_is_better: bool, bounds: tuple[float, float], source: str
) -> Callable[[Callable[[MapBatch, ModelProbe], Scores]], ModelMetric]:
    """Turn a function of maps and a ``ModelProbe`` into a metric that asks the model; NaN without map or target."""

    def wrap(compute: Callable[[MapBatch, ModelProbe], Scores]) -> ModelMetric:
        def where_defined(maps: MapBatch, probe: ModelProbe) -> Scores:
            valid = maps[:, 0, 0].isfinite() & (probe.targets >= 0).to(maps.device)
            return torch.where(valid, compute(maps.nan_to_num(0), probe).to(maps), torch.nan)

        return ModelMetric(where_defined, Facts.of(compute, higher_is_better, bounds, source))

    return wrap


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
