"""Checks of a refiner: its facts, and the four laws that hold for every one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from interpfer.maps.refiners.base import ATTENTION, LAYERS, NEEDS, QUERIES, TERMS, Refiner, Seen, unit
from interpfer.maps.refiners.base import CLASSES as CLASS_MAPS
from interpfer.testing.checks import (
    TOLERANCE,
    name_of,
    relative_difference,
    require,
    run_checks,
)

IMAGES, CLASSES, GRID, INPUT, CHANNELS = 3, 4, 8, 32, 6
FACTOR = 4.0
"""Number by which maps are multiplied."""


def check_refiner(refiner: Refiner) -> None:
    """Check a refiner: its facts, its shape, and the four laws.

    A map that is NaN stays NaN and no other becomes it; maps times a positive number give the same after stretching to
    [0, 1]; the mirrored map of a mirrored picture is mirrored; what becomes of an image does not depend on the others.
    It is tried on random maps of a made-up network with attention; none of its inputs may change.

    Args:
        refiner: the decorated function, such as ``interpfer.maps.refiners.blur.blur``.

    Raises:
        AssertionError: a check fails; the message lists all that do, with what was seen and what to fix.

    Examples:
        >>> from interpfer.maps.refiners.blur import blur
        >>> check_refiner(blur)
    """
    run_checks(f"refiner {name_of(refiner.compute)}", _RefinerRun(refiner), CHECKS)


@dataclass
class _RefinerRun:
    """A refiner on a few maps.

    Attributes:
        refiner: the refiner.
    """

    refiner: Refiner

    @cached_property
    def seen(self) -> Seen:
        """What the refiner sees, of what it declares to need."""
        return declared(self.refiner, random_seen(len(self.refiner.views)))

    @cached_property
    def maps(self) -> Tensor:
        """Maps of a few images."""
        return random_maps()

    @cached_property
    def refined(self) -> Tensor:
        """The refined maps."""
        return self.refiner(self.maps, self.seen)


def declared(refiner: Refiner, seen: Seen) -> Seen:
    """Return what a refiner sees without what it does not declare to need."""
    return replace(
        seen,
        class_maps=seen.class_maps if CLASS_MAPS in refiner.needs else None,
        layer_maps=seen.layer_maps if LAYERS in refiner.needs else (),
        attentions=seen.attentions if ATTENTION in refiner.needs else None,
        projections=seen.projections if QUERIES in refiner.needs else None,
        terms=seen.terms if TERMS in refiner.needs else None,
    )


def random_seen(views: int) -> Seen:
    """Return what refiners may see of a made-up network: four classes, a grid of 8 x 8, two blocks, one class token."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    targets = torch.arange(IMAGES) % CLASSES
    terms, logits = _terms(), draw(IMAGES, CLASSES)
    maps = random_maps()
    class_maps = draw(IMAGES, CLASSES, GRID, GRID).abs()
    class_maps[torch.arange(IMAGES), targets] = maps
    tokens = GRID * GRID + 1
    return Seen(
        draw(IMAGES, 3, INPUT, INPUT),
        logits,
        logits.softmax(1),
        targets,
        class_maps,
        (draw(IMAGES, 2 * GRID, 2 * GRID).abs(), draw(IMAGES, GRID, GRID).abs(), maps),
        tuple(draw(IMAGES, 2, tokens, tokens).softmax(-1) for _ in range(2)),
        tuple((draw(IMAGES, 2, tokens, 4), draw(IMAGES, 2, tokens, 4), draw(IMAGES, 2, tokens, 4)) for _ in range(2)),
        terms,
        tuple((maps + 0.1 * draw(IMAGES, GRID, GRID)).relu() for _ in range(views)),
    )


def random_maps() -> Tensor:
    """Return maps of a few images, the ReLU of the sum of the terms of ``random_seen``."""
    return _terms().sum(1).relu()


def _terms() -> Tensor:
    return torch.randn(IMAGES, CHANNELS, GRID, GRID, generator=torch.Generator().manual_seed(0))


def change_maps(seen: Seen, change: Callable[[Tensor], Tensor]) -> Seen:
    """Return what is seen with all of its maps changed."""
    return replace(
        seen,
        class_maps=None if seen.class_maps is None else change(seen.class_maps),
        layer_maps=tuple(map(change, seen.layer_maps)),
        terms=None if seen.terms is None else change(seen.terms),
        views=tuple(map(change, seen.views)),
    )


