"""Linear layers and convolutions of Keras as those of torch."""

from typing import Any, TypeVar

import torch
from torch import nn

L = TypeVar("L", nn.Linear, nn.Conv2d)


def as_torch_layer(module: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """Return a linear layer or convolution of torch, or a copy of one of Keras in the layout of torch.

    Args:
        module: any module.

    Returns:
        ``module`` itself if it is of torch; the same function of (n, c, h, w) if it is a ``Dense`` or ``Conv2D`` of
        Keras, without its activation; None for all others.

    Examples:
        >>> layer = nn.Linear(3, 2)
        >>> as_torch_layer(layer) is layer, as_torch_layer(nn.ReLU())
        (True, None)
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        return module
    kind = type(module)
    if not kind.__module__.startswith("keras.") or kind.__name__ not in ("Dense", "Conv2D"):
        return None
    keras_layer: Any = module
    kernel = keras_layer.kernel.value.detach()
    bias = None if keras_layer.bias is None else keras_layer.bias.value.detach()
    layer = _make_linear(kernel, bias) if kind.__name__ == "Dense" else _make_convolution(keras_layer, kernel, bias)
    if layer is not None:
        layer.requires_grad_(False)
    return layer


def _make_linear(kernel: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    inputs, outputs = kernel.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    return _fill(layer, kernel.mT, bias)


def _make_convolution(keras_layer: Any, kernel: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d | None:
    """Return the convolution; None for padding that torch has no word for."""
    height, width, inputs, outputs = kernel.shape
    if keras_layer.padding == "same" and max(keras_layer.strides) > 1:
        return None
    layer = nn.Conv2d(
        inputs * keras_layer.groups,
        outputs,
        (height, width),
        stride=keras_layer.strides,
        padding=keras_layer.padding,
        dilation=keras_layer.dilation_rate,
        groups=keras_layer.groups,
        bias=bias is not None,
        device="meta",
    )
    return _fill(layer, kernel.permute(3, 2, 0, 1), bias)


def _fill(layer: L, weight: torch.Tensor, bias: torch.Tensor | None) -> L:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer
