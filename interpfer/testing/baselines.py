"""Checks of a baseline, which has no model: it is computed from heatmaps, positions and images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from interpfer.maps.base import OF_ALL, OF_CLASS, BaselineContext, BaselineMap, RawMap
from interpfer.testing.checks import (
    TOLERANCE,
    name_of,
    random_images,
    relative_difference,
    require,
    run_checks,
    smooth_maps,
)

IMAGES, CANVAS, INPUT = 3, 64, 48


def check_baseline(method: BaselineMap) -> None:
    """Check a baseline: its facts, its shape and range, and what it depends on.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.
    """
    run_checks(f"map {name_of(method.compute)}", _BaselineRun(method), CHECKS)


@dataclass
class _BaselineRun:
    """A baseline on a few images.

    Attributes:
        method: the baseline.
    """

    method: BaselineMap

    @cached_property
    def context(self) -> BaselineContext:
        """Heatmaps, positions and images; means of heatmaps only for a baseline that is declared to need them."""
        heat = smooth_maps(IMAGES, CANVAS, 0)
        of_all = smooth_maps(IMAGES, CANVAS, 1) if self.method.needs_mean(OF_ALL) else None
        of_class = smooth_maps(IMAGES, CANVAS, 2) if self.method.needs_mean(OF_CLASS) else None
        return BaselineContext(heat, of_all, of_class, (4, 7, 9), 0, random_images(IMAGES, INPUT))

    @cached_property
    def maps(self) -> RawMap:
        """Maps of all images."""
        return self.method.compute(self.context)


def _facts(run: _BaselineRun) -> None:
    """Its facts are filled."""
    require(bool(run.method.summary.strip()), "summary is empty; write a docstring, whose first line it is")
    require(bool(run.method.source.strip()), "source is empty")


def _heatmaps(run: _BaselineRun) -> None:
    """It uses the mean heatmaps if and only if it is declared to."""
    if not run.method.heatmaps:
        run.method.compute(run.context)
        return
    means = [smooth_maps(IMAGES, CANVAS, seed) for seed in (3, 4)]
    other = replace(run.context, mean_of_others=means[0], class_mean_of_others=means[1])
    worst = relative_difference(run.maps, run.method.compute(other))
    require(worst > TOLERANCE, "it does not use them; declare heatmaps=False, which saves a pass over the data set")


def _shape(run: _BaselineRun) -> None:
    """It returns one map per image, of the shape of the heatmaps."""
    expected = tuple(run.context.heat.shape)
    require(tuple(run.maps.shape) == expected, f"{tuple(run.maps.shape)} where the heatmaps are {expected}")
    require(run.maps.is_floating_point(), f"{run.maps.dtype}; return floats")


def _range(run: _BaselineRun) -> None:
    """Values are in [0, 1], or NaN all over where it is undefined."""
    inside = ((run.maps >= 0) & (run.maps <= 1)).flatten(1).all(1)
    nan = run.maps.isnan().flatten(1).all(1)
    require((inside | nan).all(), f"they are {float(run.maps.min()):.3g} .. {float(run.maps.max()):.3g}")
    require(bool(inside.any()), "all maps are NaN")


def _batch(run: _BaselineRun) -> None:
    """The map of an image does not depend on the other images of the batch."""
    alone = torch.cat([run.method.compute(_rows(run.context, slice(i, i + 1))) for i in range(IMAGES)])
    worst = relative_difference(run.maps, alone)
    require(worst <= TOLERANCE, f"alone it differs by {worst:.2g}; use context.rows, the positions in the data set")


def _determinism(run: _BaselineRun) -> None:
    """The same images and seed give the same map."""
    worst = relative_difference(run.maps, run.method.compute(run.context))
    require(worst <= TOLERANCE, f"two runs differ by {worst:.2g}; seed the generator with context.seed and rows")


def _pure(run: _BaselineRun) -> None:
    """It writes into none of its inputs."""
    tensors = {name: value for name, value in vars(run.context).items() if isinstance(value, Tensor)}
    copies: dict[str, Any] = {name: value.clone() for name, value in tensors.items()}
    run.method.compute(replace(run.context, **copies))
    for name, before in tensors.items():
        require(torch.equal(before, copies[name]), f"it changes context.{name}; clone before writing in place")


def _rows(context: BaselineContext, rows: slice) -> BaselineContext:
    parts: dict[str, Any] = {
        name: value[rows] for name, value in vars(context).items() if isinstance(value, Tensor | tuple)
    }
    return replace(context, **parts)


CHECKS: tuple[Callable[[_BaselineRun], None], ...] = (
    _facts,
    _heatmaps,
    _shape,
    _range,
    _batch,
    _determinism,
    _pure,
)
