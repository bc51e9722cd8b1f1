"""Layers of a model by name, proven to lie where they are laid out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.models.card import ModelCard
from interpfer.models.layer import Layer
from interpfer.models.layers import describe_output_shapes, find_layers, resolve_layers, split_call
from interpfer.models.placement import WRONG, Placement, describe_places, find_places
from interpfer.models.placement_cache import remember_places
from interpfer.models.program import Program


class LayerAccess:
    """Base of ``Model``: its spatial layers."""

    name: str
    module: nn.Module
    card: ModelCard

    def __init__(self) -> None:
        self._places: dict[str, Placement] = {}
        self._notes: dict[str, None] = {}
        self._sha256: str | None = None

    @property
    def noise(self) -> Tensor:
        """One preprocessed input of seeded noise."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """Run the network on preprocessed input, and return its logits."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        """Run the network on preprocessed input, and return its output as it is."""
        raise NotImplementedError

    @property
    def frames(self) -> int:
        """Number of frames of the clips that it classifies; 1 for a classifier of pictures."""
        return self.card.input.frames

    @property
    def program(self) -> Program | None:
        """The network if it is a program, whose layers are not accessible; else None."""
        return self.module if isinstance(self.module, Program) else None

    @cached_property
    def spatial_layers(self) -> tuple[Layer, ...]:
        """All layers with a spatial output of at least 2 x 2, in the order in which they finish."""
        return find_layers(self.module, self.noise, self.logits)

    def layers(self, names: str | Sequence[str] = "last") -> tuple[str, ...]:
        """Resolve the names of layers.

        Args:
            names: "last", "all", or names as a list or a comma-separated text; those of a program are not checked.

        Raises:
            ModelError: a layer does not exist or is not spatial; the message lists the nearest names and the stages.
        """
        parts = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        if self.program is not None:
            return tuple(parts)
        if not self.spatial_layers:
            shapes = describe_output_shapes(self.module, lambda: self.forward(self.noise))
            raise ModelError(
                f"model {self.name}: no layer has a spatial output of at least 2 x 2, so no layer can be mapped. "
                f"Its layers return {shapes}."
            )
        chosen = resolve_layers(self.spatial_layers, parts, self.card.layers, self.name)
        places = self.find_places(name for name in chosen if self._spatial_layer(name).layout == "tokens")
        self._notes.update(dict.fromkeys(describe_places(places)))
        proven = tuple(name for name in chosen if name not in places or places[name].verdict != WRONG)
        if proven == chosen or (parts == ["all"] and proven):
            return proven
        wrong = next(name for name in chosen if name not in proven)
        raise ModelError(
            f"layer {wrong} of model {self.name}: its tokens are in another order than the picture, and bright patches "
            "on the input do not tell which, so no map of it is made; choose another layer (--layers)."
        )

    def find_places(self, names: Iterable[str]) -> dict[str, Placement]:
        """Find by bright patches on the input where the values of layers lie; see ``interpfer.models.placement``.

        Args:
            names: names of spatial layers.

        Returns:
            Layer -> where its values lie.
        """
        layers = {name: self._spatial_layer(name) for name in names}
        new = list({layer.name: layer for layer in layers.values() if layer.name not in self._places}.values())
        if new:
            self._places |= remember_places(
                None if self._sha256 is None else f"{self._sha256} {self.card.input} {type(self.module).__name__}",
                new,
                lambda: find_places(self.module, self.noise, self.forward, new),
            )
        return {name: self._places[layer.name] for name, layer in layers.items()}

    def to_grid(self, layer: str, activation: Tensor) -> Float[Tensor, "n c gh gw"]:
        """Reshape the output (or gradient) of a layer to channels on a grid, without class and register tokens."""
        return self.layer(layer).to_grid(activation)

    def to_frames(self, layer: str, maps: Float[Tensor, "n tgh gw"]) -> Float[Tensor, "m gh gw"]:
        """Return a map per frame out of maps at the grid of clips; those of pictures are returned as they are."""
        return maps if self.frames == 1 else self._spatial_layer(layer).to_frames(maps)

    def of_clips(self, rows: Tensor) -> Tensor:
        """Return one row per clip of what is the same for all of its frames, such as logits and targets."""
        return rows[:: self.frames]

    def layer(self, name: str) -> Layer:
        """Return a spatial layer by its name; the number of a call (``name@2``) is ignored."""
        layer = self._spatial_layer(name)
        return replace(layer, order=self.find_places([name])[name].order) if layer.layout == "tokens" else layer

    def _spatial_layer(self, name: str) -> Layer:
        return next(item for item in self.spatial_layers if item.name == split_call(name)[0])
