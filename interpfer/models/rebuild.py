"""Rebuilds a program, whose layers are not accessible, as a network with modules.

The weights of the program are copied into a network of the named architecture: by name where the names were kept, else
by shape in the order in which the network uses its parameters. Batch normalisation that an exporter folded into
convolutions becomes one that only adds a bias. The network is used only if its outputs equal those of the program.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from interpfer.choices import COLORS
from interpfer.errors import InterpferError, ModelError
from interpfer.models.card import ModelCard
from interpfer.models.clips import to_clips
from interpfer.models.load_weights import load_weights
from interpfer.models.program import SAME_OUTPUT, largest_difference
from interpfer.models.readers.base import CheckpointData

RANDOM_IMAGES = 2
"""Number of random images on which outputs are compared."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def rebuild(data: CheckpointData, program: nn.Module, network: nn.Module, card: ModelCard) -> nn.Module:
    """Return a copy of ``network`` with the weights of the program.

    Args:
        data: content of the file, with the weights.
        program: the program, or a converted network, that gives the expected outputs.
        network: the untrained network of the card.
        card: the model card.

    Raises:
        ModelError: the weights do not fit, or the outputs differ; the message says by how much.
    """
    channels, size = COLORS[card.input.color], card.input.size
    shape = (RANDOM_IMAGES * card.input.frames, channels, size, size)
    x = to_clips(torch.randn(shape, generator=torch.Generator().manual_seed(0)), card.input)
    with torch.no_grad():
        expected = program(x)
    reasons = []
    for fill in (_fill_by_name, _fill_in_order, partial(_fill_in_order, transposed=True)):
        candidate = deepcopy(network).eval()
        try:
            fill(candidate, data.weights or {}, x, card.output_count)
            with torch.no_grad():
                difference = largest_difference(candidate(x), expected)
        except (InterpferError, RuntimeError, TypeError, ValueError) as error:
            reasons.append(str(error))
            continue
        if difference <= SAME_OUTPUT:
            return candidate
        reasons.append(f"its outputs differ by {difference:.2g}")
    raise ModelError(f"{card.arch} is not the network in the {data.format}: {reasons[-1]}")


def _fill_by_name(network: nn.Module, weights: Mapping[str, Tensor], _: Tensor, classes: int) -> None:
    load_weights(network, weights, "the program", classes)


def _fill_in_order(
    network: nn.Module, weights: Mapping[str, Tensor], x: Tensor, _: int, transposed: bool = False
) -> None:
    """Fill the parameters in the order of use, each with the tensor of its name or the first unused one of its shape.

    Args:
        network: the network; changed in place.
        weights: weights of the program.
        x: an input.
        transposed: transpose square matrices, as exporters write matrix products.
    """
    unused = {name: value for name, value in weights.items() if value.is_floating_point() and value.dim()}
    names = {module: name for name, module in network.named_modules()}
    reserved = network.state_dict().keys()
    modules = _modules_in_order_of_use(network, x)
    folded = any(isinstance(module, NORMS) for module in modules) and not _has_norms(network, unused)
    next_module = dict(zip(modules, modules[1:], strict=False))
    with torch.no_grad():
        for module in modules:
            if folded and isinstance(module, NORMS):
                continue
            for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
                if value.is_floating_point() and value.dim():
                    _fill(value, unused, f"{names[module]}.{name}", reserved, transposed)
            norm = next_module.get(module)
            if folded and isinstance(norm, NORMS):
                _fill_folded_norm(norm, unused, names[norm], reserved)


def _modules_in_order_of_use(network: nn.Module, x: Tensor) -> list[nn.Module]:
    order: dict[nn.Module, None] = {}

    def record(module: nn.Module, _: object) -> None:
        order.setdefault(module)

    parametrised = [m for m in network.modules() if next(m.parameters(recurse=False), None) is not None]
    handles = [module.register_forward_pre_hook(record) for module in parametrised]
    try:
        with torch.no_grad():
            network(x[:1])
    finally:
        for handle in handles:
            handle.remove()
    return list(order)


def _has_norms(network: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Return whether there are enough tensors for the network with its batch normalisation."""
    needed = [value for value in network.state_dict().values() if value.is_floating_point() and value.dim()]
    return len(weights) >= len(needed)


def _fill(
    target: Tensor, unused: dict[str, Tensor], name: str, reserved: Collection[str], transposed: bool = False
) -> None:
    """Fill a tensor with the one of its name, else with the first of its shape, and remove that from ``unused``."""
    for candidate in [name] if name in unused else [key for key in unused if key not in reserved]:
        value = unused[candidate]
        orientations = (value, value.mT) if value.dim() == 2 else (value,)
        for oriented in reversed(orientations) if transposed else orientations:
            if oriented.shape == target.shape:
                target.copy_(oriented)
                del unused[candidate]
                return
    raise ModelError(f"no weights of shape {tuple(target.shape)} are left for {name}")


def _fill_folded_norm(norm: nn.Module, unused: dict[str, Tensor], name: str, reserved: Collection[str]) -> None:
    """Make a batch normalisation add the bias that was folded into the convolution before it."""
    assert isinstance(norm, NORMS)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    _fill(norm.bias, unused, f"{name}.bias", reserved)
    norm.weight.fill_(1)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
