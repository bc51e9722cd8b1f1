"""Maps that ask the model about altered pictures or altered layers.

Variants of one image go through the model in batches; whatever is drawn at random is drawn per image out of its own
seed (or out of the run's, for masks that all images share), so that no result depends on the batch. Scores are logits
of the target class, probabilities for RISE. A change of a logit is never divided by the signed logit, which would turn
a map inside out where the logit is negative.
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
"""Variants in one forward."""

NOISE = 0.15
"""Deviation of the noise of Smooth Grad-CAM++, as a share of the image's range."""

SMOOTH_SAMPLES = 8
SS_SAMPLES, SS_NOISE = 10, 2.0
IS_STEPS = 10
RISE_MASKS, RISE_CELLS, RISE_KEPT = 1024, 7, 0.5
OCCLUSION_CELLS, OCCLUSION_WINDOW = 14, 3
"""The picture is laid out in 14 x 14 cells; around each, 3 x 3 cells are hidden."""


def sweep(scene: MapContext, total: int, vary: Callable[[int, slice], Tensor]) -> Float[Tensor, "n total"]:
    """Return the target logit of ``total`` variants of each image; ``vary(image, part)`` makes some of them."""
    found = [
        torch.cat(
            [
                scene.model.logits(vary(image, slice(start, min(start + FORWARD, total))))[:, int(target)]
                for start in range(0, total, FORWARD)
            ]
        )
        for image, target in enumerate(scene.targets)
    ]
    return torch.stack(found)


def _activation(scene: MapContext) -> Float[Tensor, "n c gh gw"]:
    return capture(scene.model, scene.x, [scene.layer], scene.targets, gradients=False).layers[scene.layer].activation


