"""Maps of activations alone, the same for every class; and CAM, whose weights are those of the head."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture
from interpfer.registry import also_called

ATTENTION = "Zagoruyko and Komodakis 2017, arXiv 1612.03928; Belharbi et al. 2024"

ROUNDING = 1e-6
"""A mean over channels is a rounding error where it is at most this share of their magnitude."""

SAMPLED = 16
"""Positions, about, at which that magnitude is looked up."""

KEPT = 0.5
"""Probability with which attention-random keeps a channel."""


@also_called("ATT", "attention map")
@layer_map(source=ATTENTION, attention=True, terms=lambda layer: layer.activation)
def attention(layer: LayerCapture) -> RawMap:
    """Mean over the channels."""
    mean = layer.activation.mean(1)
    return mean.where(_exceeds_rounding(mean, layer.activation), torch.nan)


def _exceeds_rounding(mean: RawMap, activation: Float[Tensor, "n c gh gw"]) -> Bool[Tensor, "n 1 1"]:
    """Return which maps are more than rounding errors: after a layer norm with equal weights, every mean is 0.

    Magnitudes are those of a few positions.
    """
    places = activation.flatten(2)
    size = places[:, :, :: max(places.shape[2] // SAMPLED, 1)].abs().amax((1, 2))
    peak = mean.abs().amax((1, 2))
    return ~((peak > 0) & (peak <= ROUNDING * size))[:, None, None]


@layer_map(source="Belharbi et al. 2024, arXiv 2402.00281, its code: random_avg, p = 0.5", attention=True)
def attention_random(layer: LayerCapture) -> RawMap:
    """Mean over random channels, each kept with probability 0.5, others for each image."""
    draws = (torch.rand(layer.activation.shape[1], generator=random) < KEPT for random in _generators(layer))
    return _mean_of(torch.stack(list(draws)), layer)


@layer_map(source="Belharbi et al. 2024, arXiv 2402.00281, its code: avg_fixed_q, q = 0.5", attention=True)
def attention_fixed(layer: LayerCapture) -> RawMap:
    """Mean over the first half of the channels, as attention-first-half."""
    return layer.activation[:, : _half(layer.activation.shape[1])].mean(1)


@layer_map(source="Belharbi et al. 2024, arXiv 2402.00281, its code: avg_half_left", attention=True)
def attention_first_half(layer: LayerCapture) -> RawMap:
    """Mean over the first half of the channels."""
    return layer.activation[:, : _half(layer.activation.shape[1])].mean(1)


@layer_map(source="Belharbi et al. 2024, arXiv 2402.00281, its code: avg_half_right", attention=True)
def attention_second_half(layer: LayerCapture) -> RawMap:
    """Mean over the second half of the channels."""
    return layer.activation[:, layer.activation.shape[1] // 2 :].mean(1)


@layer_map(source="interpfer; attention-random with a number of channels that does not vary", attention=True)
def attention_random_half(layer: LayerCapture) -> RawMap:
    """Mean over a random half of the channels, exactly half of them, another for each image."""
    return _mean_of(torch.stack([_draw_half(layer, random) for random in _generators(layer)]), layer)


@layer_map(source="interpfer; attention-fixed with channels drawn at random once", attention=True)
def attention_same_half(layer: LayerCapture) -> RawMap:
    """Mean over a random half of the channels, the same for every image."""
    chosen = _draw_half(layer, torch.Generator().manual_seed(0))
    return layer.activation[:, chosen.to(layer.activation.device)].mean(1)


def _half(channels: int) -> int:
    return max(channels // 2, 1)


def _generators(layer: LayerCapture) -> Iterator[torch.Generator]:
    assert layer.seeds is not None
    return (torch.Generator().manual_seed(seed) for seed in layer.seeds())


def _draw_half(layer: LayerCapture, random: torch.Generator) -> Bool[Tensor, " c"]:
    channels = layer.activation.shape[1]
    chosen = torch.zeros(channels, dtype=torch.bool)
    chosen[torch.randperm(channels, generator=random)[: _half(channels)]] = True
    return chosen


def _mean_of(chosen: Bool[Tensor, "n c"], layer: LayerCapture) -> RawMap:
    """Return the mean over the chosen channels; zero, which is undefined, where none is."""
    weights = chosen.to(layer.activation)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("nc,nchw->nhw", weights, layer.activation)


@layer_map(source="Zhou et al. 2016, arXiv 1512.04150", class_specific=True)
def cam(layer: LayerCapture) -> RawMap:
    """The class's own map in a head of pooling and one linear layer or convolution; signed."""
    if layer.class_map is None:
        raise ModelError("cam needs the head of the model.")
    return layer.class_map()


@layer_map(source="Muhammad and Yeasin 2020, arXiv 2008.00299")
def eigencam(layer: LayerCapture) -> RawMap:
    """Activations projected on their first right singular vector, not centred, larger extreme positive; signed."""
    return project_on_first(layer.activation, centred=False)


@layer_map(source="pytorch-grad-cam, EigenCAM, after Muhammad and Yeasin 2020, arXiv 2008.00299")
def eigencam_centred(layer: LayerCapture) -> RawMap:
    """ReLU of the first principal component: Eigen-CAM of channels less their means, the larger extreme positive."""
    return project_on_first(layer.activation, centred=True).relu()


def project_on_first(features: Float[Tensor, "n c gh gw"], centred: bool) -> RawMap:
    """Project each image's positions onto the first right singular vector of its (positions, channels) matrix.

    The sign of a singular vector is arbitrary: it is chosen so that the larger absolute extreme of the map is positive.
    The vectors are eigenvectors of the smaller of the two products of the matrix with itself, channels by channels or
    positions by positions.

    Values are relative to the largest magnitude of the features.

    Args:
        features: activations, or gradient times activation.
        centred: whether the mean over the positions is subtracted from each channel, which makes the projection the
            first principal component.

    Examples:
        >>> features = torch.tensor([[[[-3.0, 0.0]], [[-4.0, 0.0]]]])  # on the line (3, 4) / 5
        >>> project_on_first(features, centred=False).round(decimals=4).abs()
        tensor([[[1.2500, 0.0000]]])
    """
    n, channels, height, width = features.shape
    points = features.flatten(2)
    if centred:
        points = points - points.mean(2, keepdim=True)
    points = points / points.abs().amax((1, 2), keepdim=True).clamp(min=torch.finfo(points.dtype).tiny)
    finite = points.isfinite().all(2).all(1)
    points = points.where(finite[:, None, None], 0)
    if channels <= height * width:
        direction = torch.linalg.eigh(points @ points.mT).eigenvectors[:, :, -1:]
        projected = (direction.mT @ points)[:, 0]
    else:
        values, vectors = torch.linalg.eigh(points.mT @ points)
        projected = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    low, high = projected.aminmax(dim=1, keepdim=True)
    projected = projected * torch.where(-low > high, -1, 1)
    maps: Tensor = projected.where(finite[:, None], torch.nan).reshape(n, height, width)
    return maps
