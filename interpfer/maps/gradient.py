"""CAMs of activations A and gradients G of the target logit; all end in a ReLU.

Sums over channels or positions are matrix products, which read A and G once.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from interpfer.maps.activation import project_on_first
from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture


def _gradient(layer: LayerCapture) -> Float[Tensor, "n c gh gw"]:
    assert layer.gradient is not None
    return layer.gradient


def _positive_gradient(layer: LayerCapture) -> Float[Tensor, "n c gh gw"]:
    return _gradient(layer).relu() * layer.activation


def _mean_weights(layer: LayerCapture) -> Float[Tensor, "n c"]:
    return _gradient(layer).mean((2, 3))


def _plus_plus_weights(layer: LayerCapture) -> Float[Tensor, "n c"]:
    positive = _gradient(layer).relu()
    denominator = torch.addcmul(positive.new_tensor(2), positive, layer.activation.sum((2, 3), keepdim=True))
    return (positive / denominator.where(denominator != 0, torch.inf)).sum((2, 3))


def _x_weights(layer: LayerCapture) -> Float[Tensor, "n c"]:
    total = layer.activation.sum((2, 3))
    return layer.product.sum((2, 3)) / total.where(total != 0, torch.inf)


def _of(weights: Callable[[LayerCapture], Tensor]) -> Callable[[LayerCapture], Tensor]:
    """Return the function of the summands of a map whose channels have such weights."""
    return lambda layer: weights(layer)[:, :, None, None] * layer.activation


def weighted(weight: Float[Tensor, "n c"], layer: LayerCapture) -> RawMap:
    """Return the ReLU of the weighted sum of the channels."""
    return torch.einsum("nc,nchw->nhw", weight, layer.activation).relu()


@layer_map(source="Selvaraju et al. 2017, arXiv 1610.02391", gradient=True, terms=_of(_mean_weights))
def gradcam(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by their mean gradient."""
    return weighted(_mean_weights(layer), layer)


@layer_map(source="Chattopadhay et al. 2018, arXiv 1710.11063", gradient=True, terms=_of(_plus_plus_weights))
def gradcam_plus_plus(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by positive gradients, each position by alpha = G^2 / (2 G^2 + G^3 sum A).

    Alpha times ReLU(G) is G / (2 + G sum A) where G is positive, which does not underflow.
    """
    return weighted(_plus_plus_weights(layer), layer)


@layer_map(source="torchcam and Belharbi et al. 2024, whose code lacks the division", gradient=True)
def gradcam_plus_plus_compat(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by sum G^2 ReLU(G): Grad-CAM++ as some libraries compute it."""
    gradient = _gradient(layer)
    return weighted((gradient.square() * gradient.relu()).sum((2, 3)), layer)


@layer_map(source="Jiang et al. 2021, IEEE TIP, LayerCAM", gradient=True, terms=_positive_gradient)
def layercam(layer: LayerCapture) -> RawMap:
    """ReLU of the activations, each position weighted by its own positive gradient."""
    return _positive_gradient(layer).sum(1).relu()


@layer_map(source="Fu et al. 2020, arXiv 2008.02312", gradient=True, terms=_of(_x_weights))
def xgradcam(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by their mean gradient under their own activation, sum(G A) / sum(A)."""
    return weighted(_x_weights(layer), layer)


@layer_map(source="Draelos and Carin 2020, arXiv 2011.08891", gradient=True, terms=lambda layer: layer.product)
def hirescam(layer: LayerCapture) -> RawMap:
    """ReLU of the sum of gradient times activation."""
    return layer.product.sum(1).relu()


@layer_map(source="pytorch-grad-cam, GradCAMElementWise", gradient=True)
def gradcam_elementwise(layer: LayerCapture) -> RawMap:
    """Sum of the ReLU of gradient times activation."""
    return layer.product.relu().sum(1)


@layer_map(source="pytorch-grad-cam, EigenGradCAM, after Muhammad and Yeasin 2020, arXiv 2008.00299", gradient=True)
def eigengradcam(layer: LayerCapture) -> RawMap:
    """ReLU of the first principal component of gradient times activation, the larger extreme positive."""
    return project_on_first(layer.product, centred=True).relu()
