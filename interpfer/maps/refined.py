"""A map and its refiners, as one map: ``gradcam.contrast.rank-gaussian``."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from interpfer.errors import PluginError, suggest_names
from interpfer.maps.base import MANY_PASSES, ONE_PASS, AnyMap, BaselineMap, LayerMap, ModelMap
from interpfer.maps.refiners import REFINERS
from interpfer.maps.refiners.base import ATTENTION, CLASSES, LAYERS, QUERIES, TERMS, Refiner

CONTROLS = ("baseline:random", "baseline:uniform")
"""Baselines to which the refiners of a run are applied, too: what they do without the network."""


@dataclass(frozen=True)
class RefinedMap(ModelMap):
    """A map of the model with its refiners.

    Attributes:
        names: of the map and of its refiners.
        base: the map.
        refiners: applied from the first to the last.
    """

    names: tuple[str, ...] = ()
    base: AnyMap = cast(AnyMap, None)
    refiners: tuple[Refiner, ...] = ()

    @property
    def needs(self) -> str:
        """What it needs: what the map needs, and more passes."""
        passes = sum(len(each.views) for each in self.refiners)
        return self.base.needs + (f", {passes} more" if passes else "")

    @property
    def previous(self) -> AnyMap:
        """The map before its last refiner."""
        return self.base if len(self.refiners) == 1 else refine(self.names[:-1], self.base, self.refiners[:-1])


@dataclass(frozen=True)
class RefinedBaseline(BaselineMap):
    """A baseline with refiners, drawn at the grid of the last chosen layer.

    Attributes:
        names: of the baseline and of its refiners.
        base: the baseline.
        refiners: applied from the first to the last.
    """

    names: tuple[str, ...] = ()
    base: BaselineMap = cast(BaselineMap, None)
    refiners: tuple[Refiner, ...] = ()

    @property
    def needs(self) -> str:
        """What it needs: the grid of a layer, and what its refiners see."""
        return "network"

    @property
    def previous(self) -> BaselineMap:
        """The baseline before its last refiner."""
        previous = refine(self.names[:-1], self.base, self.refiners[:-1])
        assert isinstance(previous, BaselineMap)
        return previous


Refined = RefinedMap | RefinedBaseline


def refine(names: tuple[str, ...], base: AnyMap, refiners: tuple[Refiner, ...]) -> Refined:
    """Return a map with refiners as one map.

    Args:
        names: of the map and of its refiners.
        base: the map.
        refiners: applied from the first to the last; a baseline may have none.

    Raises:
        PluginError: a refiner cannot be applied to this map, or not after the others.
    """
    name = ".".join(names)
    summary = " Then: ".join([base.summary, *(each.summary for each in refiners)])
    facts: dict[str, Any] = {"names": names, "base": base, "refiners": refiners, "summary": summary}
    facts["provider"] = base.provider
    facts["source"] = "; ".join(dict.fromkeys([base.source, *(each.source for each in refiners)]))
    is_quick = base.cost == ONE_PASS and not any(each.views for each in refiners)
    facts["clips"] = base.clips and not any({ATTENTION, QUERIES, TERMS} & set(each.needs) for each in refiners)
    if isinstance(base, BaselineMap):
        _require_baseline(name, names[1:], base, refiners)
        cost = ONE_PASS if is_quick else MANY_PASSES
        return RefinedBaseline(_never, heatmaps=False, cost=cost, **facts)
    _require_order(name, names[1:], base, refiners)
    needs = {need for each in refiners for need in each.needs}
    is_quick &= CLASSES not in needs or not (base.gradient or isinstance(base, ModelMap))
    has_layer = isinstance(base, LayerMap) or base.layer
    return RefinedMap(
        _never,
        gradient=base.gradient,
        class_specific=base.class_specific,
        layer=has_layer and LAYERS not in needs,
        attention=base.attention,
        cost=ONE_PASS if is_quick else MANY_PASSES,
        inside=isinstance(base, LayerMap) or base.inside,
        **facts,
    )


def parse(name: str, base: AnyMap) -> Refined:
    """Return the map of a name with refiners.

    Args:
        name: such as ``gradcam.flip``.
        base: the map before the first dot.

    Raises:
        PluginError: a refiner is unknown, or cannot be applied here.
    """
    names = tuple(name.split("."))
    for each in names[1:]:
        if each not in REFINERS:
            known = suggest_names(each, REFINERS, REFINERS.command)
            raise PluginError(f"unknown refiner '{each}' in '{name}'.{known}")
    return refine(names, base, tuple(REFINERS.get(each) for each in names[1:]))


def control_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the baselines that show what the refiners among some maps do alone, and the same without refiners.

    Examples:
        >>> control_names(["gradcam.blur", "gradcam.contrast"])
        ('baseline:random', 'baseline:uniform', 'baseline:random.blur', 'baseline:uniform.blur')
        >>> control_names(["gradcam"])
        ()
    """
    chains = dict.fromkeys(tuple(name.split(".")[1:]) for name in names if "." in name and not is_baseline(name))
    if not chains:
        return ()
    refined = [
        ".".join((control, *chain))
        for chain in chains
        if all(each in REFINERS and REFINERS.get(each).for_baselines for each in chain)
        for control in CONTROLS
    ]
    return (*CONTROLS, *refined)


def with_controls(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of maps with, where some have refiners, the maps without them and those of ``control_names``.

    Examples:
        >>> with_controls(["gradcam.blur"])[:3]
        ('gradcam', 'gradcam.blur', 'baseline:random')
    """
    known = tuple(names)
    own = (each for name in known for each in (name.partition(".")[0], name))
    return tuple(dict.fromkeys((*own, *control_names(known))))


def is_baseline(name: str) -> bool:
    """Return whether a name is that of a baseline."""
    return name.startswith("baseline:")


def _require_baseline(name: str, names: tuple[str, ...], base: BaselineMap, refiners: tuple[Refiner, ...]) -> None:
    if base.heatmaps:
        raise PluginError(f"map '{name}' cannot be made: {name.partition('.')[0]} is the truth, which no refiner sees.")
    for own, each in zip(names, refiners, strict=True):
        if not each.for_baselines:
            raise PluginError(f"map '{name}' cannot be made: refiner {own} needs the network; a baseline has none.")


def _require_order(name: str, names: tuple[str, ...], base: AnyMap, refiners: tuple[Refiner, ...]) -> None:
    is_joined = is_contrasted = False
    for own, each in zip(names, refiners, strict=True):
        reason = ""
        if CLASSES in each.needs:
            if not base.class_specific:
                reason = f"{name.partition('.')[0]} is the same for every class"
            elif is_contrasted:
                reason = "a map is contrasted once"
            is_contrasted = True
        if LAYERS in each.needs:
            if isinstance(base, ModelMap) and not base.layer:
                reason = f"{name.partition('.')[0]} is no map of a layer"
            elif is_joined:
                reason = "its layers are joined already"
            is_joined = True
        if TERMS in each.needs:
            if getattr(base, "terms", None) is None:
                reason = f"the summands of {name.partition('.')[0]} are not known"
            elif is_joined:
                reason = "its layers are joined already"
        if reason:
            raise PluginError(f"map '{name}' cannot be made by refiner {own}: {reason}.")


def _never(_: object) -> Any:
    raise AssertionError("a refined map is computed by interpfer.maps.engine")
