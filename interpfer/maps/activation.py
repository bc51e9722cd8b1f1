"""Maps of activations alone, the same for every class; and CAM, whose weights are those of the head."""

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.errors import ModelError
from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture

ATTENTION = "Zagoruyko and Komodakis 2017, arXiv 1612.03928; Belharbi et al. 2024"

SHARE = 0.5
"""Share of the channels that the variants of attention average."""


@layer_map(source=ATTENTION, attention=True)
def attention(layer: LayerCapture) -> RawMap:
    """Mean over the channels."""
    return layer.activation.mean(1)


@layer_map(source=f"{ATTENTION}, variant", attention=True)
def attention_random(layer: LayerCapture) -> RawMap:
    """Mean over a random half of the channels, another for each image."""
    activation = layer.activation
    channels = activation.shape[1]
    assert layer.seeds is not None
    chosen = torch.zeros(activation.shape[:2])
    for row, seed in zip(chosen, layer.seeds(), strict=True):
        row[torch.randperm(channels, generator=torch.Generator().manual_seed(seed))[: _half(channels)]] = 1
    return torch.einsum("nc,nchw->nhw", chosen.to(activation) / _half(channels), activation)


@layer_map(source=f"{ATTENTION}, variant", attention=True)
def attention_fixed(layer: LayerCapture) -> RawMap:
    """Mean over the same random half of the channels for every image."""
    channels = layer.activation.shape[1]
    chosen = torch.randperm(channels, generator=torch.Generator().manual_seed(0))[: _half(channels)]
    return layer.activation[:, chosen.to(layer.activation.device)].mean(1)


@layer_map(source=f"{ATTENTION}, variant", attention=True)
def attention_first_half(layer: LayerCapture) -> RawMap:
    """Mean over the first half of the channels."""
    return layer.activation[:, : _half(layer.activation.shape[1])].mean(1)


@layer_map(source=f"{ATTENTION}, variant", attention=True)
def attention_second_half(layer: LayerCapture) -> RawMap:
    """Mean over the second half of the channels."""
    return layer.activation[:, layer.activation.shape[1] // 2 :].mean(1)


def _half(channels: int) -> int:
    return max(round(SHARE * channels), 1)


@layer_map(source="Zhou et al. 2016, arXiv 1512.04150", class_specific=True)
def cam(layer: LayerCapture) -> RawMap:
    """The class's own map in a head of pooling and one linear layer or convolution; signed."""
    if layer.class_map is None:
        raise ModelError("cam needs the head of the model.")
    return layer.class_map()


@layer_map(source="Muhammad and Yeasin 2020, arXiv 2008.00299")
def eigencam(layer: LayerCapture) -> RawMap:
    """ReLU of the first principal component of the activations, the larger extreme positive."""
    return principal(layer.activation).relu()


def principal(features: Float[Tensor, "n c gh gw"]) -> RawMap:
    """Project each image's positions onto their first principal direction; the larger absolute extreme is positive.

    The eigenvectors are those of the smaller of the two covariances, channels by channels or positions by positions.
    """
    n, channels, height, width = features.shape
    points = features.flatten(2)
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
