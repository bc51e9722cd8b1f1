"""Checks of a metric: bounds, direction, undefined values, and that each image's score depends on that image alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.landmarks.points import MEAN_FACE
from interpfer.metrics.base import (
    DatasetMetric,
    ImageMetric,
    LandmarkMetric,
    MapBatch,
    Metric,
    ModelMetric,
    Scores,
)
from interpfer.metrics.facts import AGREEMENT
from interpfer.metrics.queries import Images, ModelProbe
from interpfer.testing.checks import TOLERANCE, name_of, relative_difference, require, run_checks, smooth_maps
from interpfer.types import CANVAS

IMAGES = 4
SIZE = 32
"""Side of the images of a ``ModelMetric``."""
SLACK = 1e-4
"""Rounding beyond a bound or a better score that is allowed."""
PRECISION = 5e-3
"""Largest difference between float32 and float64: a pixel near a level may change it."""
MOST = 2**16 - 1
"""Largest count of one image that a run folder stores."""


def check_metric(metric: Metric) -> None:
    """Check a metric on random maps, heatmaps and a small model.

    Facts are filled; scores lie within the bounds; a perfect map is not worse than a random one; NaN maps and heatmaps
    give NaN and change no other image; nothing depends on the batch or the precision, arguments stay unchanged, and
    the device is that of the maps. Counts of a metric of a whole data set add up and fit into 16 bits; gradients, where
    an image metric has them, are finite and reach the own map alone.

    Args:
        metric: the decorated function, such as ``interpfer.metrics.cosine``: an ``ImageMetric``, a ``DatasetMetric``, a
            ``ModelMetric`` or a ``LandmarkMetric``.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.

    Examples:
        >>> from interpfer import metrics
        >>> check_metric(metrics.cosine)
        >>> check_metric(metrics.pxap)
    """
    checks = CHECKS
    if isinstance(metric, DatasetMetric):
        checks += COUNT_CHECKS
    elif isinstance(metric, ImageMetric):
        checks += GRADIENT_CHECKS
    run_checks(f"metric {name_of(metric)}", _MetricRun(metric), checks)


@dataclass
class _MetricRun:
    """A metric on a few maps.

    Attributes:
        metric: the metric.
    """

    metric: Metric

    @property
    def maps(self) -> MapBatch:
        """Random maps in [0, 1], as a layer gives them."""
        return smooth_maps(IMAGES, CANVAS, seed=0)

    @property
    def heat(self) -> MapBatch:
        """Random heatmaps with several regions."""
        return smooth_maps(IMAGES, CANVAS, seed=1, grid=9)

    @property
    def probe(self) -> ModelProbe:
        """Images, and a model that sees the contrast in their upper left quarters."""
        line = (torch.arange(SIZE) % 2).float()
        strength = 0.5 + torch.arange(IMAGES)[:, None, None, None] / (2 * IMAGES)
        images = line.expand(IMAGES, 3, SIZE, SIZE) * strength
        targets = torch.zeros(IMAGES, dtype=torch.long)
        return ModelProbe(_upper_left_contrast, images, self.heat, targets, tuple(range(IMAGES)), 0)

    def score(self, maps: MapBatch, heat: MapBatch, rows: slice = slice(None)) -> Scores:
        """Return one score per map; those of a data-set metric are of each image alone.

        Args:
            maps: the maps of ``rows``.
            heat: their heatmaps.
            rows: which images they belong to.
        """
        if isinstance(self.metric, DatasetMetric):
            return self.metric.score(self.metric.count(maps, heat))
        if isinstance(self.metric, ImageMetric):
            return self.metric(maps, heat)
        if isinstance(self.metric, LandmarkMetric):
            face = torch.tensor(MEAN_FACE).to(maps) + CANVAS / 2
            return self.metric(maps, face + 0 * heat[:, :1, :1])  # NaN where the heatmap is
        whole = self.probe
        probe = replace(
            whole,
            images=whole.images[rows].to(maps),
            heat=heat,
            targets=whole.targets[rows].to(maps.device),
            rows=whole.rows[rows],
            results={},
        )
        return self.metric(maps, probe)


def _upper_left_contrast(images: Images) -> Float[Tensor, "n 2"]:
    part = images[:, 0, : SIZE // 2, : SIZE // 2]
    contrast = (part[..., 1:] - part[..., :-1]).abs().mean((1, 2))
    return torch.stack([6 * contrast - 3, torch.zeros_like(contrast)], 1).softmax(1)


def _facts(run: _MetricRun) -> None:
    """Its facts are filled."""
    facts = run.metric.facts
    require(bool(facts.summary.strip()), "summary is empty; write a docstring, whose first line it is")
    for fact in ("source", "group"):
        require(bool(getattr(facts, fact).strip()), f"{fact} is empty; pass {fact}= to the decorator")
    low, high = facts.bounds
    require(low < high, f"bounds must be (least, largest), got ({low:g}, {high:g})")


def _shape(run: _MetricRun) -> None:
    """It returns one score per image, on the device of the maps."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        maps, heat = run.maps.to(device), run.heat.to(device)
        scores = run.score(maps, heat)
        require(tuple(scores.shape) == (IMAGES,), f"{tuple(scores.shape)} for {IMAGES} images")
        require(scores.is_floating_point(), f"{scores.dtype}; return floats, which can be NaN")
        require(scores.device == maps.device, f"maps on {maps.device} give scores on {scores.device}")


