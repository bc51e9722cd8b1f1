"""CAMs made of activations A and gradients G of the target logit; all end in a ReLU."""

from jaxtyping import Float
from torch import Tensor

from interpfer.maps.base import RawMap, layer_map
from interpfer.maps.capture import LayerCapture


def _gradient(layer: LayerCapture) -> Float[Tensor, "n c gh gw"]:
    assert layer.gradient is not None
    return layer.gradient


@layer_map(source="Selvaraju et al. 2017, arXiv 1610.02391", gradient=True)
def gradcam(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by their mean gradient."""
    weight = _gradient(layer).mean((2, 3), keepdim=True)
    return (weight * layer.activation).sum(1).relu()


@layer_map(source="Chattopadhay et al. 2018, arXiv 1710.11063", gradient=True)
def gradcam_plus_plus(layer: LayerCapture) -> RawMap:
    """ReLU of the channels weighted by positive gradients, each position by alpha = G^2 / (2 G^2 + G^3 sum A)."""
    gradient = _gradient(layer)
    square = gradient.square()
    below = 2 * square + square * gradient * layer.activation.sum((2, 3), keepdim=True)
    alpha = (square / below.where(below != 0, 1)).where(below != 0, 0)
    weight = (alpha * gradient.relu()).sum((2, 3), keepdim=True)
    return (weight * layer.activation).sum(1).relu()


@layer_map(source="Jiang et al. 2021, IEEE TIP, LayerCAM", gradient=True)
def layercam(layer: LayerCapture) -> RawMap:
    """ReLU of the activations, each position weighted by its own positive gradient."""
    return (_gradient(layer).relu() * layer.activation).sum(1).relu()
