"""Arithmetic and comparison of several tensors."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor, nn

from interpfer.models.onnx_graph.function import Function, same_device
from interpfer.models.onnx_graph.node import Node


def _pair(one: Tensor, other: Tensor, *, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return function(*same_device(one, other))


def _divide(one: Tensor, other: Tensor) -> Tensor:
    """Divide; integers are truncated."""
    is_float = one.is_floating_point() or other.is_floating_point()
    return one / other if is_float else torch.div(one, other, rounding_mode="trunc")


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    """Raise to a power, in the type of the base; the gradient of a plain square is that of a square."""
    if exponent.numel() == 1 and not exponent.requires_grad and exponent.device.type == "cpu":
        result = torch.pow(base, exponent.item()).to(base.dtype)
        return result.reshape((1,) * (exponent.dim() - result.dim()) + tuple(result.shape))
    return torch.pow(base, exponent).to(base.dtype)


def _all(*tensors: Tensor, function: Callable[[Tensor, Tensor], Tensor], is_mean: bool = False) -> Tensor:
    result = reduce(lambda one, other: function(*same_device(one, other)), tensors)
    return result / len(tensors) if is_mean else result


def _modulo(one: Tensor, other: Tensor, *, is_fmod: bool) -> Tensor:
    one, other = same_device(one, other)
    return torch.fmod(one, other) if is_fmod else torch.remainder(one, other)


def _where(condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
    one, other = same_device(one, other)
    condition, one = same_device(condition, one)
    return torch.where(condition, one, other)


def _of(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node], nn.Module]:
    return lambda node: Function(_pair, node, function=function)


def _over(function: Callable[[Tensor, Tensor], Tensor], is_mean: bool = False) -> Callable[[Node], nn.Module]:
    return lambda node: Function(_all, node, function=function, is_mean=is_mean)


BUILDERS: dict[str, Callable[[Node], nn.Module]] = {
    "Add": _of(torch.add),
    "And": _of(torch.logical_and),
    "Div": _of(_divide),
    "Equal": _of(torch.eq),
    "Greater": _of(torch.gt),
    "GreaterOrEqual": _of(torch.ge),
    "Less": _of(torch.lt),
    "LessOrEqual": _of(torch.le),
    "Max": _over(torch.maximum),
    "Mean": _over(torch.add, is_mean=True),
    "Min": _over(torch.minimum),
    "Mod": lambda node: Function(_modulo, node, is_fmod=bool(node.get("fmod", 0))),
    "Mul": _of(torch.mul),
    "Or": _of(torch.logical_or),
    "Pow": _of(_power),
    "Sub": _of(torch.sub),
    "Sum": _over(torch.add),
    "Where": lambda node: Function(_where, node),
    "Xor": _of(torch.logical_xor),
}
"""Operator -> function that builds its module."""