def mirror(seen: Seen) -> Seen:
    """Return what is seen of the mirrored pictures, by a network that treats both sides alike."""
    places = torch.arange(GRID * GRID).reshape(GRID, GRID).flip(1).flatten() + 1
    order = torch.cat([torch.zeros(1, dtype=torch.long), places])
    mirrored = change_maps(replace(seen, images=seen.images.flip(-1)), lambda maps: maps.flip(-1))
    attentions = seen.attentions and tuple(each[..., order, :][..., order] for each in seen.attentions)
    projections = seen.projections and tuple(
        (q[..., order, :], k[..., order, :], v[..., order, :]) for q, k, v in seen.projections
    )
    return replace(mirrored, attentions=attentions, projections=projections)


def choose(seen: Seen, rows: slice) -> Seen:
    """Return what is seen of some of the images."""
    return replace(
        seen,
        class_maps=None if seen.class_maps is None else seen.class_maps[rows],
        layer_maps=tuple(each[rows] for each in seen.layer_maps),
        terms=None if seen.terms is None else seen.terms[rows],
        views=tuple(each[rows] for each in seen.views),
        images=seen.images[rows],
        logits=seen.logits[rows],
        probabilities=seen.probabilities[rows],
        targets=seen.targets[rows],
        attentions=seen.attentions and tuple(each[rows] for each in seen.attentions),
        projections=seen.projections and tuple((q[rows], k[rows], v[rows]) for q, k, v in seen.projections),
    )


def _facts(run: _RefinerRun) -> None:
    """Its facts are filled."""
    for fact in ("source", "summary", "provider"):
        advice = "write a docstring, whose first line it is" if fact == "summary" else f"pass {fact}= to the decorator"
        require(bool(getattr(run.refiner, fact).strip()), f"{fact} is empty; {advice}")
    for need in run.refiner.needs:
        require(need in NEEDS, f"needs must be of {', '.join(NEEDS)}, got '{need}'")


def _shape(run: _RefinerRun) -> None:
    """It returns one finite map per image."""
    shape = tuple(run.refined.shape)
    require(len(shape) == 3 and shape[0] == IMAGES, f"{shape} for {IMAGES} maps; return (n, h, w)")
    require(run.refined.is_floating_point(), f"{run.refined.dtype}; return floats")
    require(run.refined.isfinite().all(), "it makes finite maps NaN or infinite")


def _nan(run: _RefinerRun) -> None:
    """A map that is NaN stays NaN, and the others do not become it."""
    maps = run.maps.clone()
    maps[1, 2, 3] = torch.nan
    refined = run.refiner(maps, run.seen)
    require(refined[1].isnan().all(), "a map with a NaN becomes a number")
    worst = relative_difference(run.refined[::2], refined[::2])
    require(worst <= TOLERANCE, f"a map that is NaN changes the others by {worst:.2g}")


def _scale(run: _RefinerRun) -> None:
    """Maps times a number give the same, stretched to [0, 1]."""
    refined = run.refiner(FACTOR * run.maps, change_maps(run.seen, lambda maps: FACTOR * maps))
    worst = relative_difference(unit(run.refined), unit(refined))
    require(worst <= TOLERANCE, f"maps times {FACTOR:g} differ by {worst:.2g}; use no absolute threshold")


def _mirror(run: _RefinerRun) -> None:
    """The mirrored map of a mirrored picture is mirrored."""
    refined = run.refiner(run.maps.flip(-1), mirror(run.seen))
    worst = relative_difference(run.refined.flip(-1), refined)
    require(worst <= TOLERANCE, f"it differs by {worst:.2g}; treat left and right alike")


def _batch(run: _RefinerRun) -> None:
    """The refined map of an image does not depend on the other images."""
    parts = [slice(row, row + 1) for row in range(IMAGES)]
    alone = torch.cat([run.refiner(run.maps[part], choose(run.seen, part)) for part in parts])
    worst = relative_difference(run.refined, alone)
    require(worst <= TOLERANCE, f"alone it differs by {worst:.2g} (statistics over the batch?)")


def _pure(run: _RefinerRun) -> None:
    """It gives the same again, and writes into none of its inputs."""
    maps, seen = run.maps.clone(), declared(run.refiner, random_seen(len(run.refiner.views)))
    again = run.refiner(run.maps, run.seen)
    require(relative_difference(run.refined, again) <= TOLERANCE, "two runs differ; use fixed random numbers")
    for name in ("images", "logits", "class_maps", "layer_maps", "attentions", "projections", "terms", "views"):
        same = _equal(getattr(seen, name), getattr(run.seen, name))
        require(same, f"it changes seen.{name}; clone before writing in place")
    require(torch.equal(maps, run.maps), "it changes the maps; clone before writing in place")


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(_equal, one, other))
    return one is other


CHECKS: tuple[Callable[[_RefinerRun], None], ...] = (_facts, _shape, _nan, _scale, _mirror, _batch, _pure)
