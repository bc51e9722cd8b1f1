"""Normalisation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.models.onnx_graph.convolution import as_parameter
from interpfer.models.onnx_graph.function import Function
from interpfer.models.onnx_graph.node import Node


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of an input of any number of axes."""

    def _check_input_dim(self, _: Tensor) -> None:
        return


def _build_batch_norm(node: Node) -> nn.Module:
    constants = [node.constant(position) for position in range(1, 5)]
    if any(value is None for value in constants):
        raise node.error("whose weights depend on the image")
    if node.get("training_mode", 0) or not node.get("spatial", 1):
        raise node.error("in training mode" if node.get("training_mode", 0) else "that is not spatial")
    node.require_one_output()
    weight, bias, mean, variance = (value for value in constants if value is not None)
    module = BatchNorm(len(weight), node.get("epsilon", 1e-5), 1 - node.get("momentum", 0.9))
    module.weight, module.bias = as_parameter(weight), as_parameter(bias)
    module.running_mean, module.running_var = mean.detach().clone(), variance.detach().clone()
    return module


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, axis: int, epsilon: float) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    normal = F.layer_norm(x, x.shape[axis:], eps=epsilon) * weight
    return normal if bias is None else normal + bias


def _build_layer_norm(node: Node) -> nn.Module:
    node.require_one_output()
    weight, bias, axis = node.constant(1), node.constant(2), node.get("axis", -1)
    epsilon = node.get("epsilon", 1e-5)
    if weight is None or weight.dim() != -axis or not node.is_fixed(2):
        return Function(_layer_norm, node, axis=axis, epsilon=epsilon)
    module = nn.LayerNorm(tuple(weight.shape), epsilon, bias=bias is not None)
    module.weight = as_parameter(weight)
    if bias is not None:
        module.bias = as_parameter(bias)
    return module


def _instance_norm(x: Tensor, weight: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    return F.instance_norm(x, weight=weight, bias=bias, eps=epsilon)


def _group_norm(x: Tensor, weight: Tensor, bias: Tensor, *, groups: int, epsilon: float) -> Tensor:
    if len(weight) != x.shape[1]:  # opset 18 has one weight per group
        weight, bias = (value.repeat_interleave(x.shape[1] // groups) for value in (weight, bias))
    return F.group_norm(x, groups, weight, bias, epsilon)


def _response_norm(x: Tensor, **options: Any) -> Tensor:
    normal: Tensor = F.local_response_norm(x, **options)
    return normal


def _lp_norm(x: Tensor, *, axis: int, p: int) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / lengths


def _build_response_norm(node: Node) -> nn.Module:
    size = node.get("size")
    if not size or size % 2 == 0:
        raise node.error(f"of size {size}")
    options = {"alpha": node.get("alpha", 1e-4), "beta": node.get("beta", 0.75), "k": node.get("bias", 1.0)}
    return Function(_response_norm, node, size=size, **options)


BUILDERS = {
    "BatchNormalization": _build_batch_norm,
    "GroupNormalization": lambda node: Function(
        _group_norm, node, groups=node.get("num_groups"), epsilon=node.get("epsilon", 1e-5)
    ),
    "InstanceNormalization": lambda node: Function(_instance_norm, node, epsilon=node.get("epsilon", 1e-5)),
    "LRN": _build_response_norm,
    "LayerNormalization": _build_layer_norm,
    "LpNormalization": lambda node: Function(_lp_norm, node, axis=node.get("axis", -1), p=node.get("p", 2)),
}
"""Operator -> function that builds its module."""