def _bounds(run: _MetricRun) -> None:
    """Scores lie within the bounds."""
    low, high = run.metric.facts.bounds
    for maps in (run.maps, run.heat, 1 - run.heat):
        scores = run.score(maps, run.heat)
        known = scores[scores.isfinite()]
        inside = (known >= low - SLACK) & (known <= high + SLACK)
        require(inside.all(), f"{_listed(known[~inside])} where bounds={run.metric.facts.bounds}")


def _direction(run: _MetricRun) -> None:
    """A perfect map is not worse than another one."""
    if isinstance(run.metric, ModelMetric):
        perfect = torch.full((IMAGES, CANVAS, CANVAS), 0.1)
        perfect[:, : CANVAS // 2, : CANVAS // 2] = 1
        other, which = perfect.flip(1, 2), "the pixels that the model uses"
    elif run.metric.facts.group == AGREEMENT:
        perfect, other, which = run.heat, run.maps, "the heatmap itself"
    else:
        return
    best, usual = run.score(perfect, run.heat), run.score(other, run.heat)
    sign = 1 if run.metric.facts.higher_is_better else -1
    worse = sign * (best - usual) < -SLACK
    advice = f"is higher_is_better={run.metric.facts.higher_is_better} right?"
    scores = f"{_listed(best[worse])}, another map {_listed(usual[worse])}"
    require(not bool(worse.any()), f"{which} scores {scores}; {advice}")


def _undefined(run: _MetricRun) -> None:
    """A NaN map or heatmap gives NaN, and changes no other image."""
    whole = run.score(run.maps, run.heat)
    require(whole.isfinite().any(), "all scores of random maps are undefined")
    maps, heat = run.maps, run.heat
    maps[0] = torch.nan
    scores = run.score(maps, heat)
    require(scores[0].isnan(), f"a NaN map scores {_listed(scores[:1])}; return NaN")
    if not isinstance(run.metric, ModelMetric):
        heat[1] = torch.nan
        scores = run.score(maps, heat)
        require(scores[1].isnan(), f"a NaN heatmap gives {_listed(scores[1:2])}; return NaN")
    worst = relative_difference(whole[2:], scores[2:])
    require(worst <= TOLERANCE, f"the scores of other images change by {worst:.2g}")


def _batch(run: _MetricRun) -> None:
    """The score of an image does not depend on the other images of the batch."""
    whole = run.score(run.maps, run.heat)
    rows = [slice(i, i + 1) for i in range(IMAGES)]
    alone = torch.cat([run.score(run.maps[row].clone(), run.heat[row].clone(), row) for row in rows])
    worst = relative_difference(whole, alone)
    require(worst <= TOLERANCE, f"alone it differs by {worst:.2g} (sums, ranks or normalisation over the batch?)")


def _determinism(run: _MetricRun) -> None:
    """The same maps give the same scores."""
    worst = relative_difference(run.score(run.maps, run.heat), run.score(run.maps, run.heat))
    require(worst == 0, f"two runs differ by {worst:.2g}; draw random numbers from probe.noise")


def _precision(run: _MetricRun) -> None:
    """Float64 maps give the scores of float32 maps."""
    single = run.score(run.maps, run.heat)
    double = run.score(run.maps.double(), run.heat.double())
    worst = relative_difference(single.double(), double.double())
    require(worst <= PRECISION, f"they differ by {worst:.2g}; compute in the type of the maps")


def _pure(run: _MetricRun) -> None:
    """It writes into none of its arguments."""
    maps, heat = run.maps, run.heat
    run.score(maps, heat)
    for what, tensor, before in (("maps", maps, run.maps), ("heatmaps", heat, run.heat)):
        require(torch.equal(tensor, before), f"it changes the {what}; clone before writing in place")
    if isinstance(run.metric, ModelMetric):
        probe = run.probe
        run.metric(run.maps, probe)
        require(torch.equal(probe.images, run.probe.images), "it changes probe.images; clone before writing in place")


def _gradients(run: _MetricRun) -> None:
    """Gradients, where it has any, are finite and reach the own map alone, and the scores stay the same."""
    assert isinstance(run.metric, ImageMetric)
    maps = run.maps.requires_grad_()
    scores = run.metric(maps, run.heat)
    worst = relative_difference(run.metric(run.maps, run.heat), scores.detach())
    require(worst <= TOLERANCE, f"maps with gradients score differently, by {worst:.2g}")
    if not scores.requires_grad:
        return
    gradient = torch.autograd.grad(scores[0], maps)[0]
    require(gradient.isfinite().all(), "it is not finite; replace x / 0 and sqrt(0) before they are computed")
    require(gradient[0].any(), "it is zero; detach the maps if the score has no gradient")
    require(not bool(gradient[1:].any()), "the gradient of a score reaches the map of another image")


def _counts(run: _MetricRun) -> None:
    """Counts are integers per image, not negative, at most 65535, and zero where undefined."""
    assert isinstance(run.metric, DatasetMetric)
    maps, heat = run.maps, run.heat
    maps[0], heat[1] = torch.nan, torch.nan
    counts = run.metric.count(maps, heat)
    require(counts.dim() == 2 and len(counts) == IMAGES, f"{tuple(counts.shape)} for {IMAGES} images")
    require(not counts.is_floating_point(), f"{counts.dtype}; return integers, which add up exactly")
    require(counts.min() >= 0, f"the least is {int(counts.min())}")
    require(counts.max() <= MOST, f"the largest is {int(counts.max())} on a canvas of {CANVAS} px; use more bins")
    require(not bool(counts[:2].any()), "a NaN map or heatmap is counted; multiply by interpfer.metrics.base.defined")


def _additivity(run: _MetricRun) -> None:
    """Counts add up over images in any order, and no count gives NaN."""
    assert isinstance(run.metric, DatasetMetric)
    maps, heat = run.maps, run.heat
    whole = run.metric.count(maps, heat)
    parts = [run.metric.count(maps[i : i + 1].clone(), heat[i : i + 1].clone()) for i in reversed(range(IMAGES))]
    require(torch.equal(torch.cat(parts[::-1]), whole), "the counts of an image depend on its batch")
    total = torch.stack([whole.sum(0), torch.cat(parts).sum(0)])
    scores = run.metric.score(total)
    require(tuple(scores.shape) == (2,), f"(2, k) counts give {tuple(scores.shape)} scores; reduce the last axis alone")
    expected = run.metric(maps, heat)
    same = all(math.isclose(score, expected, rel_tol=1e-6) for score in scores.tolist())
    require(same, f"called with all maps it scores {expected:.6g}, out of sums {_listed(scores)}")
    empty = run.metric.score(torch.zeros_like(whole[0]))
    require(empty.isnan().all(), f"counts of zero score {_listed(empty.reshape(-1))}; return NaN")


CHECKS: tuple[Callable[[_MetricRun], None], ...] = (
    _facts,
    _shape,
    _bounds,
    _direction,
    _undefined,
    _batch,
    _determinism,
    _precision,
    _pure,
)
COUNT_CHECKS: tuple[Callable[[_MetricRun], None], ...] = (_counts, _additivity)
GRADIENT_CHECKS: tuple[Callable[[_MetricRun], None], ...] = (_gradients,)


def _listed(values: Float[Tensor, " n"] | Bool[Tensor, " n"]) -> str:
    return ", ".join(f"{value:.4g}" for value in values.tolist()[:3])
