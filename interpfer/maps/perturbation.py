"""Maps that run the model on altered pictures or with altered layers.

Variants of one image go through the model in batches. Random numbers depend on the seed of each image, or on that of
the run for masks that all images share, so that no map depends on the batch. Scores are logits of the target class. A
change of a logit is never divided by the signed logit, which would invert a map where the logit is negative.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from interpfer.maps.base import MapContext, RawMap, model_map
from interpfer.maps.capture import capture
from interpfer.models.hooks import first_tensor, hooked, replace_first
from interpfer.models.layers import split_call

FORWARD = 64
"""Number of variants in one forward."""

NOISE = 0.15
"""Standard deviation of the noise of Smooth Grad-CAM++, as a share of the image's range."""

SMOOTH_SAMPLES = 8
SS_SAMPLES, SS_NOISE = 10, 2.0
IS_STEPS = 10
OCCLUSION_CELLS, OCCLUSION_WINDOW = 14, 3
"""The picture has 14 x 14 cells; around each, 3 x 3 cells are hidden."""


def sweep(context: MapContext, total: int, vary: Callable[[int, slice], Tensor]) -> Float[Tensor, "n total"]:
    """Return the target logits of ``total`` variants of each image; ``vary(image, part)`` returns some of them."""
    logits = [
        torch.cat(
            [
                context.model.logits(vary(image, slice(start, min(start + FORWARD, total))))[:, int(target)]
                for start in range(0, total, FORWARD)
            ]
        )
        for image, target in enumerate(context.targets)
    ]
    return torch.stack(logits)


def _activation(context: MapContext) -> Float[Tensor, "n c gh gw"]:
    captured = capture(context.model, context.x, [context.layer], context.targets, gradients=False)
    return captured.layers[context.layer].activation


