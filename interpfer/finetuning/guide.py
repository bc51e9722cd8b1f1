"""The guide: the part of the loss that trains a network to look where the action units are.

Two terms. *attention* aligns the attention of chosen layers, as Belharbi et al. 2024 (arXiv 2402.00281) do; *cam*
aligns the class map of the true class, which is what a CAM shows. Both use the maps, the resizing and the cosine of
``interpfer score``, so that the loss is what the metric measures.

A face without a heatmap (neutral, no landmarks) and a map that is undefined (constant) are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.errors import InterpferError, nearest
from interpfer.finetuning.losses import BY_ANGLE, DISTANCES, Distance, barrier_temperature, log_barrier
from interpfer.finetuning.options import FinetuneOptions, check_fields
from interpfer.maps import MAPS
from interpfer.maps.base import LayerMap, RawMap
from interpfer.maps.canvas import enlarge_attention, normalise, shorten, to_canvas
from interpfer.maps.capture import LayerCapture
from interpfer.truth import open_truth
from interpfer.truth.base import Truth, TruthProvider
from interpfer.truth.options import TruthOptions

CAM_SHARE = 1.5
"""Weight of the class-map term over that of the attention term, where none is set."""


@dataclass(frozen=True)
class Guide:
    """Weights and choices of the guide; what is an option too has its default there.

    Attributes:
        weight: weight of the attention term; 0 leaves it out.
        cam_weight: weight of the class-map term; 0 leaves it out, None is ``CAM_SHARE`` times ``weight``, so that
            weight 0 alone is no guide at all.
        loss: distance of maps from heatmaps: a name in ``interpfer.finetuning.losses.DISTANCES``, or a function of
            flattened maps and heatmaps to one distance per image.
        align_layers: layers whose attention is aligned: "last", "all", or names.
        cam_layers: layers whose class maps are aligned. Deeper than the head, a class map costs a second backward
            through all layers between that one and the logits.
        attention_map: "attention", "attention-random" (each channel with probability 0.5), "attention-fixed", ..., or
            a ``LayerMap`` without gradient.
        cam_map: "gradcam", "hirescam", "layercam", ..., or a ``LayerMap``.
        loss_resize: "canvas" or "grid"; see ``FinetuneOptions``.
        loss_shift: subtract the minimum of attention where that is negative. The metric does, the reference's loss does
            not; it only matters to networks whose layer has negative values.
        guide_correct: leave out faces whose predicted class is not the true one.
        patch_contrast: weight of the contrast of features inside and outside the heatmap, at ``align_layers``.
        flip_consistency: weight of the difference of class maps of mirrored faces, at ``cam_layers``.
        flip_scale: enlargement of the mirrored faces.
        truth_options: what the maps are aligned with, and by which protocol they are resized.
    """

    weight: float = FinetuneOptions.weight
    cam_weight: float | None = FinetuneOptions.cam_weight
    loss: str | Distance = FinetuneOptions.loss
    align_layers: str | Sequence[str] = FinetuneOptions.align_layers
    cam_layers: str | Sequence[str] = "last"
    attention_map: str | LayerMap = FinetuneOptions.attention_map
    cam_map: str | LayerMap = FinetuneOptions.cam_map
    loss_resize: str = FinetuneOptions.loss_resize
    loss_shift: bool = FinetuneOptions.loss_shift
    guide_correct: bool = FinetuneOptions.guide_correct
    patch_contrast: float = FinetuneOptions.patch_contrast
    flip_consistency: float = FinetuneOptions.flip_consistency
    flip_scale: float = FinetuneOptions.flip_scale
    truth_options: TruthOptions = TruthOptions()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of the attention term and of the class-map term."""
        return self.weight, CAM_SHARE * self.weight if self.cam_weight is None else self.cam_weight

    def open_truth(self) -> TruthProvider:
        """Return the provider of what the maps are aligned with."""
        return open_truth(self.truth_options)

    @property
    def _distance(self) -> Distance:
        return DISTANCES[self.loss] if isinstance(self.loss, str) else self.loss

    def distance(self, maps: Float[Tensor, "n p"], heat: Float[Tensor, "n p"], epoch: int = 0) -> Float[Tensor, " n"]:
        """Compare flattened maps with flattened heatmaps."""
        distance = self._distance
        if distance is log_barrier:
            distance = partial(log_barrier, temperature=barrier_temperature(epoch))
        return distance(maps, heat)

    def align(self, raw: RawMap, truth: Truth, attention: bool, epoch: int = 0) -> Float[Tensor, ""]:
        """Return the mean distance of maps from the truth, zero where no face has both.

        Pixels that the truth ignores count neither way: the distance is that of the others alone.

        Args:
            raw: (n, gh, gw) maps at a layer's grid, part of a graph.
            truth: heatmaps, of any size if they are resized to the grid, else of the canvas' size.
            attention: whether the maps are attention, else class maps.
            epoch: counted from 0; the log barrier grows steeper with it.
        """
        chosen = (truth.valid & normalise(raw.detach())[1]).nonzero()[:, 0]
        if not len(chosen):
            return raw.nan_to_num().sum() * 0
        raw, heat = raw[chosen], truth.maps[chosen]
        ignore = None if truth.ignore is None else truth.ignore[chosen]
        protocol = self.truth_options.protocol
        if attention and self.loss_shift:
            raw = raw - raw.amin((1, 2), keepdim=True).clamp(max=0)
        if self.loss_resize == "grid":
            small = F.interpolate(
                heat[:, None],
                size=raw.shape[1:],
                mode="bilinear",
                align_corners=protocol == "paper",
                antialias=True,
            )[:, 0].clamp(0, 1)
            maps, heat = (raw if attention else normalise(raw)[0]), small
            side = raw.shape[1], raw.shape[2]
            ignore = None if ignore is None else F.adaptive_avg_pool2d(ignore.float(), side) >= 0.5
        elif ignore is None and self._distance in BY_ANGLE and max(raw.shape[1:]) < heat.shape[-1]:
            # equal to the branches below, faster
            small = raw if attention else normalise(raw)[0]
            maps, heat = shorten(small, heat, reference=attention and protocol == "paper")
        elif attention:
            maps = enlarge_attention(raw, protocol, heat.shape[-1])
        else:
            maps = to_canvas(raw, False, protocol, heat.shape[-1])[0]
        if ignore is None:
            return self.distance(maps.flatten(1), heat.flatten(1), epoch).mean()
        faces = [face for face in zip(maps, heat, ~ignore, strict=True) if bool(face[2].any())]
        kept = [self.distance(own[keep][None], expected[keep][None], epoch) for own, expected, keep in faces]
        return torch.cat(kept).mean() if kept else raw.sum() * 0


