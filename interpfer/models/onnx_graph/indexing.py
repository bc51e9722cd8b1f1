"""Parts of tensors, constants, types and padding."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpfer.models.onnx_graph.function import DTYPES, Function, to_dtype
from interpfer.models.onnx_graph.node import Node, check_size, to_integers

PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
"""Mode of ONNX -> mode of torch."""


def _slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    begins, stops = to_integers(starts), to_integers(ends)
    places = tuple(range(len(begins))) if axes is None else to_integers(axes)
    strides = (1,) * len(begins) if steps is None else to_integers(steps)
    return _cut(x, begins, stops, places, strides)


def _cut(
    x: Tensor, begins: Sequence[int], stops: Sequence[int], places: Sequence[int], strides: Sequence[int]
) -> Tensor:
    for begin, stop, place, stride in zip(begins, stops, places, strides, strict=True):
        indices = range(*slice(begin, stop, stride).indices(x.shape[place]))
        if stride > 0:
            key = [slice(None)] * x.dim()
            key[place] = slice(begin, stop, stride)
            x = x[tuple(key)]
        else:  # to the first element, past which a negative end lies
            indices = range(*_reversed_bounds(begin, stop, stride, x.shape[place]))
            x = x.index_select(place, torch.tensor(list(indices), dtype=torch.int64, device=x.device))
    return x


def _reversed_bounds(begin: int, stop: int, stride: int, size: int) -> tuple[int, int, int]:
    begin = begin + size if begin < 0 else begin
    stop = stop + size if stop < 0 else stop
    return min(begin, size - 1), max(stop, -1), stride


def _old_slice(x: Tensor, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> Tensor:
    return _cut(x, starts, ends, axes, [1] * len(starts))


def _build_slice(node: Node) -> nn.Module:
    if node.opset >= 10:
        return Function(_slice, node)
    starts = node.get("starts")
    return Function(_old_slice, node, starts=starts, ends=node.get("ends"), axes=node.get("axes", range(len(starts))))


def _gather(x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    flat = indices.reshape(-1).to(x.device, torch.int64)
    flat = torch.where(flat < 0, flat + x.shape[axis], flat)
    return x.index_select(axis, flat).reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _gather_elements(x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    indices = indices.to(x.device, torch.int64)
    return x.gather(axis, torch.where(indices < 0, indices + x.shape[axis], indices))


def _scatter(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Return a copy with parts replaced; the last axis of the indices is a place on the first axes of the tensor."""
    places = tuple(indices.to(x.device, torch.int64).unbind(-1))
    return x.clone().index_put(places, updates.to(x))


def _build_scatter(node: Node) -> nn.Module:
    if node.get("reduction", "none") != "none":
        raise node.error(f"with reduction {node.get('reduction')}")
    return Function(_scatter, node)


def _cast(x: Tensor, _: Tensor | None = None, *, dtype: torch.dtype) -> Tensor:
    return x.to(dtype)


def _build_cast(node: Node) -> nn.Module:
    if node.get("to") not in DTYPES:
        raise node.error(f"to type {node.get('to')}")
    return Function(_cast, node, dtype=to_dtype(node.get("to")))


def _cast_like(x: Tensor, other: Tensor) -> Tensor:
    return x.to(other.dtype)


def _identity(x: Tensor) -> Tensor:
    return x


def _filled(shape: Tensor, *, value: Tensor) -> Tensor:
    sizes = to_integers(shape)
    check_size(sizes)
    return value.reshape(()).expand(sizes).clone()


def _build_filled(node: Node) -> nn.Module:
    value = node.get("value")
    return Function(_filled, node, value=torch.zeros(1) if value is None else value)


def _range(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    first, last, delta = (value.item() for value in (start, limit, step))
    check_size([math.ceil((last - first) / delta)])
    return torch.arange(first, last, delta, dtype=start.dtype)


def _constant(*, value: Tensor) -> Tensor:
    return value


def _build_constant(node: Node) -> nn.Module:
    for name, value in node.attributes.items():
        if name == "value":
            return Function(_constant, node, value=value)
        if name in ("value_int", "value_ints"):
            return Function(_constant, node, value=torch.tensor(value, dtype=torch.int64))
        if name in ("value_float", "value_floats"):
            return Function(_constant, node, value=torch.tensor(value, dtype=torch.float32))
    raise node.error(f"of {', '.join(node.attributes)}")


def _pad(x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None, *, mode: str) -> Tensor:
    amounts = to_integers(pads)
    places = tuple(range(x.dim())) if axes is None else tuple(axis % x.dim() for axis in to_integers(axes))
    return _pad_axes(x, amounts, places, 0.0 if value is None else float(value), mode)


def _old_pad(x: Tensor, *, pads: Sequence[int], value: float, mode: str) -> Tensor:
    return _pad_axes(x, pads, range(x.dim()), value, mode)


def _pad_axes(x: Tensor, amounts: Sequence[int], places: Sequence[int], value: float, mode: str) -> Tensor:
    """Pad; torch wants pairs from the last axis on, and for other modes than "constant" only those of the image."""
    pairs = dict.fromkeys(range(x.dim()), (0, 0))
    pairs |= {place: (amounts[i], amounts[i + len(places)]) for i, place in enumerate(places)}
    check_size([size + sum(pairs[axis]) for axis, size in enumerate(x.shape)])
    last = [axis for axis, pair in pairs.items() if any(pair)]
    if not last:
        return x
    flat = [amount for axis in range(x.dim() - 1, min(last) - 1, -1) for amount in pairs[axis]]
    return F.pad(x, flat, mode, value) if mode == "constant" else F.pad(x, flat, mode)


def _build_pad(node: Node) -> nn.Module:
    mode = PAD_MODES.get(node.get("mode", "constant"))
    if mode is None:
        raise node.error(f"of mode {node.get('mode')}")
    if node.opset >= 11:
        return Function(_pad, node, mode=mode)
    return Function(_old_pad, node, pads=tuple(node.get("pads")), value=node.get("value", 0.0), mode=mode)


BUILDERS: dict[str, Any] = {
    "Cast": _build_cast,
    "CastLike": lambda node: Function(_cast_like, node),
    "Constant": _build_constant,
    "ConstantOfShape": _build_filled,
    "Gather": lambda node: Function(_gather, node, axis=node.get("axis", 0)),
    "GatherElements": lambda node: Function(_gather_elements, node, axis=node.get("axis", 0)),
    "Identity": lambda node: Function(_identity, node),
    "Pad": _build_pad,
    "Range": lambda node: Function(_range, node),
    "ScatterND": _build_scatter,
    "Slice": _build_slice,
}
"""Operator -> function that builds its module."""
