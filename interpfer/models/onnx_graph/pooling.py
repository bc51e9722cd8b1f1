"""Pooling."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.models.onnx_graph.function import Function
from interpfer.models.onnx_graph.node import Node
from interpfer.models.onnx_graph.padding import Padding, parse_padding

MAXIMA = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
MEANS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
MEAN_FUNCTIONS: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAX_FUNCTIONS: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def _parse_window(node: Node) -> tuple[Padding, bool]:
    kernel = node.get("kernel_shape")
    if not kernel or len(kernel) not in MAXIMA:
        raise node.error("without kernel_shape")
    node.require_one_output()
    padding = parse_padding(node, kernel)
    return padding, bool(node.get("ceil_mode", 0))


def _is_native(padding: Padding) -> bool:
    """Return whether torch's own pooling takes this padding."""
    even = padding.symmetric
    return even is not None and all(2 * pad <= size for pad, size in zip(even, padding.kernel, strict=True))


def _max_pool(x: Tensor, *, padding: Padding, is_ceil: bool) -> Tensor:
    window = (padding.kernel, padding.stride, 0, padding.dilation, is_ceil)
    pooled: Tensor = MAX_FUNCTIONS[len(padding.kernel)](padding.pad(x, -math.inf), *window)
    return pooled


def _build_max_pool(node: Node) -> nn.Module:
    padding, is_ceil = _parse_window(node)
    if node.get("storage_order", 0):
        raise node.error("with storage_order")
    if not _is_native(padding):
        return Function(_max_pool, node, padding=padding, is_ceil=is_ceil)
    kind: Any = MAXIMA[len(padding.kernel)]
    module: nn.Module = kind(padding.kernel, padding.stride, padding.symmetric, padding.dilation, ceil_mode=is_ceil)
    return module


def _mean_pool(x: Tensor, *, padding: Padding, is_ceil: bool, has_border: bool) -> Tensor:
    pool = MEAN_FUNCTIONS[len(padding.kernel)]
    padded = padding.pad(x)
    pooled: Tensor = pool(padded, padding.kernel, padding.stride, 0, is_ceil)
    if has_border:
        return pooled
    inside = padding.pad(torch.ones_like(x[:1, :1]))
    counts: Tensor = pool(inside, padding.kernel, padding.stride, 0, is_ceil)
    return pooled / counts


def _build_mean_pool(node: Node) -> nn.Module:
    padding, is_ceil = _parse_window(node)
    if any(each != 1 for each in padding.dilation):
        raise node.error("with dilations")
    has_border = bool(node.get("count_include_pad", 0))
    if not _is_native(padding):
        return Function(_mean_pool, node, padding=padding, is_ceil=is_ceil, has_border=has_border)
    kind: Any = MEANS[len(padding.kernel)]
    module: nn.Module = kind(padding.kernel, padding.stride, padding.symmetric, is_ceil, has_border)
    return module


def _global_mean(x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


def _global_maximum(x: Tensor) -> Tensor:
    return x.amax(tuple(range(2, x.dim())), keepdim=True)


BUILDERS = {
    "AveragePool": _build_mean_pool,
    "GlobalAveragePool": lambda node: Function(_global_mean, node),
    "GlobalMaxPool": lambda node: Function(_global_maximum, node),
    "MaxPool": _build_max_pool,
}
"""Operator -> function that builds its module."""
