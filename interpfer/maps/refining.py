"""Refined maps of a batch, out of the maps and the captures of its shared pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import InterpferError, ModelError
from interpfer.maps.base import AnyMap, BaselineContext, LayerMap, layers_of
from interpfer.maps.computing import Key, MapResults
from interpfer.maps.refined import Refined, RefinedBaseline, refine
from interpfer.maps.refiners.base import ATTENTION, CLASSES, LAYERS, QUERIES, TERMS, Refiner, Seen, View

Maps = Mapping[Key, Tensor]
"""(map, layer) -> (n, gh, gw), or (n, k, gh, gw) of all classes."""


@dataclass(frozen=True)
class Material:
    """What refined maps of a batch are made of.

    Attributes:
        x: (n, c, s, s) prepared input.
        logits: (n, k).
        probabilities: (n, k).
        targets: (n,) class index, -1 for none.
        grids: chosen layer -> (height, width) of its grid, shallow to deep.
        rows: n numbers from which random baselines are drawn.
        seed: random seed of the run.
        maps: maps without refiners.
        refused: (map, layer) -> why it cannot be computed.
        terms: (map, layer) -> (n, c, gh, gw) whose sum over the channels it is.
        class_maps: maps that are contrasted, of all classes.
        attentions: attention probabilities of each block; None for a network without.
        projections: queries, keys and values of each block; None for a network without.
        rerun: function from changed input and maps to their values on it.
    """

    x: Float[Tensor, "n c s1 s2"]
    logits: Float[Tensor, "n k"]
    probabilities: Float[Tensor, "n k"]
    targets: Int[Tensor, " n"]
    grids: Mapping[str, tuple[int, int]]
    rows: tuple[int, ...]
    seed: int
    maps: Maps
    refused: Mapping[Key, str]
    terms: Maps
    class_maps: Maps
    attentions: tuple[Tensor, ...] | None
    projections: tuple[tuple[Tensor, Tensor, Tensor], ...] | None
    rerun: Callable[[Tensor, Mapping[str, AnyMap]], MapResults]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the chosen layers."""
        return tuple(self.grids)


def refined_among(methods: Mapping[str, AnyMap]) -> dict[str, Refined]:
    """Return the maps with refiners."""
    return {name: method for name, method in methods.items() if isinstance(method, Refined)}


def bases_of(methods: Mapping[str, AnyMap]) -> dict[str, AnyMap]:
    """Return the maps without refiners, and those that refiners are applied to."""
    plain = {name: method for name, method in methods.items() if not isinstance(method, Refined)}
    refined = refined_among(methods).values()
    return plain | {each.names[0]: each.base for each in refined if each.names[0] not in plain}


def contrasted(methods: Mapping[str, AnyMap]) -> dict[str, AnyMap]:
    """Return the maps whose values for all classes some refiner needs, by name."""
    found: dict[str, AnyMap] = {}
    for method in refined_among(methods).values():
        for place, each in enumerate(method.refiners):
            if CLASSES in each.needs:
                names = method.names[: place + 1]
                found[".".join(names)] = refine(names, method.base, method.refiners[:place]) if place else method.base
    return found


def needs(methods: Mapping[str, AnyMap], what: str) -> bool:
    """Return whether a refiner needs something (one of ``NEEDS``)."""
    return any(what in each.needs for method in refined_among(methods).values() for each in method.refiners)


def terms_wanted(methods: Mapping[str, AnyMap]) -> dict[str, LayerMap]:
    """Return the maps whose summands a refiner needs, by name."""
    return {
        method.names[0]: method.base
        for method in refined_among(methods).values()
        if isinstance(method.base, LayerMap) and any(TERMS in each.needs for each in method.refiners)
    }


def add_refined(
    maps: dict[Key, Tensor], refused: dict[Key, str], methods: Mapping[str, AnyMap], material: Material
) -> None:
    """Add the refined maps among some maps, or why they cannot be computed."""
    chains = _Chains(material, _views(methods))
    for name, method in refined_among(methods).items():
        for layer in layers_of(method, material.layers):
            try:
                maps[name, layer] = chains.value(method, name, layer)
            except InterpferError as error:
                refused[name, layer] = str(error)
                maps[name, layer] = torch.full((len(material.x), 2, 2), torch.nan, device=material.x.device)


def _views(methods: Mapping[str, AnyMap]) -> dict[str, tuple[View, dict[str, AnyMap]]]:
    """Return name of a view -> the view and the maps that are needed on it."""
    views: dict[str, tuple[View, dict[str, AnyMap]]] = {}
    for method in refined_among(methods).values():
        for place, each in enumerate(method.refiners):
            names = method.names[: place + 1]
            before = method.base
            if place or isinstance(method, RefinedBaseline):
                before = refine(names, method.base, method.refiners[:place])
            for view in each.views:
                views.setdefault(view.name, (view, {}))[1][".".join(names)] = before
    return views


