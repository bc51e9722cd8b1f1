"""What a map is: a function with its facts.

A map method is added by one decorated function and a line in the table of ``interpfer.maps`` (or an entry point of the
group ``interpfer.maps``)::

    @layer_map(source="Selvaraju et al. 2017, arXiv 1610.02391", gradient=True)
    def gradcam(layer):
        return (layer.gradient.mean((2, 3), keepdim=True) * layer.activation).sum(1).relu()

There are three kinds. A ``LayerMap`` is computed from the activations and gradients of one layer, captured in a shared
forward and backward; a ``ModelMap`` runs the model itself, as often as it needs; a ``BaselineMap`` does not use the
model. A map that cannot be computed for a model or a layer raises ``ModelError`` with the reason; where it is undefined
for an image it is NaN or constant there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from interpfer.maps.blocks import BlockCapture, BlockNeeds
from interpfer.maps.capture import AttentionCapture, LayerCapture
from interpfer.models.model import Model

RawMap = Float[Tensor, "n gh gw"]

ONE_PASS, MANY_PASSES = "one pass", "many passes"
OF_ALL, OF_CLASS = "all", "class"

INPUT = "input"
"""The layer of a map that has none."""


class BaseMap:
    """What all kinds of maps have in common: their facts, as ``interpfer ls maps`` lists them."""

    summary: str
    source: str
    provider: str
    cost: str
    gradient: bool
    class_specific: bool
    clips: bool

    @property
    def needs(self) -> str:
        """What the map needs, in a word or two."""
        return MANY_PASSES if self.cost != ONE_PASS else "backward" if self.gradient else "forward"

    def listing(self) -> dict[str, str]:
        """Return column -> text."""
        return {
            "what": self.summary,
            "needs": self.needs,
            "class": "yes" if self.class_specific else "no",
            "by": self.provider,
            "source": self.source,
        }


@dataclass(frozen=True)
class LayerMap(BaseMap):
    """A map computed from the activations and gradients of one layer.

    Attributes:
        compute: function from (n, c, gh, gw) activations and gradients to (n, gh, gw) maps.
        source: the paper.
        summary: one line for ``interpfer ls maps``.
        gradient: whether it needs the backward.
        class_specific: whether it depends on the target class.
        attention: whether it is resized to the canvas as attention (raw range, shifted where negative) rather than as
            a CAM (min-max normalised).
        provider: the package that computes it.
        cost: "one pass", or "many passes" where it takes about as long.
        terms: function that returns the summands, (n, c, gh, gw), whose sum over the channels the map is before its
            ReLU; None where it is no such sum.
        clips: whether it is a map of classifiers of clips, too: there the grid is that of all slices over time, below
            one another, so no position may matter by its neighbours.
    """

    compute: Callable[[LayerCapture], RawMap]
    source: str
    summary: str
    gradient: bool
    class_specific: bool
    attention: bool = False
    provider: str = "interpfer"
    cost: str = ONE_PASS
    terms: Callable[[LayerCapture], Float[Tensor, "n c gh gw"]] | None = None
    clips: bool = True

    def __call__(self, layer: LayerCapture) -> RawMap:
        """Return the raw map at the layer's own grid."""
        return self.compute(layer)


def layer_map(
    source: str,
    gradient: bool = False,
    class_specific: bool | None = None,
    attention: bool = False,
    provider: str = "interpfer",
    cost: str = ONE_PASS,
    terms: Callable[[LayerCapture], Tensor] | None = None,
    clips: bool = True,
) -> Callable[[Callable[[LayerCapture], RawMap]], LayerMap]:
    """Turn a function of a ``LayerCapture`` into a map; by default class-specific if it needs the gradient."""

    def wrap(compute: Callable[[LayerCapture], RawMap]) -> LayerMap:
        specific = gradient if class_specific is None else class_specific
        facts = (gradient, specific, attention, provider, cost, terms, clips)
        return LayerMap(compute, source, _summary(compute), *facts)

    return wrap


@dataclass(frozen=True)
class MapContext:
    """Input of a ``ModelMap``. The network is in eval mode and its parameters are frozen.

    Attributes:
        model: the classifier.
        x: (n, c, s, s) prepared input (``Model.preprocess``).
        targets: (n,) class index per face.
        layer: name of a spatial layer; "input" for a map that has none.
        seeds: n random seeds, each from the seed of the run and the pixels, so that no map depends on the batch.
        seed: random seed of the run.
        attentions: what the attention of the network computed in the shared pass; None for a map that does not ask for
            it, which runs the model itself.
        blocks: the last blocks of a transformer in the shared pass; None as ``attentions``.
    """

    model: Model
    x: Float[Tensor, "n c s s"]
    targets: Int[Tensor, " n"]
    layer: str
    seeds: tuple[int, ...]
    seed: int
    attentions: AttentionCapture | None = None
    blocks: BlockCapture | None = None


