"""Convolutions and matrix products."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.models.onnx_graph.function import Function, same_device
from interpfer.models.onnx_graph.node import Node
from interpfer.models.onnx_graph.padding import Padding, parse_padding

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class _Padded:
    """A convolution whose padding differs from side to side, or depends on the size of its input."""

    uneven: Padding

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.uneven.pad(x))  # type: ignore[misc,no-any-return]


class PaddedConv1d(_Padded, nn.Conv1d):
    """A convolution over one axis with uneven padding."""


class PaddedConv2d(_Padded, nn.Conv2d):
    """A convolution over two axes with uneven padding."""


class PaddedConv3d(_Padded, nn.Conv3d):
    """A convolution over three axes with uneven padding."""


PADDED = {1: PaddedConv1d, 2: PaddedConv2d, 3: PaddedConv3d}


def as_parameter(value: Tensor) -> nn.Parameter:
    """Return a tensor as a parameter; a parameter stays itself, so that shared weights stay shared."""
    return value if isinstance(value, nn.Parameter) else nn.Parameter(value)


def _build_convolution(node: Node) -> nn.Module:
    weight, bias = node.constant(1), node.constant(2)
    if weight is None or not node.is_fixed(2):
        raise node.error("whose weights depend on the image")
    rank = weight.dim() - 2
    if rank not in CONVOLUTIONS:
        raise node.error(f"over {rank} axes")
    padding = parse_padding(node, weight.shape[2:])
    groups = node.get("group", 1)
    kind: Any = CONVOLUTIONS[rank] if padding.symmetric is not None else PADDED[rank]
    with torch.device("meta"):  # the weights are those of the file
        module = kind(
            weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), padding.stride,
            padding.symmetric or 0, padding.dilation, groups, bias is not None,
        )  # fmt: skip
    module.weight = as_parameter(weight)
    if bias is not None:
        module.bias = as_parameter(bias)
    if padding.symmetric is None:
        module.uneven = padding
    return module  # type: ignore[no-any-return]


def _transposed_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, rank: int, **options: Any
) -> Tensor:
    result: Tensor = TRANSPOSED[rank](x, weight, bias, **options)
    return result


def _build_transposed(node: Node) -> nn.Module:
    weight = node.constant(1)
    if weight is None or weight.dim() - 2 not in TRANSPOSED:
        raise node.error("whose weights depend on the image")
    rank = weight.dim() - 2
    padding = parse_padding(node, weight.shape[2:])
    if padding.symmetric is None or node.get("output_shape"):
        raise node.error("with uneven padding")
    return Function(
        _transposed_convolution, node, rank=rank, stride=padding.stride, padding=padding.symmetric,
        output_padding=tuple(node.get("output_padding") or [0] * rank), groups=node.get("group", 1),
        dilation=padding.dilation,
    )  # fmt: skip


def make_linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return a linear layer with a weight (outputs, inputs)."""
    with torch.device("meta"):
        module = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    module.weight = as_parameter(weight)
    if bias is not None:
        module.bias = as_parameter(bias)
    return module


def _gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float, beta: float, left: bool, right: bool
) -> Tensor:
    product = (a.mT if left else a) @ (b.mT if right else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def _build_gemm(node: Node) -> nn.Module:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    left, right = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    weight, bias = node.constant(1), node.constant(2)
    is_plain = weight is not None and node.is_fixed(2) and alpha == 1 and (beta == 1 or bias is None) and not left
    if is_plain and weight is not None:
        weight = weight if right else transpose(weight)
        if bias is None or bias.numel() == len(weight):
            return make_linear(weight, None if bias is None else _flatten(bias))
    return Function(_gemm, node, alpha=alpha, beta=beta, left=left, right=right)


def transpose(weight: Tensor) -> Tensor:
    """Return a weight transposed; a parameter if it was one."""
    turned = weight.detach().mT.contiguous()
    return nn.Parameter(turned) if isinstance(weight, nn.Parameter) else turned


def _flatten(bias: Tensor) -> Tensor:
    return bias if bias.dim() == 1 else type(bias)(bias.detach().reshape(-1))


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    a, b = same_device(a, b)
    return torch.matmul(a, b)


def _build_matmul(node: Node) -> nn.Module:
    weight = node.constant(1)
    if weight is not None and weight.dim() == 2 and node.constant(0) is None:
        return make_linear(transpose(weight))
    return Function(_matmul, node)


def _einsum(*tensors: Tensor, equation: str) -> Tensor:
    return torch.einsum(equation, *tensors)


def _build_einsum(node: Node) -> nn.Module:
    return Function(_einsum, node, equation=node.get("equation"))


BUILDERS = {
    "Conv": _build_convolution,
    "ConvTranspose": _build_transposed,
    "Einsum": _build_einsum,
    "Gemm": _build_gemm,
    "MatMul": _build_matmul,
}
"""Operator -> function that builds its module."""