@dataclass
class _Chains:
    """Maps with refiners, each computed once.

    Attributes:
        material: what they are made of.
        views: name of a view -> the view and the maps that are needed on it.
        done: computed maps.
        viewed: name of a view -> maps on it, and those that are refused.
    """

    material: Material
    views: dict[str, tuple[View, dict[str, AnyMap]]]
    done: dict[Key, Tensor] = field(default_factory=dict)
    viewed: dict[str, tuple[Maps, Mapping[Key, str]]] = field(default_factory=dict)

    def value(self, method: AnyMap, name: str, layer: str) -> Tensor:
        """Return a map at a layer.

        Raises:
            InterpferError: it cannot be computed there.
        """
        if not isinstance(method, Refined):
            return _require((name, layer), self.material.maps, self.material.refused)
        if (name, layer) not in self.done:
            self.done[name, layer] = self._refine(method, layer) if method.refiners else self._draw(method, layer)
        return self.done[name, layer]

    def _refine(self, method: Refined, layer: str) -> Tensor:
        last, before, name = method.refiners[-1], method.previous, ".".join(method.names[:-1])
        layer_maps: tuple[Tensor, ...] = ()
        if LAYERS in last.needs:
            layer_maps = self._of_layers(method, before, name)
            maps = layer_maps[-1]
        else:
            maps = self.value(before, name, layer)
        seen = self._see(last, layer_maps, (name, layer), method.names)
        refined: Tensor = last(maps, seen)
        has_target = (self.material.targets >= 0)[:, None, None]
        return refined.where(has_target, torch.nan) if method.class_specific else refined

    def _see(self, last: Refiner, layer_maps: tuple[Tensor, ...], key: Key, names: tuple[str, ...]) -> Seen:
        """Return what a refiner sees, of what it declares to need."""
        material = self.material
        for need, given in ((ATTENTION, material.attentions), (QUERIES, material.projections)):
            if need in last.needs and not given:
                raise ModelError(f"refiner {names[-1]} needs a transformer whose {need} can be read; none was found.")
        return Seen(
            material.x,
            material.logits,
            material.probabilities,
            material.targets,
            class_maps=_require(key, material.class_maps, material.refused) if CLASSES in last.needs else None,
            layer_maps=layer_maps,
            attentions=material.attentions if ATTENTION in last.needs else None,
            projections=material.projections if QUERIES in last.needs else None,
            terms=_require((names[0], key[1]), material.terms, material.refused) if TERMS in last.needs else None,
            views=tuple(self._on_view(view, key) for view in last.views),
        )

    def _on_view(self, view: View, key: Key) -> Tensor:
        if view.name not in self.viewed:
            _, wanted = self.views[view.name]
            try:
                results = self.material.rerun(view.change(self.material.x, self.material.seed), wanted)
                self.viewed[view.name] = results.maps, results.refused
            except ModelError as error:
                reason = f"the network does not run on the picture '{view.name}': {error}"
                self.viewed[view.name] = {}, {(name, key[1]): reason for name in wanted}
        maps, refused = self.viewed[view.name]
        return view.undo(_require(key, maps, refused))

    def _of_layers(self, method: Refined, before: AnyMap, name: str) -> tuple[Tensor, ...]:
        """Return a map at all layers at which it can be computed.

        Raises:
            ModelError: these are fewer than two.
        """
        found, reason = [], ""
        for layer in self.material.layers:
            try:
                found.append(self.value(before, name, layer))
            except InterpferError as error:
                reason = f" ({error})"
        if len(found) < 2:
            raise ModelError(
                f"{'.'.join(method.names)} joins layers, and {name} has {len(found)}{reason}: pass --layers all, or "
                "name several."
            )
        return tuple(found)

    def _draw(self, method: Refined, layer: str) -> Tensor:
        """Return a baseline at the grid of a layer, "-" for the last; random ones differ from layer to layer."""
        material, layers = self.material, self.material.layers
        assert isinstance(method, RefinedBaseline)
        place = layers.index(layer) if layer in layers else len(layers) - 1
        height, width = material.grids[layers[place]] if layers else material.x.shape[2:]
        blank = material.x.new_zeros(len(material.x), height, height, dtype=torch.float32)
        seed = material.seed + (len(layers) - 1 - place if layers else 0)
        drawn = method.base.compute(BaselineContext(blank, None, None, material.rows, seed, material.x.float()))
        return drawn if height == width else F.interpolate(drawn[:, None], size=(height, width), mode="bilinear")[:, 0]


def _require(key: Key, maps: Maps, refused: Mapping[Key, str]) -> Tensor:
    """Return a map.

    Raises:
        ModelError: it cannot be computed.
    """
    if key in refused:
        raise ModelError(refused[key])
    if key not in maps:
        raise ModelError(f"{key[0]} has no values at {key[1]} of which it could be made.")
    return maps[key]
