"""The guide: what asks a network to look where the action units are.

Two terms. *attention* aligns the attention of chosen layers, as Belharbi et al. 2024 (arXiv 2402.00281) do; *cam*
aligns the class map of the true class, which is what a CAM shows. Both are made by the very maps, resized by the very
functions and compared by the very cosine that ``interpfer score`` uses, so that what is trained is what is measured.

A face without a heatmap (neutral, no landmarks) and a map that is undefined (constant) take no part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interpfer.errors import InterpferError, nearest
from interpfer.finetuning.freezing import reached, trainable
from interpfer.finetuning.losses import BY_ANGLE, DISTANCES, Distance, barrier_temperature, log_barrier
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap, RawMap
from interpfer.maps.canvas import PROTOCOLS, enlarge_attention, normalise, shorten, to_canvas
from interpfer.maps.capture import LayerCapture
from interpfer.models.model import Model
from interpfer.truth import TRUTHS
from interpfer.truth.base import TruthProvider
from interpfer.truth.options import TruthOptions
from interpfer.validation import require_choice, require_range

RESIZES = ("canvas", "grid")

CAM_SHARE = 1.5
"""Weight of the class map's term beside that of the attention's, unless said."""

Heat = Float[Tensor, "n S S"]


@dataclass(frozen=True)
class Guide:
    """Weights and choices of the penalty.

    Attributes:
        attention: weight of the attention term; 0 leaves it out.
        cam: weight of the class map's term; 0 leaves it out, None is ``CAM_SHARE`` times the attention's, so that
            attention 0 alone is no guide at all.
        kind: how maps are compared: a name in ``interpfer.finetuning.losses.DISTANCES``, or a function of flattened
            maps and heatmaps to one distance per image.
        layers: whose attention is aligned: "last", "all", or names.
        cam_layers: whose class maps are aligned. Deeper than the head, a class map costs a second backward through all
            that lies between the layer and the logits.
        attention_map: "attention", "attention-random" (a random half of the channels), "attention-first-half", ..., or
            a ``LayerMap`` without gradient.
        cam_map: "gradcam", "hirescam", "layercam", ..., or a ``LayerMap``.
        resize: "canvas" enlarges the map as the metric does; "grid" shrinks the heatmap to the map's grid, as the
            reference does (bilinear, antialias, align_corners under protocol paper).
        shift: raise attention by its minimum where that is negative. The metric does, the reference's loss does not; it
            only matters to networks whose layer is not behind a ReLU.
        protocol: "paper" or "corrected": how attention is resized, and the codebook and geometry unless given.
        codebook: overrides the protocol's.
        geometry: overrides the protocol's.
    """

    attention: float = 1.0
    cam: float | None = None
    kind: str | Distance = "cosine"
    layers: str | tuple[str, ...] = "last"
    cam_layers: str | tuple[str, ...] = "last"
    attention_map: str | LayerMap = "attention"
    cam_map: str | LayerMap = "gradcam"
    resize: str = "canvas"
    shift: bool = False
    protocol: str = "paper"
    codebook: str | None = None
    geometry: str | None = None

    def __post_init__(self) -> None:
        require_choice("resize", self.resize, RESIZES)
        require_choice("protocol", self.protocol, PROTOCOLS)
        if isinstance(self.kind, str):
            require_choice("loss", self.kind, tuple(DISTANCES))
        require_range("the guide's weight", self.attention, 0)
        if self.cam is not None:
            require_range("the class map's weight", self.cam, 0)

    @property
    def weights(self) -> tuple[float, float]:
        """Of the attention's term and of the class map's."""
        return self.attention, CAM_SHARE * self.attention if self.cam is None else self.cam

    @property
    def truth_options(self) -> TruthOptions:
        """What the maps are aligned with."""
        return TruthOptions(protocol=self.protocol, codebook=self.codebook, geometry=self.geometry)

    def open_truth(self) -> TruthProvider:
        """Return the provider of what the maps are aligned with."""
        return TRUTHS.get(self.truth_options.truth).create(self.truth_options)

    @property
    def _by_angle(self) -> bool:
        return (DISTANCES[self.kind] if isinstance(self.kind, str) else self.kind) in BY_ANGLE

    def distance(self, maps: Float[Tensor, "n p"], heat: Float[Tensor, "n p"], epoch: int = 0) -> Float[Tensor, " n"]:
        """Compare flattened maps with flattened heatmaps."""
        kind = DISTANCES[self.kind] if isinstance(self.kind, str) else self.kind
        if kind is log_barrier:
            kind = partial(log_barrier, temperature=barrier_temperature(epoch))
        return kind(maps, heat)

    def align(self, raw: RawMap, heat: Heat, valid: Bool[Tensor, " n"], attention: bool, epoch: int = 0) -> Tensor:
        """Return the mean distance of maps from heatmaps, zero where no face has both.

        Args:
            raw: maps at a layer's grid, part of a graph.
            heat: heatmaps, of any size on the grid, of the canvas' size on the canvas.
            valid: which faces have a heatmap.
            attention: whether these maps are attention, else class maps.
            epoch: counted from 0; the log barrier grows steeper with it.
        """
        chosen = (valid & normalise(raw.detach())[1]).nonzero()[:, 0]
        if not len(chosen):
            return raw.sum() * 0
        raw, heat = raw[chosen], heat[chosen]
        if attention and self.shift:
            raw = raw - raw.amin((1, 2), keepdim=True).clamp(max=0)
        if self.resize == "grid":
            small = F.interpolate(
                heat[:, None],
                size=raw.shape[1:],
                mode="bilinear",
                align_corners=self.protocol == "paper",
                antialias=True,
            )[:, 0].clamp(0, 1)
            maps, heat = (raw if attention else normalise(raw)[0]), small
        elif self._by_angle and max(raw.shape[1:]) < heat.shape[-1]:  # what the branches below give, for less
            small = raw if attention else normalise(raw)[0]
            maps, heat = shorten(small, heat, reference=attention and self.protocol == "paper")
        elif attention:
            maps = enlarge_attention(raw, self.protocol, heat.shape[-1])
        else:
            maps = to_canvas(raw, False, self.protocol, heat.shape[-1])[0]
        return self.distance(maps.flatten(1), heat.flatten(1), epoch).mean()


@dataclass(frozen=True)
class Penalty:
    """What the guide found in a batch.

    Attributes:
        attention: mean distance over the aligned layers; None where the term is left out.
        cam: likewise.
        total: their weighted sum.
        aligned: how many faces have a heatmap, of which the terms are means.
    """

    attention: Tensor | None
    cam: Tensor | None
    total: Tensor
    aligned: int


class Guidance:
    """A guide that knows the layers of a model.

    Attributes:
        layers: of the attention term; of "all", those that something trainable reaches.
        cam_layers: of the class map's term.
        watched: all of them, for ``interpfer.maps.capture.LayerRecorder``.

    Raises:
        InterpferError: no parameter that is trained reaches a layer whose attention is to be aligned.
    """

    def __init__(self, guide: Guide, model: Model) -> None:
        self.guide = guide
        self.model = model
        attention, cam = guide.weights
        self.layers = self._moving(model.layers(guide.layers)) if attention else ()
        self.cam_layers = model.layers(guide.cam_layers) if cam else ()
        self.watched = tuple(dict.fromkeys((*self.layers, *self.cam_layers)))
        self._attention = layer_method(guide.attention_map, gradient=False)
        self._cam = layer_method(guide.cam_map, gradient=True)

    def _moving(self, layers: Sequence[str]) -> tuple[str, ...]:
        learns = trainable(self.model)
        moving = tuple(layer for layer in layers if learns & reached(self.model, layer))
        if moving and self.guide.layers == "all":
            return moving
        if at_rest := [layer for layer in layers if layer not in moving]:
            raise InterpferError(
                f"nothing that is trained changes the attention of {', '.join(at_rest)}: "
                "freeze less (--freeze none), or align other layers (--align-layers)."
            )
        return moving

    def penalty(
        self,
        outputs: Mapping[str, Tensor],
        logits: Float[Tensor, "n k"],
        targets: Int[Tensor, " n"],
        heat: Heat,
        valid: Bool[Tensor, " n"],
        epoch: int = 0,
        seed: int = 0,
        cam_heat: Heat | None = None,
    ) -> Penalty:
        """Compare what the layers showed with the heatmaps; differentiable with respect to the parameters.

        Args:
            outputs: of the watched layers, as ``LayerRecorder.collect`` returns them.
            logits: that came out of the same forward.
            targets: the true class of each face; its class map is the one to align.
            heat: (n, S, S) of the true class, on the canvas.
            valid: which faces have a heatmap.
            epoch: counted from 0.
            seed: of maps that draw at random.
            cam_heat: heatmaps for the class map where they differ, as in a mixture of two faces.
        """
        terms: dict[str, Tensor | None] = {"attention": None, "cam": None}
        seeds = tuple(seed + i for i in range(len(logits)))
        if self.layers:
            losses = []
            for name in self.layers:
                features = self.model.to_grid(name, outputs[name]).float()
                raw = self._attention(LayerCapture(features, None, seeds=lambda: seeds))
                losses.append(self.guide.align(raw, heat, valid, True, epoch))
            terms["attention"] = torch.stack(losses).mean()
        if self.cam_layers:
            chosen = logits.gather(1, targets.clamp(min=0)[:, None]).sum()
            shown = [outputs[name] for name in self.cam_layers]
            slopes = torch.autograd.grad(chosen, shown, create_graph=True, materialize_grads=True)
            losses = []
            for name, output, slope in zip(self.cam_layers, shown, slopes, strict=True):
                features, gradient = (self.model.to_grid(name, tensor).float() for tensor in (output, slope))
                raw = self._cam(LayerCapture(features, gradient, seeds=lambda: seeds))
                losses.append(self.guide.align(raw, heat if cam_heat is None else cam_heat, valid, False, epoch))
            terms["cam"] = torch.stack(losses).mean()
        total = logits.new_zeros(())
        for weight, term in zip(self.guide.weights, terms.values(), strict=True):
            total = total if term is None else total + weight * term
        return Penalty(terms["attention"], terms["cam"], total, int(valid.sum()))


def alignment_loss(
    features: Sequence[Float[Tensor, "n _ _ _"]],
    heat: Float[Tensor, "n 1 S S"],
    kind: str | Distance = "cosine",
    *,
    attention_map: str | LayerMap = "attention",
    resize: str = "grid",
    shift: bool = False,
    protocol: str = "paper",
    epoch: int = 0,
    seed: int = 0,
) -> Float[Tensor, ""]:
    """Return how far the attention of some layers is from the heatmaps: the regulariser R of Belharbi et al. 2024.

    Args:
        features: activations of the aligned layers.
        heat: heatmaps in [0, 1]; a face with any value that is not finite has none and takes no part.
        kind: cosine, std-cosine, l1, l2, kl, log-barrier, or a function; see ``Guide``.
        attention_map: see ``Guide``.
        resize: "grid" as the paper, "canvas" as the metric.
        shift: see ``Guide``.
        protocol: see ``Guide``.
        epoch: counted from 0, for log-barrier.
        seed: of a random share of the channels.

    Returns:
        The mean over faces, then over layers; zero where no face has a heatmap.
    """
    guide = Guide(kind=kind, attention_map=attention_map, resize=resize, shift=shift, protocol=protocol)
    method = layer_method(attention_map, gradient=False)
    valid = heat.isfinite().flatten(1).all(1)
    seeds = tuple(seed + i for i in range(len(heat)))
    losses = [
        guide.align(method(LayerCapture(layer.float(), None, seeds=lambda: seeds)), heat[:, 0], valid, True, epoch)
        for layer in features
    ]
    if not losses:
        raise InterpferError("alignment_loss: name at least one layer's features.")
    return torch.stack(losses).mean()


def layer_method(method: str | LayerMap, gradient: bool) -> LayerMap:
    """Return a map of one layer by name.

    Raises:
        InterpferError: it is no such map, or needs a gradient where there is none.
    """
    found = MAPS.get(method) if isinstance(method, str) else method
    if isinstance(found, LayerMap) and (gradient or not found.gradient):
        return found
    wanted = "of a layer" if gradient else "of a layer's activations alone"
    raise InterpferError(f"map '{method}' cannot be aligned: it is no map {wanted}.{nearest(str(method), MAPS)}")
