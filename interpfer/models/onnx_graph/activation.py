"""Activations and other functions of one tensor."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.models.onnx_graph.function import Function
from interpfer.models.onnx_graph.node import Node


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    for bound, choose in ((low, torch.maximum), (high, torch.minimum)):
        if bound is not None:
            x = choose(x, bound.to(x))
    return x


def _clamp(x: Tensor, *, low: float | None, high: float | None) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


def _build_clip(node: Node) -> nn.Module:
    if not node.is_fixed(1, 2):
        return Function(_clip, node)
    values = [node.constant(1), node.constant(2)]
    low, high = (None if value is None else float(value) for value in values)
    low, high = node.get("min", low), node.get("max", high)
    if (low, high) == (0, 6):
        return nn.ReLU6()
    return Module(_clamp, node, low=low, high=high)


class Module(Function):
    """A function of the first input of a node; other inputs are options."""

    def __init__(self, function: Callable[..., Any], node: Node, /, **options: Any) -> None:
        super().__init__(function, replace(node, inputs=node.inputs[:1], constants=node.constants[:1]), **options)


def _hard_sigmoid(x: Tensor, *, alpha: float, beta: float) -> Tensor:
    return torch.clamp(alpha * x + beta, 0, 1)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x >= 0, x, slope * x)


def _coerced_softmax(x: Tensor, *, function: Callable[..., Tensor], axis: int) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    rows = x.reshape(math.prod(x.shape[:axis]), -1)
    return function(rows, 1).reshape(x.shape)


def _softmax_of(kind: type[nn.Module], function: Callable[..., Tensor]) -> Callable[[Node], nn.Module]:
    def build(node: Node) -> nn.Module:
        """Before opset 13 the axes from ``axis`` on are one."""
        if node.opset >= 13:
            return kind(dim=node.get("axis", -1))
        return Function(_coerced_softmax, node, function=function, axis=node.get("axis", 1))

    return build


def _build_dropout(node: Node) -> nn.Module:
    if any(node.outputs[1:]):
        return Module(_dropout_with_mask, node)
    ratio = node.constant(1)
    return nn.Dropout(float(ratio) if ratio is not None else node.get("ratio", 0.5))


def _dropout_with_mask(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, torch.ones_like(x, dtype=torch.bool)


def _thresholded(x: Tensor, *, alpha: float) -> Tensor:
    return torch.where(x > alpha, x, torch.zeros_like(x))


def _celu(x: Tensor, *, alpha: float) -> Tensor:
    return F.celu(x, alpha)


def _elu(x: Tensor, *, alpha: float) -> Tensor:
    return F.elu(x, alpha)


def _selu(x: Tensor, *, alpha: float, gamma: float) -> Tensor:
    return gamma * torch.where(x > 0, x, alpha * (x.clamp(max=0).exp() - 1))


def _swish(x: Tensor, *, alpha: float) -> Tensor:
    return x * torch.sigmoid(alpha * x)


def _with(function: Callable[..., Tensor], **defaults: float) -> Callable[[Node], nn.Module]:
    """Return a builder of a function whose options are attributes with these defaults."""

    def build(node: Node) -> nn.Module:
        return Function(function, node, **{name: node.get(name, value) for name, value in defaults.items()})

    return build


def _plain(function: Callable[[Tensor], Tensor]) -> Callable[[Node], nn.Module]:
    return lambda node: Function(function, node)


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs, "Acos": torch.acos, "Asin": torch.asin, "Atan": torch.atan, "Ceil": torch.ceil,
    "Cos": torch.cos, "Cosh": torch.cosh, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor,
    "IsNaN": torch.isnan, "Log": torch.log, "Neg": torch.neg, "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal, "Round": torch.round, "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh,
    "Sqrt": torch.sqrt, "Tan": torch.tan,
}  # fmt: skip
"""Operator -> function of torch."""

BUILDERS: dict[str, Callable[[Node], nn.Module]] = {
    **{name: _plain(function) for name, function in PLAIN.items()},
    "Celu": _with(_celu, alpha=1.0),
    "Clip": _build_clip,
    "Dropout": _build_dropout,
    "Elu": _with(_elu, alpha=1.0),
    "Gelu": lambda node: nn.GELU(node.get("approximate", "none")),
    "HardSigmoid": _with(_hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": lambda node: nn.Hardswish(),  # noqa: ARG005
    "LeakyRelu": lambda node: nn.LeakyReLU(node.get("alpha", 0.01)),
    "LogSoftmax": _softmax_of(nn.LogSoftmax, F.log_softmax),
    "Mish": lambda node: nn.Mish(),  # noqa: ARG005
    "PRelu": lambda node: Function(_prelu, node),
    "Relu": lambda node: nn.ReLU(),  # noqa: ARG005
    "Selu": _with(_selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "Sigmoid": lambda node: nn.Sigmoid(),  # noqa: ARG005
    "Softmax": _softmax_of(nn.Softmax, F.softmax),
    "Softplus": lambda node: nn.Softplus(),  # noqa: ARG005
    "Softsign": lambda node: nn.Softsign(),  # noqa: ARG005
    "Swish": _with(_swish, alpha=1.0),
    "Tanh": lambda node: nn.Tanh(),  # noqa: ARG005
    "ThresholdedRelu": _with(_thresholded, alpha=1.0),
}
"""Operator -> function that builds its module."""