def _masks(activation: Float[Tensor, "c gh gw"], size: int) -> Float[Tensor, "c 1 s s"]:
    """Return the channels at the size of the input, each stretched to [0, 1]."""
    large = F.interpolate(activation[:, None], size=(size, size), mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    return (large - low) / (high - low).where(high > low, 1)


def _score_weighted(context: MapContext, vary: Callable[[Tensor, Tensor, int], list[Tensor]]) -> RawMap:
    """Return the ReLU of the channels weighted by the softmax of the scores of the inputs that they mask.

    Args:
        context: the images.
        vary: function from one input, some of its masks and a seed to sets of masked inputs, which are averaged.
    """
    activation = _activation(context)
    weights = []
    for x, channels, target, seed in zip(context.x, activation, context.targets.tolist(), context.seeds, strict=True):
        scores = []
        for start in range(0, len(channels), FORWARD):
            masks = _masks(channels[start : start + FORWARD], x.shape[-1]).to(x.dtype)
            logits = [context.model.logits(inputs)[:, target] for inputs in vary(x, masks, seed + start)]
            scores.append(torch.stack(logits).mean(0))
        weights.append(torch.cat(scores).softmax(0))
    return torch.einsum("nc,nchw->nhw", torch.stack(weights), activation).relu()


@model_map(source="Wang et al. 2020, arXiv 1910.01279", layer=True)
def scorecam(context: MapContext) -> RawMap:
    """ReLU of the channels weighted by the softmax of the logits of the inputs that they mask."""
    return _score_weighted(context, lambda x, masks, _: [x * masks])


@model_map(source="Wang et al. 2020, arXiv 2006.14255; noise on masks in [0, 1]", layer=True)
def ss_cam(context: MapContext) -> RawMap:
    """Score-CAM with noise on the masks, averaged over 10 draws."""

    def noisy(x: Tensor, masks: Tensor, seed: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        draws = (torch.randn(masks.shape, generator=random).to(masks) for _ in range(SS_SAMPLES))
        return [x * (masks + SS_NOISE * noise) for noise in draws]

    return _score_weighted(context, noisy)


@model_map(source="Naidu et al. 2020, arXiv 2010.03023", layer=True)
def is_cam(context: MapContext) -> RawMap:
    """Score-CAM averaged over masks that fade in, in 10 steps."""
    steps = [(step + 1) / IS_STEPS for step in range(IS_STEPS)]
    return _score_weighted(context, lambda x, masks, _: [x * masks * step for step in steps])


@model_map(source="Desai and Ramaswamy 2020, WACV, Ablation-CAM; not divided by the logit", layer=True)
def ablationcam(context: MapContext) -> RawMap:
    """ReLU of the channels weighted by how much the logit falls without them."""
    activation = _activation(context)
    name, call = split_call(context.layer)
    module, of_model = context.model.module.get_submodule(name), context.model.layer(name)
    axis = 1 if of_model.layout == "nchw" else -1
    removed: list[slice] = [slice(0)]
    calls = [0]

    def ablate(_: nn.Module, __: Any, output: Any) -> Any:
        calls[0] += 1
        tensor = first_tensor(output, of_model.part)
        assert tensor is not None
        if call not in (None, calls[0]):
            return None
        channels = range(*removed[0].indices(tensor.shape[axis]))
        keep = torch.ones(len(channels), tensor.shape[axis], dtype=tensor.dtype, device=tensor.device)
        keep[torch.arange(len(channels)), torch.tensor(channels)] = 0
        inner = tensor.dim() - 2
        keep = keep[(..., *[None] * inner)] if axis == 1 else keep[(slice(None), *[None] * inner)]
        return replace_first(output, tensor * keep, of_model.part)

    def vary(image: int, part: slice) -> Tensor:
        removed[0], calls[0] = part, 0
        return context.x[image].expand(part.stop - part.start, -1, -1, -1)

    whole = context.model.logits(context.x).gather(1, context.targets[:, None])
    with hooked(context.model.module, {module: ablate}):
        without = sweep(context, activation.shape[1], vary)
    return torch.einsum("nc,nchw->nhw", whole - without, activation).relu()


@model_map(source="Omeiza et al. 2019, arXiv 1908.01224", layer=True, gradient=True)
def smooth_gradcam_plus_plus(context: MapContext) -> RawMap:
    """Grad-CAM++ of the mean of gradients, of their powers and of activations over 8 noisy inputs."""
    generators = [torch.Generator().manual_seed(seed) for seed in context.seeds]
    spread = NOISE * (context.x.amax((1, 2, 3)) - context.x.amin((1, 2, 3)))[:, None, None, None]
    sums: list[Tensor] = []
    for _ in range(SMOOTH_SAMPLES):
        noise = torch.stack([torch.randn(context.x.shape[1:], generator=random) for random in generators])
        noisy = context.x + spread * noise.to(context.x)
        captured = capture(context.model, noisy, [context.layer], context.targets).layers[context.layer]
        assert captured.gradient is not None
        square = captured.gradient.square()
        parts = [captured.activation, captured.gradient, square, square * captured.gradient]
        sums = [total + part for total, part in zip(sums, parts, strict=True)] if sums else parts
    activation, first, second, third = (total / SMOOTH_SAMPLES for total in sums)
    denominator = 2 * second + activation.sum((2, 3), keepdim=True) * third
    alpha = second / denominator.where(denominator != 0, torch.inf)
    return torch.einsum("nc,nchw->nhw", (alpha * first.relu()).sum((2, 3)), activation).relu()


@model_map(source="Zeiler and Fergus 2014, arXiv 1311.2901", layer=False)
def occlusion(context: MapContext) -> RawMap:
    """Fall of the logit when 3 x 3 of 14 x 14 cells around each cell are hidden under the mean colour."""
    size = context.x.shape[-1]
    reach = OCCLUSION_WINDOW / 2
    edges = torch.arange(OCCLUSION_CELLS) + 0.5
    low = ((edges - reach) * size / OCCLUSION_CELLS).round().clamp(min=0)
    high = ((edges + reach) * size / OCCLUSION_CELLS).round()
    pixels = torch.arange(size)
    inside = ((pixels >= low[:, None]) & (pixels < high[:, None])).to(context.x.device)
    windows = (inside[:, None, :, None] & inside[None, :, None, :]).reshape(-1, 1, size, size)

    def hide(image: int, part: slice) -> Tensor:
        x = context.x[image]
        return torch.where(windows[part], x.mean((1, 2), keepdim=True), x)

    whole = context.model.logits(context.x).gather(1, context.targets[:, None])
    return (whole - sweep(context, len(windows), hide)).reshape(-1, OCCLUSION_CELLS, OCCLUSION_CELLS)
