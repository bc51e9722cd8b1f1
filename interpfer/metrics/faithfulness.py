"""Faithfulness: does the probability of the target class depend on the pixels that a map marks?

Pixels are hidden or shown in the order of the map, and the probability of the target class is measured. A map can agree
with the AU heatmap and still be unfaithful. These metrics run the model many times.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from interpfer.metrics.base import MASK_LEVEL, MapBatch, Scores, model_metric
from interpfer.metrics.queries import Images, ModelProbe

STEPS = 20
"""Number of equal parts in which the pixels of a face are hidden or shown."""
COARSE = 8
"""Side of the grid to which a face is blurred where it is hidden."""
KERNEL, DEVIATION = 11 / 224, 5 / 224
"""Side and standard deviation of the kernel that blurs a face for ``insertion``, as shares of the side of the input."""
CONTROLS = 4
"""Number of other regions with which the AU regions are compared."""

PETSIUK = "Petsiuk et al. 2018, RISE, arXiv 1806.07421"
CHATTOPADHAY = "Chattopadhay et al. 2018, arXiv 1710.11063"

STEPS_OF_PETSIUK = "20 steps, the source 224 (224 pixels each)"
BLUR_FOR_PETSIUK = "as Petsiuk et al. 2018, but hidden pixels are blurred to an 8 x 8 grid in both directions"
BLACK = "multiplies the face in [0, 1], which goes towards black; pytorch-grad-cam multiplies the normalised input"


@model_metric(higher_is_better=False, bounds=(0.0, 1.0), source=PETSIUK, difference=STEPS_OF_PETSIUK, definition=2)
def deletion(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Mean probability of the target while pixels become 0 in the model's input, from the map's highest on."""
    return _area(maps, probe, SHARP, ZERO)


