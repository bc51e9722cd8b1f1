"""What a map is: a function with its facts.

A map method is added by one decorated function and a line in the table of ``interpfer.maps`` (or an entry point of the
group ``interpfer.maps``)::

    @layer_map(source="Selvaraju et al. 2017, arXiv 1610.02391", gradient=True)
    def gradcam(layer):
        return (layer.gradient.mean((2, 3), keepdim=True) * layer.activation).sum(1).relu()
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interpfer.maps.capture import LayerCapture

RawMap = Float[Tensor, "n gh gw"]


@dataclass(frozen=True)
class LayerMap:
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
    """

    compute: Callable[[LayerCapture], RawMap]
    source: str
    summary: str
    gradient: bool
    class_specific: bool
    attention: bool = False
    provider: str = "interpfer"

    def __call__(self, layer: LayerCapture) -> RawMap:
        """Return the raw map at the layer's own grid."""
        return self.compute(layer)


def layer_map(
    source: str, gradient: bool = False, class_specific: bool | None = None, attention: bool = False
) -> Callable[[Callable[[LayerCapture], RawMap]], LayerMap]:
    """Turn a function of a ``LayerCapture`` into a map; it is class-specific if it needs the gradient, unless said."""

    def wrap(compute: Callable[[LayerCapture], RawMap]) -> LayerMap:
        summary = (compute.__doc__ or "").strip().partition("\n")[0]
        specific = gradient if class_specific is None else class_specific
        return LayerMap(compute, source, summary, gradient, specific, attention)

    return wrap


@dataclass(frozen=True)
class BaselineMap:
    """A map that knows nothing of the model: what a score has to beat.

    Attributes:
        compute: from what is known of the faces to (n, S, S) maps on the canvas.
        summary: one line for ``interpfer ls maps``.
        heatmaps: whether it needs the AU heatmaps of the whole data set.
    """

    compute: "Callable[[Surroundings], RawMap]"
    summary: str
    heatmaps: bool = False
    source: str = "baseline"
    gradient: bool = False
    class_specific: bool = False
    attention: bool = True
    provider: str = "interpfer"


@dataclass(frozen=True)
class Surroundings:
    """What a baseline may look at.

    Attributes:
        heat: (n, S, S) AU heatmaps of the batch, NaN where undefined.
        others: (n, S, S) mean heatmap of all other images, NaN where there is none.
        classmates: (n, S, S) mean heatmap of the other images of the same class.
        rows: position of each face in the data set.
        seed: of the run.
        images: (n, 3, s, s) the faces in RGB, in [0, 1], at the model's input size.
    """

    heat: RawMap
    others: RawMap | None
    classmates: RawMap | None
    rows: tuple[int, ...]
    seed: int
    images: Float[Tensor, "n 3 s s"] | None = None


def baseline(heatmaps: bool = False) -> "Callable[[Callable[[Surroundings], RawMap]], BaselineMap]":
    """Turn a function of ``Surroundings`` into a baseline."""

    def wrap(compute: "Callable[[Surroundings], RawMap]") -> BaselineMap:
        return BaselineMap(compute, (compute.__doc__ or "").strip().partition("\n")[0], heatmaps)

    return wrap
