"""The terms of a guide on the layers of a model, out of one forward."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interpfer.errors import InterpferError
from interpfer.finetuning.flip_consistency import flip_distance
from interpfer.finetuning.freezing import affecting_parameters, trainable_parameters
from interpfer.finetuning.guide import Guide, find_layer_map
from interpfer.finetuning.patch_contrast import label_places, patch_contrast
from interpfer.maps.base import RawMap
from interpfer.maps.capture import LayerCapture
from interpfer.models.heads.base import Head
from interpfer.models.model import Model
from interpfer.truth.base import Truth


@dataclass(frozen=True)
class Penalty:
    """The terms of the guide in a batch.

    Attributes:
        attention: mean distance over the aligned layers; None where the term is left out.
        cam: likewise.
        patches: mean contrast of features inside and outside the heatmap, over the aligned layers; likewise.
        flip: mean difference of the class maps of mirrored faces; likewise.
        total: weighted sum of the terms.
        aligned: number of faces with a heatmap, over which the terms are means.
    """

    attention: Float[Tensor, ""] | None
    cam: Float[Tensor, ""] | None
    patches: Float[Tensor, ""] | None
    flip: Float[Tensor, ""] | None
    total: Float[Tensor, ""]
    aligned: int


class Guidance:
    """A guide bound to the layers of a model.

    Args:
        guide: weights and choices.
        model: the classifier, its frozen parameters without ``requires_grad``.

    Attributes:
        layers: layers whose features are aligned; of "all", those that a trainable parameter affects.
        cam_layers: layers whose class maps are.
        recorded: all of them, for ``interpfer.maps.capture.LayerRecorder``.

    Raises:
        InterpferError: no trainable parameter affects a layer whose attention is to be aligned, or a class map is to
            be in the loss of a head without second derivative.
    """

    def __init__(self, guide: Guide, model: Model) -> None:
        self.guide = guide
        self.model = model
        attention, cam = guide.weights
        uses_features = bool(attention or guide.patch_contrast)
        self.layers = self._trainable_layers(model.layers(guide.align_layers)) if uses_features else ()
        self.cam_layers = model.layers(guide.cam_layers) if cam or guide.flip_consistency else ()
        if self.cam_layers:
            _require_second_derivative(model)
        self.recorded = tuple(dict.fromkeys((*self.layers, *self.cam_layers)))
        self._attention = find_layer_map(guide.attention_map, gradient=False)
        self._cam = find_layer_map(guide.cam_map, gradient=True)

    def _trainable_layers(self, layers: Sequence[str]) -> tuple[str, ...]:
        parameters = trainable_parameters(self.model)
        affected = tuple(layer for layer in layers if parameters & affecting_parameters(self.model, layer))
        if affected and self.guide.align_layers == "all":
            return affected
        if frozen := [layer for layer in layers if layer not in affected]:
            raise InterpferError(
                f"no trainable parameter affects the attention of {', '.join(frozen)}: "
                "freeze less (--freeze none), or align other layers (--align-layers)."
            )
        return affected

    def penalty(
        self,
        outputs: Mapping[str, Tensor],
        logits: Float[Tensor, "n k"],
        targets: Int[Tensor, " n"],
        truth: Truth,
        cam_truth: Truth | None = None,
        epoch: int = 0,
        seed: int = 0,
    ) -> Penalty:
        """Compare the outputs of layers with the truth; differentiable with respect to the parameters.

        Args:
            outputs: outputs of the layers ``recorded``, as ``LayerRecorder.collect`` returns them.
            logits: logits of the same forward.
            targets: true class of each face, whose class map is aligned.
            truth: heatmaps of the true class, on the canvas.
            cam_truth: heatmaps for the class map where they differ, as in a mixture of two faces.
            epoch: counted from 0.
            seed: seed of maps that draw at random.
        """
        seeds = tuple(seed + i for i in range(len(logits)))
        cam_truth = truth if cam_truth is None else cam_truth
        if self.guide.guide_correct:
            is_correct = logits.detach().argmax(1) == targets
            truth, cam_truth = (replace(each, valid=each.valid & is_correct) for each in (truth, cam_truth))
        attention, cam = self.guide.weights
        terms: dict[str, list[Tensor]] = {"attention": [], "cam": [], "patches": [], "flip": []}
        for name in self.layers:
            features = self.model.to_grid(name, outputs[name]).float()
            if attention:
                raw = self._attention(LayerCapture(features, None, seeds=lambda: seeds))
                terms["attention"].append(self.guide.align(raw, truth, True, epoch))
            if self.guide.patch_contrast:
                terms["patches"].append(contrast_of(features, truth))
        for raw in self._class_maps(outputs, logits, targets, seeds):
            if cam:
                terms["cam"].append(self.guide.align(raw, cam_truth, False, epoch))
            if self.guide.flip_consistency:
                terms["flip"].append(flip_distance(raw, self.guide.flip_scale))
        means = {name: torch.stack(losses).mean() if losses else None for name, losses in terms.items()}
        weights = (attention, cam, self.guide.patch_contrast, self.guide.flip_consistency)
        total = logits.new_zeros(())
        for weight, term in zip(weights, means.values(), strict=True):
            total = total if term is None else total + weight * term
        return Penalty(**means, total=total, aligned=int(truth.valid.sum()))

    def _class_maps(
        self, outputs: Mapping[str, Tensor], logits: Tensor, targets: Tensor, seeds: tuple[int, ...]
    ) -> Iterator[RawMap]:
        """Yield the class map of the true class at each of ``cam_layers``."""
        if not self.cam_layers:
            return
        chosen = logits.gather(1, targets.clamp(min=0)[:, None]).sum()
        values = [outputs[name] for name in self.cam_layers]
        gradients = torch.autograd.grad(chosen, values, create_graph=True, materialize_grads=True)
        for name, value, slope in zip(self.cam_layers, values, gradients, strict=True):
            features, gradient = (self.model.to_grid(name, tensor).float() for tensor in (value, slope))
            yield self._cam(LayerCapture(features, gradient, seeds=lambda: seeds))


def _require_second_derivative(model: Model) -> None:
    for module in model.module.modules():
        if isinstance(module, Head) and not module.is_twice_differentiable:
            raise InterpferError(
                f"a {type(module).__name__} has no second derivative, which class maps in the loss need: pass --align "
                "attention, without --flip-consistency."
            )


def contrast_of(features: Float[Tensor, "n c gh gw"], truth: Truth) -> Float[Tensor, ""]:
    """Return the mean contrast of features inside and outside the heatmaps, zero where no face has one."""
    chosen = truth.valid.nonzero()[:, 0]
    if not len(chosen):
        return features.sum() * 0
    own = truth[chosen]
    labels = label_places(own.maps, (features.shape[2], features.shape[3]), own.ignore)
    return patch_contrast(features[chosen].flatten(2), labels).mean()
