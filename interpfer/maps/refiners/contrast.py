"""Contrast of a class with the others: the part of a map that all classes share is taken away."""

import torch
from torch import Tensor

from interpfer.maps.refiners.base import CLASSES, Seen, refiner

ROUNDING = 16
"""A contrast whose peak is at most so many rounding errors of the map's peak is zero: nothing is left."""

SHARPNESS = 2.0
"""Factor of the cosines in the softmax of feature surgery."""


@refiner(source="TAM, Li et al. 2025, ICCV: estimated causal inference", needs=(CLASSES,))
def contrast(maps: Tensor, seen: Seen) -> Tensor:
    """ReLU of the map less its projection on the mean map of the other classes, weighted by their probabilities."""
    assert seen.class_maps is not None
    weights = seen.probabilities.double().scatter(1, seen.targets.clamp(min=0)[:, None], 0)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    others = torch.einsum("nk,nkhw->nhw", weights.to(maps), seen.class_maps.relu())
    return less_projection(maps.relu(), others)


def less_projection(maps: Tensor, others: Tensor) -> Tensor:
    """Return the ReLU of maps less the multiples of other maps that are closest to them.

    Examples:
        >>> less_projection(torch.tensor([[[2.0, 1.0, 0.0, 1.0]]]), torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]))
        tensor([[[0.5000, 0.0000, 0.0000, 1.0000]]])
    """
    peak = others.amax((1, 2), keepdim=True)
    others = others / peak.where(peak > 0, 1)
    size = others.square().sum((1, 2), keepdim=True)
    share = (maps * others).sum((1, 2), keepdim=True) / size.where(size > 0, 1)
    left = (maps - share * others).relu()
    rounding = ROUNDING * torch.finfo(maps.dtype).eps * maps.amax((1, 2), keepdim=True)
    return left.where(left.amax((1, 2), keepdim=True) > rounding, 0)


@refiner(source="CLIP Surgery, Li et al. 2023, arXiv 2304.05653: feature surgery", needs=(CLASSES,))
def contrast_surgery(maps: Tensor, seen: Seen) -> Tensor:
    """Weighted map of the class less the mean of the weighted maps of all classes; signed.

    Weights are the softmax of twice the logits, centred and scaled to a largest magnitude of 1, over its mean: they
    stand for the cosines of image and text in CLIP.
    """
    assert seen.class_maps is not None
    rows = torch.arange(len(maps), device=maps.device)
    return surgery(seen.class_maps, seen.logits)[rows, seen.targets.clamp(min=0)]


def surgery(class_maps: Tensor, logits: Tensor) -> Tensor:
    """Return the maps of all classes, (n, k, h, w), which sum to 0 over the classes.

    Examples:
        >>> surgery(torch.tensor([[[[3.0]], [[1.0]]]]), torch.zeros(1, 2)).flatten().tolist()
        [1.0, -1.0]
    """
    centred = logits - logits.mean(1, keepdim=True)
    size = centred.abs().amax(1, keepdim=True)
    weights = (SHARPNESS * centred / size.where(size > 0, 1)).softmax(1).to(class_maps) * logits.shape[1]
    weighted = weights[:, :, None, None] * class_maps
    return weighted - weighted.mean(1, keepdim=True)