def _masks(activation: Float[Tensor, "c gh gw"], size: int) -> Float[Tensor, "c 1 s s"]:
    """Return the channels at the size of the input, each stretched to [0, 1]."""
    large = F.interpolate(activation[:, None], size=(size, size), mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    return (large - low) / (high - low).where(high > low, 1)


def _score_weighted(scene: MapContext, vary: Callable[[Tensor, Tensor, int], list[Tensor]]) -> RawMap:
    """ReLU of the channels weighted by the softmax of the scores of the inputs that they mask.

    Args:
        scene: the images.
        vary: from one input, some of its masks and a seed to the sets of masked inputs that are averaged over.
    """
    activation = _activation(scene)
    weights = []
    for x, channels, target, seed in zip(scene.x, activation, scene.targets.tolist(), scene.seeds, strict=True):
        scores = []
        for start in range(0, len(channels), FORWARD):
            masks = _masks(channels[start : start + FORWARD], x.shape[-1]).to(x.dtype)
            logits = [scene.model.logits(inputs)[:, target] for inputs in vary(x, masks, seed + start)]
            scores.append(torch.stack(logits).mean(0))
        weights.append(torch.cat(scores).softmax(0))
    return torch.einsum("nc,nchw->nhw", torch.stack(weights), activation).relu()


@model_map(source="Wang et al. 2020, arXiv 1910.01279", layer=True)
def scorecam(scene: MapContext) -> RawMap:
    """ReLU of the channels weighted by the softmax of the logits of the inputs that they mask."""
    return _score_weighted(scene, lambda x, masks, _: [x * masks])


@model_map(source="Wang et al. 2020, arXiv 2006.14255", layer=True)
def ss_cam(scene: MapContext) -> RawMap:
    """Score-CAM with noise on the masks, averaged over 10 draws."""

    def noisy(x: Tensor, masks: Tensor, seed: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        draws = (torch.randn(masks.shape, generator=random).to(masks) for _ in range(SS_SAMPLES))
        return [x * (masks + SS_NOISE * noise) for noise in draws]

    return _score_weighted(scene, noisy)


@model_map(source="Naidu et al. 2020, arXiv 2010.03023", layer=True)
def is_cam(scene: MapContext) -> RawMap:
    """Score-CAM averaged over masks that fade in, in 10 steps."""
    steps = [(step + 1) / IS_STEPS for step in range(IS_STEPS)]
    return _score_weighted(scene, lambda x, masks, _: [x * masks * step for step in steps])


@model_map(source="Desai and Ramaswamy 2020, WACV, Ablation-CAM", layer=True)
def ablationcam(scene: MapContext) -> RawMap:
    """ReLU of the channels weighted by how much the logit falls without them."""
    activation = _activation(scene)
    name, call = split_call(scene.layer)
    module, layout = scene.model.module.get_submodule(name), scene.model.layer(name).layout
    axis = 1 if layout == "nchw" else -1
    gone: list[slice] = [slice(0)]
    calls = [0]

    def ablate(_: nn.Module, __: Any, output: Any) -> Any:
        calls[0] += 1
        tensor = first_tensor(output)
        assert tensor is not None
        if call not in (None, calls[0]):
            return None
        channels = range(*gone[0].indices(tensor.shape[axis]))
        keep = torch.ones(len(channels), tensor.shape[axis], dtype=tensor.dtype, device=tensor.device)
        keep[torch.arange(len(channels)), torch.tensor(channels)] = 0
        inner = tensor.dim() - 2
        keep = keep[(..., *[None] * inner)] if axis == 1 else keep[(slice(None), *[None] * inner)]
        return replace_first(output, tensor * keep)

    def vary(image: int, part: slice) -> Tensor:
        gone[0], calls[0] = part, 0
        return scene.x[image].expand(part.stop - part.start, -1, -1, -1)

    whole = scene.model.logits(scene.x).gather(1, scene.targets[:, None])
    with hooked(scene.model.module, {module: ablate}):
        without = sweep(scene, activation.shape[1], vary)
    return torch.einsum("nc,nchw->nhw", whole - without, activation).relu()


@model_map(source="Omeiza et al. 2019, arXiv 1908.01224", layer=True, gradient=True)
def smooth_gradcam_plus_plus(scene: MapContext) -> RawMap:
    """Grad-CAM++ of the mean of gradients, of their powers and of activations over 8 noisy inputs."""
    generators = [torch.Generator().manual_seed(seed) for seed in scene.seeds]
    spread = NOISE * (scene.x.amax((1, 2, 3)) - scene.x.amin((1, 2, 3)))[:, None, None, None]
    means: list[Tensor] = []
    for _ in range(SMOOTH_SAMPLES):
        noise = torch.stack([torch.randn(scene.x.shape[1:], generator=random) for random in generators])
        noisy = scene.x + spread * noise.to(scene.x)
        seen = capture(scene.model, noisy, [scene.layer], scene.targets).layers[scene.layer]
        assert seen.gradient is not None
        square = seen.gradient.square()
        parts = [seen.activation, seen.gradient, square, square * seen.gradient]
        means = [so_far + part for so_far, part in zip(means, parts, strict=True)] if means else parts
    activation, first, second, third = (total / SMOOTH_SAMPLES for total in means)
    below = 2 * second + activation.sum((2, 3), keepdim=True) * third
    alpha = second / below.where(below != 0, torch.inf)
    return torch.einsum("nc,nchw->nhw", (alpha * first.relu()).sum((2, 3)), activation).relu()


@model_map(source="Petsiuk et al. 2018, arXiv 1806.07421", layer=False)
def rise(scene: MapContext) -> RawMap:
    """Mean probability of the class over those of 1024 random masks that show a place.

    Divided by how often a place was shown, not by the expectation of that, whose scatter would drown small effects.
    """
    n, size = len(scene.x), scene.x.shape[-1]
    cell = -(-size // RISE_CELLS)
    random = torch.Generator().manual_seed(scene.seed)
    total = torch.zeros(n, size, size, device=scene.x.device)
    shown = torch.zeros(size, size, device=scene.x.device)
    for _ in range(RISE_MASKS // FORWARD):
        kept = (torch.rand(FORWARD, 1, RISE_CELLS + 1, RISE_CELLS + 1, generator=random) < RISE_KEPT).float()
        large = F.interpolate(kept, scale_factor=float(cell), mode="bilinear", align_corners=False)
        shift = torch.randint(0, cell, (FORWARD, 2), generator=random).tolist()
        masks = torch.stack([m[:, dy : dy + size, dx : dx + size] for m, (dy, dx) in zip(large, shift, strict=True)])
        masks = masks.to(scene.x.device)
        shown += masks[:, 0].sum(0)
        for image, target in enumerate(scene.targets):
            scores = scene.model.probabilities(scene.model.logits(scene.x[image] * masks.to(scene.x.dtype)))[
                :, int(target)
            ]
            total[image] += torch.einsum("m,mhw->hw", scores, masks[:, 0])
    return total / shown.clamp(min=1e-6)


@model_map(source="Zeiler and Fergus 2014, arXiv 1311.2901", layer=False)
def occlusion(scene: MapContext) -> RawMap:
    """How much the logit falls when the surroundings of each of 14 x 14 places are hidden under the mean colour."""
    size = scene.x.shape[-1]
    reach = OCCLUSION_WINDOW / 2
    edges = torch.arange(OCCLUSION_CELLS) + 0.5
    low = ((edges - reach) * size / OCCLUSION_CELLS).round().clamp(min=0)
    high = ((edges + reach) * size / OCCLUSION_CELLS).round()
    pixels = torch.arange(size)
    inside = ((pixels >= low[:, None]) & (pixels < high[:, None])).to(scene.x.device)
    windows = (inside[:, None, :, None] & inside[None, :, None, :]).reshape(-1, 1, size, size)

    def hide(image: int, part: slice) -> Tensor:
        x = scene.x[image]
        return torch.where(windows[part], x.mean((1, 2), keepdim=True), x)

    whole = scene.model.logits(scene.x).gather(1, scene.targets[:, None])
    return (whole - sweep(scene, len(windows), hide)).reshape(-1, OCCLUSION_CELLS, OCCLUSION_CELLS)