Features = Float[Tensor, "n _ _ _"]
Heat = Float[Tensor, "n 1 S S"] | Float[Tensor, "n S S"] | tuple[Float[Tensor, "n S S"], Bool[Tensor, " n"]]


def alignment_loss(
    features: Features | Sequence[Features] | Mapping[str, Features],
    heat: Heat,
    kind: str | Distance = FinetuneOptions.loss,
    *,
    attention_map: str | LayerMap = FinetuneOptions.attention_map,
    resize: str = "grid",
    shift: bool = FinetuneOptions.loss_shift,
    protocol: str = FinetuneOptions.protocol,
    epoch: int = 0,
    seed: int = 0,
) -> Float[Tensor, ""]:
    """Return the distance of the attention of some layers from the heatmaps: the regulariser R of Belharbi et al. 2024.

    Args:
        features: activation of a layer, (n, c, h, w), or a list of them, or layer -> activation as ``Watch`` has them.
        heat: (n, S, S) or (n, 1, S, S) heatmaps in [0, 1], or heatmaps and validity as ``au_heatmaps`` returns them. A
            face that is not valid, or has any value that is not finite, has no heatmap and is left out.
        kind: cosine, std-cosine, l1, l2, kl, log-barrier, or a function; see ``Guide.loss``.
        attention_map: see ``Guide``.
        resize: "grid" as the paper, "canvas" as the metric.
        shift: see ``Guide.loss_shift``.
        protocol: "paper" or "corrected": how maps are resized.
        epoch: counted from 0, for log-barrier.
        seed: seed of a random share of the channels.

    Returns:
        The mean over faces, then over layers; zero where no face has a heatmap.

    Raises:
        InterpferError: there are no features, or a choice is unknown.

    Examples:
        The attention (4, 0, 0, 0) and the heatmap (1, 1, 1, 1) have the cosine 4 / (4 x 2):

        >>> features = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])
        >>> alignment_loss(features, torch.ones(1, 2, 2))
        tensor(0.5000)
    """
    if isinstance(features, Tensor):
        activations = [features]
    else:
        activations = list(features.values() if isinstance(features, Mapping) else features)
    if not activations:
        raise InterpferError("alignment_loss needs the features of at least one layer.")
    guide = Guide(
        loss=kind,
        attention_map=attention_map,
        loss_resize=resize,
        loss_shift=shift,
        truth_options=TruthOptions(protocol=protocol),
    )
    method = find_layer_map(attention_map, gradient=False)
    truth = _as_truth(heat)
    seeds = tuple(seed + i for i in range(len(truth.maps)))
    losses = [
        guide.align(method(LayerCapture(layer.float(), None, seeds=lambda: seeds)), truth, True, epoch)
        for layer in activations
    ]
    return torch.stack(losses).mean()


def _as_truth(heat: Heat) -> Truth:
    maps, valid = heat if isinstance(heat, tuple) else (heat, None)
    maps = maps[:, 0] if maps.dim() == 4 else maps
    finite = maps.isfinite().flatten(1).all(1)
    return Truth(maps, finite if valid is None else finite & valid)


def find_layer_map(method: str | LayerMap, gradient: bool) -> LayerMap:
    """Return a map of one layer by name.

    Args:
        method: name, or the map itself.
        gradient: whether the map may need a gradient.

    Raises:
        InterpferError: it is no such map, or needs a gradient where there is none.
    """
    layer_map = MAPS.get(MAPS.resolve(method) or method) if isinstance(method, str) else method
    if isinstance(layer_map, LayerMap) and (gradient or not layer_map.gradient):
        return layer_map
    allowed = "a map of a layer" if gradient else "a map of a layer's activations alone"
    raise InterpferError(f"map '{method}' cannot be aligned: it must be {allowed}.{nearest(str(method), MAPS)}")
