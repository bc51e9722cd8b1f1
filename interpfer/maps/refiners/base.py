"""What a refiner is: a function of a map and of what it may see, with its facts.

A refiner is added by one decorated function and a line in the table of ``interpfer.maps.refiners`` (or an entry point
of the group ``interpfer.refiners``)::

    @refiner(source="Gonzalez and Woods, Digital Image Processing")
    def square(maps, seen):
        \"\"\"Square of the map.\"\"\"
        return maps.square()

It never sees the truth. Four laws hold for each (``interpfer.testing.check_refiner``): a map that is NaN stays NaN; a
map times a positive number gives the same up to its range; the mirrored map of a mirrored picture is mirrored; and what
becomes of an image does not depend on the others of the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

RELATIVE_EPS = 1e-6
"""A map is constant where its range is at most this share of its largest magnitude."""

CLASSES, LAYERS, ATTENTION, QUERIES, TERMS = "classes", "layers", "attention", "queries", "terms"
NEEDS = (CLASSES, LAYERS, ATTENTION, QUERIES, TERMS)

NEEDED = {
    CLASSES: "maps of all classes",
    LAYERS: "maps of all chosen layers",
    ATTENTION: "attention of a transformer",
    QUERIES: "queries, keys and values of a transformer",
    TERMS: "summands of the map",
}
"""What a refiner needs -> in words."""


@dataclass(frozen=True)
class View:
    """A changed picture, of which the map is computed again, in a pass of its own.

    Attributes:
        name: unique name; views of one name share their pass.
        change: function from (n, c, s, s) prepared input and the seed of the run to changed input.
        is_mirrored: whether the picture is mirrored, so that its map has to be mirrored back.
    """

    name: str
    change: Callable[[Tensor, int], Tensor]
    is_mirrored: bool = False

    def undo(self, maps: Tensor) -> Tensor:
        """Return maps in the orientation of the unchanged picture."""
        return maps.flip(-1) if self.is_mirrored else maps


@dataclass(frozen=True)
class Seen:
    """What a refiner may see beside the map; no truth. What it does not declare to need is None or empty.

    Attributes:
        images: (n, c, s, s) prepared input of the network.
        logits: (n, k).
        probabilities: (n, k).
        targets: (n,) class that the map explains; -1 for none.
        class_maps: (n, k, gh, gw) maps of all classes, that of the target among them.
        layer_maps: one (n, gh, gw) map per chosen layer, shallow to deep, of any grids.
        attentions: attention probabilities of each block, (n, heads, t, t); patch tokens are the last ones.
        projections: queries, keys and values of each block, each (n, heads, t, d).
        terms: (n, c, gh, gw) whose sum over the channels the map is, before its ReLU.
        views: the map under each view of the refiner, (n, gh, gw), mirrored back.
    """

    images: Float[Tensor, "n c s1 s2"]
    logits: Float[Tensor, "n k"]
    probabilities: Float[Tensor, "n k"]
    targets: Int[Tensor, " n"]
    class_maps: Float[Tensor, "n k ch cw"] | None = None
    layer_maps: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] | None = None
    projections: tuple[tuple[Tensor, Tensor, Tensor], ...] | None = None
    terms: Float[Tensor, "n d th tw"] | None = None
    views: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Refiner:
    """A refiner of maps.

    Attributes:
        compute: function from (n, gh, gw) maps, undefined ones zero, and what is seen, to (n, h, w) maps.
        source: the paper or the library.
        summary: one line for ``interpfer ls refiners``.
        needs: of ``NEEDS``: what it sees beside picture, logits and targets.
        views: changed pictures whose maps it needs, each at the cost of a pass.
        provider: the package that computes it.
    """

    compute: Callable[[Tensor, Seen], Tensor]
    source: str
    summary: str
    needs: tuple[str, ...] = ()
    views: tuple[View, ...] = ()
    provider: str = "interpfer"

    def __call__(self, maps: Float[Tensor, "n gh gw"], seen: Seen) -> Float[Tensor, "n h w"]:
        """Return the refined maps; NaN where a map is not finite everywhere."""
        is_defined = maps.isfinite().flatten(1).all(1)[:, None, None]
        return self.compute(maps.where(is_defined, 0), seen).where(is_defined, torch.nan)

    @property
    def for_baselines(self) -> bool:
        """Whether it can be applied to a map that does not use the network."""
        return CLASSES not in self.needs and TERMS not in self.needs

    @property
    def cost(self) -> str:
        """What it costs beside the shared pass, in a word or two."""
        if self.views:
            return f"{len(self.views)} more pass{'es' if len(self.views) > 1 else ''}"
        return "a backward per class; none before a linear head" if CLASSES in self.needs else "no pass"

    def listing(self) -> dict[str, str]:
        """Return column -> text."""
        return {
            "what": self.summary,
            "needs": ", ".join(NEEDED[need] for need in self.needs) or "the map",
            "costs": self.cost,
            "by": self.provider,
            "source": self.source,
        }


def refiner(
    source: str, needs: tuple[str, ...] = (), views: tuple[View, ...] = (), provider: str = "interpfer"
) -> Callable[[Callable[[Tensor, Seen], Tensor]], Refiner]:
    """Turn a function of maps and a ``Seen`` into a refiner, whose summary is the first line of its docstring."""

    def wrap(compute: Callable[[Tensor, Seen], Tensor]) -> Refiner:
        summary = (compute.__doc__ or "").strip().partition("\n")[0]
        return Refiner(compute, source, summary, needs, views, provider)

    return wrap


def unit(maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
    """Stretch each map to [0, 1]; a constant one becomes 1 where it is positive, else 0.

    Examples:
        >>> unit(torch.tensor([[[1.0, 3.0]], [[2.0, 2.0]], [[0.0, 0.0]]]))[:, 0].tolist()
        [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    """
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    span = high - low
    varies = span > RELATIVE_EPS * torch.maximum(low.abs(), high.abs())
    return torch.where(varies, (maps - low) / span.where(varies, 1), (maps > 0).to(maps))
