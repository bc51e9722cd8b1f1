"""Keras models restated in torch, layer by layer, from the configuration and the arrays of an HDF5 file; no Keras."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def run_hdf5(path: Path, x: Tensor) -> Tensor:
    """Return the output of the functional model in a file for (n, c, h, w), as TensorFlow computes it."""
    with h5py.File(path, "r") as file:
        config = json.loads(file.attrs["model_config"])["config"]
        weights = {name: _read(file["model_weights"][name]) for name in file["model_weights"]}
    values: dict[str, Tensor] = {}
    for layer in config["layers"]:
        name = layer["config"]["name"]
        nodes = layer["inbound_nodes"]
        sources = [values[each[0]] for each in nodes[0]] if nodes else [x.double()]
        kind = layer["class_name"]
        values[name] = _LAYERS[kind](sources, layer["config"], weights.get(name, []))
    return values[config["output_layers"][0][0]]


def _read(group: Any) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(group[name], np.float64)) for name in group.attrs["weight_names"]]


def _pad(x: Tensor, size: Any, stride: Any, padding: str, value: float = 0.0) -> Tensor:
    """Pad as TensorFlow does: "same" gives ceil(side / stride) cells, the odd pixel at the bottom and the right."""
    if padding == "valid":
        return x
    pads: list[int] = []
    for side, kernel, step in zip(reversed(x.shape[2:]), reversed(size), reversed(stride), strict=True):
        total = max((-(-side // step) - 1) * step + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def _activate(x: Tensor, name: str) -> Tensor:
    return {"linear": x, "relu": x.clamp(min=0), "softmax": x.exp() / x.exp().sum(1, keepdim=True)}[name]


def _convolution(sources: list[Tensor], config: dict[str, Any], weights: list[Tensor]) -> Tensor:
    x = _pad(sources[0], config["kernel_size"], config["strides"], config["padding"])
    kernel = weights[0].permute(3, 2, 0, 1)
    return _activate(
        F.conv2d(x, kernel, weights[1] if config["use_bias"] else None, config["strides"]), config["activation"]
    )


def _separable(sources: list[Tensor], config: dict[str, Any], weights: list[Tensor]) -> Tensor:
    x = _pad(sources[0], config["kernel_size"], config["strides"], config["padding"])
    depthwise = weights[0].permute(2, 3, 0, 1)  # (channels, 1, h, w)
    x = F.conv2d(x, depthwise, None, config["strides"], groups=len(depthwise))
    x = F.conv2d(x, weights[1].permute(3, 2, 0, 1), weights[2] if config["use_bias"] else None)
    return _activate(x, config["activation"])


def _normalisation(sources: list[Tensor], config: dict[str, Any], weights: list[Tensor]) -> Tensor:
    gamma, beta, mean, variance = (each[:, None, None] for each in weights)
    return (sources[0] - mean) / (variance + config["epsilon"]).sqrt() * gamma + beta


def _maximum(sources: list[Tensor], config: dict[str, Any], _: list[Tensor]) -> Tensor:
    x = _pad(sources[0], config["pool_size"], config["strides"], config["padding"], -torch.inf)
    return F.max_pool2d(x, config["pool_size"], config["strides"])


_LAYERS = {
    "InputLayer": lambda sources, *_: sources[0],
    "Conv2D": _convolution,
    "SeparableConv2D": _separable,
    "BatchNormalization": _normalisation,
    "Activation": lambda sources, config, _: _activate(sources[0], config["activation"]),
    "MaxPooling2D": _maximum,
    "Add": lambda sources, *_: torch.stack(sources).sum(0),
    "GlobalAveragePooling2D": lambda sources, *_: sources[0].mean((2, 3)),
}