@dataclass(frozen=True)
class ModelMap(BaseMap):
    """A map that runs the model itself.

    Attributes:
        compute: function from a ``MapContext`` to (n, gh, gw) maps.
        source: the paper.
        summary: one line for ``interpfer ls maps``.
        gradient: whether it needs a backward.
        class_specific: whether it depends on the target class.
        layer: whether it is a map of a layer; else its layer is called "input".
        inside: whether it needs the modules of the network, which a program does not give.
        attentions: whether it is computed from the attention of the shared pass, without running the model.
        blocks: what it needs of the last blocks of a transformer in the shared pass; None for nothing.
        attention: as for ``LayerMap``.
        provider: the package that computes it.
        cost: "one pass" (at most one forward and one backward) or "many passes".
        clips: whether it is a map of classifiers of clips, too: it gives whole batches to the model.
    """

    compute: Callable[[MapContext], RawMap]
    source: str
    summary: str
    gradient: bool
    class_specific: bool
    layer: bool
    attention: bool = False
    provider: str = "interpfer"
    cost: str = MANY_PASSES
    inside: bool = False
    attentions: bool = False
    blocks: BlockNeeds | None = None
    clips: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether it is computed from the shared pass, without running the model."""
        return self.attentions or self.blocks is not None

    @property
    def needs(self) -> str:
        """What the map needs; its passes are its own, unless it is computed from the shared one."""
        return super().needs if self.cost != ONE_PASS or self.is_shared else f"{super().needs}, own"


def model_map(
    source: str,
    layer: bool,
    gradient: bool = False,
    class_specific: bool = True,
    provider: str = "interpfer",
    cost: str = MANY_PASSES,
    inside: bool = False,
    attentions: bool = False,
    blocks: BlockNeeds | None = None,
    clips: bool = False,
) -> Callable[[Callable[[MapContext], RawMap]], ModelMap]:
    """Turn a function of a ``MapContext`` into a map; maps of layers and attention need the modules of the network."""

    def wrap(compute: Callable[[MapContext], RawMap]) -> ModelMap:
        return ModelMap(
            compute,
            source,
            _summary(compute),
            gradient,
            class_specific,
            layer,
            provider=provider,
            cost=cost,
            inside=inside or layer or attentions or blocks is not None,
            attentions=attentions,
            blocks=blocks,
            clips=clips,
        )

    return wrap


@dataclass(frozen=True)
class BaselineMap(BaseMap):
    """A map that does not use the model: a reference for the scores of the others.

    Attributes:
        compute: function from a ``BaselineContext`` to (n, S, S) maps on the canvas.
        summary: one line for ``interpfer ls maps``.
        heatmaps: which means of the data set's heatmaps it needs: ``OF_ALL``, ``OF_CLASS``, True for both, or False.
        source: the paper, or "baseline".
        gradient: False.
        class_specific: False, as the target of the model has no influence.
        attention: True, as it keeps its range on the canvas.
        provider: the package that computes it.
        cost: "one pass".
        clips: True, as it sees single frames.
    """

    compute: "Callable[[BaselineContext], RawMap]"
    summary: str
    heatmaps: bool | str = False
    source: str = "baseline"
    gradient: bool = False
    class_specific: bool = False
    attention: bool = True
    provider: str = "interpfer"
    cost: str = ONE_PASS
    clips: bool = True

    @property
    def needs(self) -> str:
        """What the map needs."""
        return "heatmaps" if self.heatmaps else "nothing"

    def needs_mean(self, of: str) -> bool:
        """Return whether it needs the mean heatmap of all other images (``OF_ALL``) or of its class (``OF_CLASS``)."""
        return self.heatmaps in (True, of)


AnyMap = LayerMap | ModelMap | BaselineMap


def layers_of(method: AnyMap, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return a map's layers in tables: the chosen ones, "input" for a map of the whole model, "-" for a baseline."""
    if isinstance(method, BaselineMap):
        return ("-",)
    return (INPUT,) if isinstance(method, ModelMap) and not method.layer else layers


@dataclass(frozen=True)
class BaselineContext:
    """Input of a ``BaselineMap``.

    Attributes:
        heat: (n, S, S) AU heatmaps of the batch, NaN where undefined.
        mean_of_others: (n, S, S) mean heatmap of all other images, NaN where there is none.
        class_mean_of_others: (n, S, S) mean heatmap of the other images of the same class, NaN where there is none.
        rows: position of each face in the data set.
        seed: random seed of the run.
        images: (n, 3, s, s) faces, RGB in [0, 1], at the model's input size.
    """

    heat: RawMap
    mean_of_others: RawMap | None
    class_mean_of_others: RawMap | None
    rows: tuple[int, ...]
    seed: int
    images: Float[Tensor, "n 3 s s"] | None = None


def baseline(heatmaps: bool | str = False) -> "Callable[[Callable[[BaselineContext], RawMap]], BaselineMap]":
    """Turn a function of a ``BaselineContext`` into a baseline; ``heatmaps`` as in ``BaselineMap``."""
    return lambda compute: BaselineMap(compute, _summary(compute), heatmaps)


def _summary(compute: Callable[..., RawMap]) -> str:
    return (compute.__doc__ or "").strip().partition("\n")[0]