@model_metric(
    higher_is_better=True,
    bounds=(0.0, 1.0),
    source=PETSIUK,
    difference=f"{STEPS_OF_PETSIUK}; the blur scales with the input size",
    definition=2,
)
def insertion(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Mean probability of the target while a blurred face (11 x 11, sigma 5) is made sharp from the highest pixels on.

    The kernel has the size and the deviation of the source for an input of 224 pixels, and the same share of the side
    of a smaller or larger one.
    """
    return _area(maps, probe, SMOOTH, SHARP)


@model_metric(higher_is_better=False, bounds=(0.0, 1.0), source="interpfer", difference=BLUR_FOR_PETSIUK)
def deletion_blur(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Mean probability of the target while the face is blurred to an 8 x 8 grid, from the map's highest pixels on."""
    return _area(maps, probe, SHARP, BLURRED)


@model_metric(higher_is_better=True, bounds=(0.0, 1.0), source="interpfer", difference=BLUR_FOR_PETSIUK)
def insertion_blur(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Mean probability of the target while a face blurred to 8 x 8 is made sharp, from the map's highest pixels on."""
    return _area(maps, probe, BLURRED, SHARP)


@model_metric(
    higher_is_better=False,
    bounds=(0.0, 1.0),
    source="Bach et al. 2015, doi 10.1371/journal.pone.0130140; as PixelFlipping of Quantus",
    difference="20 steps; the face's mean colour, Quantus black by default; not AOPC (Samek et al. 2017), which has "
    "random colours in patches",
)
def pixel_flipping(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Mean probability of the target while pixels take the face's mean colour, from the map's highest on."""
    return _area(maps, probe, SHARP, PLAIN)


@model_metric(higher_is_better=False, bounds=(0.0, 1.0), source=CHATTOPADHAY, difference=BLACK)
def average_drop(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Share of the target's probability that is lost when the face is multiplied by the map (towards black)."""
    whole, masked = _masked(maps, probe)
    return ((whole - masked) / whole).clamp(min=0)


@model_metric(higher_is_better=True, bounds=(0.0, 1.0), source=CHATTOPADHAY, difference=BLACK)
def increase(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Whether the target's probability rises when the face is multiplied by the map (towards black)."""
    whole, masked = _masked(maps, probe)
    return (masked > whole).to(whole)


@model_metric(higher_is_better=True, bounds=(-1.0, 1.0), source="interpfer")
def au_occlusion(maps: MapBatch, probe: ModelProbe) -> Scores:
    """Fall of the target's probability when the AU regions are blurred, less that for other regions as large.

    A property of model and face, not of the map: all maps have the same score. Other regions are random blobs outside
    the AU regions; where these fill more than half of the picture, the score is undefined. With another truth than
    action units, its mask takes their place; pixels that it ignores are in neither region.
    """
    del maps
    return probe.once(_occlusion_drop)


def _occlusion_drop(probe: ModelProbe) -> Scores:
    size = probe.images.shape[-1]
    mask = F.interpolate((probe.heat >= MASK_LEVEL).float()[:, None], size=(size, size), mode="area")[:, 0] >= 0.5
    area, taken = mask.sum((1, 2)), mask
    if probe.ignore is not None:
        taken = mask | (F.interpolate(probe.ignore.float()[:, None], size=(size, size), mode="area")[:, 0] >= 0.5)
    hidden = [mask]
    for field in probe.noise((CONTROLS, 5, 5)).unbind(1):
        blobs = F.interpolate(field[:, None], size=(size, size), mode="bilinear")[:, 0]
        ranks = ranks_from_top(torch.where(taken, -1.0, blobs))
        hidden.append(ranks < area[:, None, None])
    blurry = probe.once(BLURRED.pictures)
    variants = [torch.where(region[:, None], blurry, probe.images) for region in hidden]
    expected, *others = probe.probability(torch.cat(variants)).view(len(variants), -1)
    valid = (area > 0) & (2 * area <= mask[0].numel() - (taken & ~mask).sum((1, 2))) & probe.heat[:, 0, 0].isfinite()
    return torch.where(valid.to(expected.device), torch.stack(others).mean(0) - expected, torch.nan)


def blur(images: Images) -> Images:
    """Return images reduced to an 8 x 8 grid and enlarged again."""
    small = F.interpolate(images, size=(COARSE, COARSE), mode="area")
    return F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)


def smooth(images: Images, zero: tuple[float, float, float]) -> Images:
    """Return images convolved with the kernel of RISE, a Gaussian whose tails are folded back.

    Args:
        images: (n, 3, s, s) in [0, 1].
        zero: colour of what lies beyond the border.
    """
    side = images.shape[-1]
    length = 2 * max(1, round((KERNEL * side - 1) / 2)) + 1
    impulse = np.zeros(length)
    impulse[length // 2] = 1
    line = images.new_tensor(gaussian_filter1d(impulse, DEVIATION * side))
    color = images.new_tensor(zero)[:, None, None]
    blurred = (images - color).flatten(0, 1)[:, None]
    blurred = F.conv2d(blurred, line[None, None, None, :], padding=(0, length // 2))
    blurred = F.conv2d(blurred, line[None, None, :, None], padding=(length // 2, 0))
    return blurred.view_as(images) + color


class _Alteration(NamedTuple):
    """An alteration of whole faces, the same for all maps, so that ``ModelProbe.once`` computes it once.

    Attributes:
        pictures: the altered faces of a probe.
        probability: the probability of each face's target for them.
    """

    pictures: Callable[[ModelProbe], Images]
    probability: Callable[[ModelProbe], Scores]

    @classmethod
    def of(cls, pictures: Callable[[ModelProbe], Images]) -> "_Alteration":
        return cls(pictures, lambda probe: probe.probability(probe.once(pictures)))


SHARP = _Alteration.of(lambda probe: probe.images)
BLURRED = _Alteration.of(lambda probe: blur(probe.images))
SMOOTH = _Alteration.of(lambda probe: smooth(probe.images, probe.zero))
ZERO = _Alteration.of(lambda probe: probe.images.new_tensor(probe.zero)[:, None, None].expand_as(probe.images))
PLAIN = _Alteration.of(lambda probe: probe.images.mean((2, 3), keepdim=True).expand_as(probe.images))


def ranks_from_top(maps: Float[Tensor, "n s s"]) -> Int[Tensor, "n s s"]:
    """Return the rank of each pixel, 0 for the highest; ties in the order of the pixels.

    Examples:
        >>> ranks_from_top(torch.tensor([[[0.2, 0.9], [0.5, 0.1]]])).tolist()
        [[[2, 0], [1, 3]]]
    """
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = torch.arange(order.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks).view_as(maps)


def _at_input(maps: MapBatch, probe: ModelProbe) -> Float[Tensor, "n s s"]:
    size = probe.images.shape[-2:]
    return F.interpolate(maps[:, None].to(probe.images), size=size, mode="bilinear", antialias=True)[:, 0]


def ranks_at_input(maps: MapBatch, probe: ModelProbe) -> Int[Tensor, "n s s"]:
    """Return the rank of each pixel of the model's input, 0 where the map is highest; ties in random order."""
    small = _at_input(maps, probe)
    return ranks_from_top(small + 1e-6 * probe.noise(tuple(small.shape[1:])))


def _area(maps: MapBatch, probe: ModelProbe, before: _Alteration, after: _Alteration) -> Scores:
    """Turn one picture into the other in the order of the map; return the area under the curve of the probability."""
    ranks = ranks_at_input(maps, probe)
    pixels = ranks[0].numel() if len(ranks) else 1
    changed: list[Bool[Tensor, "n s s"]] = [ranks < round(pixels * step / STEPS) for step in range(1, STEPS)]
    steps_at_once = max(1, probe.images_per_forward // max(len(maps), 1))
    old, new = probe.once(before.pictures), probe.once(after.pictures)
    curve = [probe.once(before.probability)]
    for start in range(0, len(changed), steps_at_once):
        masks = changed[start : start + steps_at_once]
        pictures = torch.cat([torch.where(mask[:, None], new, old) for mask in masks])
        curve += probe.probability(pictures).view(len(masks), -1)
    curve.append(probe.once(after.probability))
    return torch.trapezoid(torch.stack(curve), dim=0) / STEPS


def _masked(maps: MapBatch, probe: ModelProbe) -> tuple[Scores, Scores]:
    """Return the probability for the whole face, and for the face times the map."""
    return probe.once(SHARP.probability), probe.probability(probe.images * _at_input(maps, probe)[:, None])
