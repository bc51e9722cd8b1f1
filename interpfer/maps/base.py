"""What a map is: a function with its facts.

A map method is added by one decorated function and a line in the table of ``interpfer.maps`` (or an entry point of the
group ``interpfer.maps``)::

    @layer_map(source="Selvaraju et al. 2017, arXiv 1610.02391", gradient=True)
    def gradcam(layer):
        return (layer.gradient.mean((2, 3), keepdim=True) * layer.activation).sum(1).relu()

There are three kinds. A ``LayerMap`` is made of what one layer showed in the shared forward and backward; a
``ModelMap`` runs the model itself, as often as it likes; a ``BaselineMap`` knows nothing of the model. A map that
cannot be made for a model or a layer raises ``ModelError`` with the reason; where it is undefined for an image it is
NaN or constant there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from interpfer.maps.capture import LayerCapture
from interpfer.models.model import Model

RawMap = Float[Tensor, "n gh gw"]

ONE_PASS, MANY_PASSES = "one pass", "many passes"

INPUT = "input"
"""The layer of a map that has none."""


class Listed:
    """What ``interpfer ls maps`` says of a map."""

    summary: str
    source: str
    provider: str
    cost: str
    gradient: bool
    class_specific: bool

    @property
    def needs(self) -> str:
        """What the map costs, in a word or two."""
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
class LayerMap(Listed):
    """A map made of what one layer showed in the shared forward and backward.

    Attributes:
        compute: (n, c, gh, gw) activations and gradients to an (n, gh, gw) map.
        source: the paper.
        summary: one line for ``interpfer ls maps``.
        gradient: whether it needs the backward.
        class_specific: whether it depends on the target class.
        attention: whether it is brought to the canvas as attention is (raw range, shifted where negative) rather than
            as a CAM (min-max normalised).
        provider: whose code computes it.
        cost: "one pass", or "many passes" where it takes about as long.
    """

    compute: Callable[[LayerCapture], RawMap]
    source: str
    summary: str
    gradient: bool
    class_specific: bool
    attention: bool = False
    provider: str = "interpfer"
    cost: str = ONE_PASS

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
) -> Callable[[Callable[[LayerCapture], RawMap]], LayerMap]:
    """Turn a function of a ``LayerCapture`` into a map; it is class-specific if it needs the gradient, unless said."""

    def wrap(compute: Callable[[LayerCapture], RawMap]) -> LayerMap:
        specific = gradient if class_specific is None else class_specific
        return LayerMap(compute, source, _summary(compute), gradient, specific, attention, provider, cost)

    return wrap


@dataclass(frozen=True)
class MapContext:
    """What a ``ModelMap`` is asked about. The network is in eval mode with frozen parameters meanwhile.

    Attributes:
        model: the classifier.
        x: prepared input (``Model.preprocess``).
        targets: class index per face.
        layer: name of a spatial layer; "input" for a map that has none.
        seeds: one per face, out of the seed of the run and the pixels, so that nothing depends on the batch.
        seed: of the run.
    """

    model: Model
    x: Float[Tensor, "n c s s"]
    targets: Int[Tensor, " n"]
    layer: str
    seeds: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class ModelMap(Listed):
    """A map that runs the model itself.

    Attributes:
        compute: from a scene to (n, gh, gw) maps.
        source: the paper.
        summary: one line for ``interpfer ls maps``.
        gradient: whether it goes backward.
        class_specific: whether it depends on the target class.
        layer: whether it is a map of a layer; else its layer is called "input".
        inside: whether it looks inside the network, so that it cannot be made of a program.
        attention: as for ``LayerMap``.
        provider: whose code computes it.
        cost: "one pass" (at most one forward and one backward) or "many passes".
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

    @property
    def needs(self) -> str:
        """What the map costs; it shares its passes with no other."""
        return super().needs if self.cost != ONE_PASS else f"{super().needs}, own"


def model_map(
    source: str,
    layer: bool,
    gradient: bool = False,
    class_specific: bool = True,
    provider: str = "interpfer",
    cost: str = MANY_PASSES,
    inside: bool = False,
) -> Callable[[Callable[[MapContext], RawMap]], ModelMap]:
    """Turn a function of a ``MapContext`` into a map; one of a layer looks inside the network anyway."""

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
            inside=inside or layer,
        )

    return wrap


@dataclass(frozen=True)
class BaselineMap(Listed):
    """A map that knows nothing of the model: what a score has to beat.

    Attributes:
        compute: from what is known of the faces to (n, S, S) maps on the canvas.
        summary: one line for ``interpfer ls maps``.
        heatmaps: whether it needs the AU heatmaps of the whole data set.
    """

    compute: "Callable[[BaselineContext], RawMap]"
    summary: str
    heatmaps: bool = False
    source: str = "baseline"
    gradient: bool = False
    class_specific: bool = False
    attention: bool = True
    provider: str = "interpfer"
    cost: str = ONE_PASS

    @property
    def needs(self) -> str:
        """What the map is made of."""
        return "heatmaps" if self.heatmaps else "nothing"


AnyMap = LayerMap | ModelMap | BaselineMap


def layers_of(method: AnyMap, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return a map's layers in tables: the chosen ones, "input" for a map of the whole model, "-" for a baseline."""
    if isinstance(method, BaselineMap):
        return ("-",)
    return (INPUT,) if isinstance(method, ModelMap) and not method.layer else layers


@dataclass(frozen=True)
class BaselineContext:
    """What a baseline may look at.

    Attributes:
        heat: (n, S, S) AU heatmaps of the batch, NaN where undefined.
        mean_of_others: (n, S, S) mean heatmap of all other images, NaN where there is none.
        classmates: (n, S, S) mean heatmap of the other images of the same class.
        rows: position of each face in the data set.
        seed: of the run.
        images: (n, 3, s, s) the faces in RGB, in [0, 1], at the model's input size.
    """

    heat: RawMap
    mean_of_others: RawMap | None
    class_mean_of_others: RawMap | None
    rows: tuple[int, ...]
    seed: int
    images: Float[Tensor, "n 3 s s"] | None = None


def baseline(heatmaps: bool = False) -> "Callable[[Callable[[BaselineContext], RawMap]], BaselineMap]":
    """Turn a function of ``BaselineContext`` into a baseline."""

    def wrap(compute: "Callable[[BaselineContext], RawMap]") -> BaselineMap:
        return BaselineMap(compute, _summary(compute), heatmaps)

    return wrap


def _summary(compute: Callable[..., RawMap]) -> str:
    return (compute.__doc__ or "").strip().partition("\n")[0]
