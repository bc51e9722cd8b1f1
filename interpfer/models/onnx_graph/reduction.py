"""Sums, means and maxima over axes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from interpfer.models.onnx_graph.activation import Module
from interpfer.models.onnx_graph.node import Node


def _reduce(
    x: Tensor, *, function: Callable[..., Tensor], axes: tuple[int, ...] | None, keepdims: bool, is_noop: bool
) -> Tensor:
    if not axes and is_noop:
        return x
    axes = axes or tuple(range(x.dim()))
    return function(x, axes, keepdims) if axes else x


def _product(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keepdims)
    return x


def _log_sum(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return x.sum(axes, keepdim=keepdims).log()


def _sum_of_squares(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return x.square().sum(axes, keepdim=keepdims)


def _sum_of_magnitudes(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return x.abs().sum(axes, keepdim=keepdims)


def _length(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, 2, axes, keepdim=keepdims)
    return length


def _arg(x: Tensor, *, function: Callable[..., Tensor], axis: int, keepdims: bool) -> Tensor:
    place: Tensor = function(x, axis, keepdim=keepdims)
    return place


def _over(function: Callable[..., Tensor]) -> Callable[[Node], nn.Module]:
    def build(node: Node) -> nn.Module:
        axes = node.integers("axes", 1)
        options: dict[str, Any] = {"keepdims": bool(node.get("keepdims", 1))}
        is_noop = bool(node.get("noop_with_empty_axes", 0))
        return Module(_reduce, node, function=function, axes=axes, is_noop=is_noop, **options)

    return build


def _best(function: Callable[..., Tensor]) -> Callable[[Node], nn.Module]:
    def build(node: Node) -> nn.Module:
        if node.get("select_last_index", 0):
            raise node.error("with select_last_index")
        return Module(_arg, node, function=function, axis=node.get("axis", 0), keepdims=bool(node.get("keepdims", 1)))

    return build


BUILDERS = {
    "ArgMax": _best(torch.argmax),
    "ArgMin": _best(torch.argmin),
    "ReduceL1": _over(_sum_of_magnitudes),
    "ReduceL2": _over(_length),
    "ReduceLogSum": _over(_log_sum),
    "ReduceLogSumExp": _over(torch.logsumexp),
    "ReduceMax": _over(torch.amax),
    "ReduceMean": _over(torch.mean),
    "ReduceMin": _over(torch.amin),
    "ReduceProd": _over(_product),
    "ReduceSum": _over(torch.sum),
    "ReduceSumSquare": _over(_sum_of_squares),
}
"""Operator -> function that builds its module."""
